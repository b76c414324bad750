"""Reads YAML 1.2 into a tree with places. What phone people trip over is refused by name, not guessed."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from gateway.config.tree import Entry, Fields, Items, Leaf, Place, Scalar, Tree
from gateway.errors import Fault

_LARGEST = 1_000_000
"""Bytes of one file."""
_DEEPEST = 50
"""Brackets within brackets; the parser's time grows with the square of it."""

_TAG = "tag:yaml.org,2002:"
_KINDS = frozenset({"null", "bool", "int", "float", "str", "timestamp", "value", "map", "seq"})
"""What values are without being told; dates are texts here."""
_PROBLEMS = (
    (r"'\\t' that cannot start", "a tab stands where YAML wants spaces", "indent with spaces"),
    (r"character '([@`%])' that", "a value can't begin with {0}", "put it in quotes"),
    (r"expected ',' or '\]'", "a list that begins with [ does not end", "close it with ]"),
    (r"expected ',' or '}'", "a map that begins with {{ does not end", "close it with }}"),
    (r"unexpected end of stream", "a quoted text does not end", "close it with the same quote"),
    (r"undefined alias", "anchors and aliases (&, *) are not used here", "put what lines share into _defaults.yaml"),
    (r"another document", "there is more than one document in the file", "write one file for each; no --- between"),
    (r"could not find expected ':'", "a key without a colon", "write key: value"),
    (
        r"mapping values are not allowed",
        "a colon where no key can be",
        "put a text with a colon in quotes, and indent keys alike",
    ),
    (r"sequence entries are not allowed", "a list item where none can be", "begin the list on a line of its own"),
    (r"expected <block end>, but found '-'", "a list item where a key was expected", "indent lists and keys alike"),
    (r"expected <block end>", "this does not fit what is above", "check indentation and quotes"),
    (r"expected the node content", "a value is missing", "write it, or remove the key"),
)
"""What the parser says, what we say instead, and the remedy; ``{0}`` is the pattern's group."""


_BRACES = re.compile(r"\s*(- )?[\w-]+:\s+\{\{")


def read_yaml(content: bytes, shown: str) -> tuple[Fields | None, list[Fault]]:
    """Read a file that holds one map.

    Args:
        content: the file's bytes.
        shown: what faults call the file.

    Returns:
        The map (None where there is none) and everything that is wrong with the file as YAML.
    """
    text, fault = _decode(content, shown)
    if fault:
        return None, [fault]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # an anchor is a fault, used again or not
            node = YAML(typ="rt").compose(text)
    except MarkedYAMLError as error:
        return None, [_syntax_fault(error, text, shown)]
    except ReaderError as error:
        place = _place_at(text, error.position, shown)
        return None, [place.fault("a control character stands in the file", "remove it")]
    except YAMLError as error:
        return None, [Fault(shown, 1, 1, f"not YAML: {str(error).splitlines()[0]}", "correct it")]
    except RecursionError:
        return None, [Fault(shown, 1, 1, "the file is nested too deeply", "flatten it")]
    if node is None:
        return None, [Fault(shown, 1, 1, "the file is empty", "write keys into it, or remove it")]
    if not isinstance(node, MappingNode):
        kind = "a list" if isinstance(node, SequenceNode) else "a text"
        return None, [_Reader(text, shown).place(node).fault(f"expected keys, found {kind}", "write key: value")]
    reader = _Reader(text, shown)
    tree = reader.fields(node)
    return tree, reader.faults


def _decode(content: bytes, shown: str) -> tuple[str, Fault | None]:
    if len(content) > _LARGEST:
        return "", Fault(shown, 1, 1, f"the file is larger than {_LARGEST} bytes", "move long texts to prompts/")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "", Fault(shown, 1, 1, "the file is UTF-16", "save it as UTF-8")
    if content.startswith(b"\xef\xbb\xbf"):
        return "", Fault(shown, 1, 1, "the file begins with a byte order mark", "save it as UTF-8 without BOM")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place_at(content[: error.start].decode("utf-8"), error.start, shown)
        return "", place.fault(f"byte 0x{content[error.start]:02x} is not UTF-8", "save the file as UTF-8")
    if _depth(text) > _DEEPEST:
        return "", Fault(shown, 1, 1, "the file is nested too deeply", "flatten it")
    if text.startswith("%"):
        return "", Fault(shown, 1, 1, "directives (%) are not used here", "files are YAML 1.2")
    return text.replace("\r\n", "\n"), None


def _depth(text: str) -> int:
    """Return how deeply brackets are nested; those in quotes count too, which does no harm."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _place_at(text: str, index: int, shown: str) -> Place:
    before = text[:index]
    return Place(shown, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _syntax_fault(error: MarkedYAMLError, text: str, shown: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    if mark and (opening := _BRACES.match(text.splitlines()[mark.line] if mark.line < text.count("\n") else "")):
        place = Place(shown, mark.line + 1, opening.end() - 1)
        return place.fault("a value that begins with {{ is read as a map", 'put it in quotes: "{{name}} ..."')
    message, remedy = _explain(error.problem or "it can't be parsed")
    if message.endswith(("does not end", "without a colon")):
        # The beginning of what does not end says more than the end of the file.
        mark = error.context_mark or mark
    return _place_at(text, mark.index if mark else 0, shown).fault(message, remedy)


def _explain(problem: str) -> tuple[str, str]:
    for pattern, message, remedy in _PROBLEMS:
        if match := re.search(pattern, problem):
            return message.format(*match.groups()), remedy.format()
    return f"not YAML: {problem}", "check indentation, quotes and colons here and above"


class _Reader:
    """Turns ruamel's nodes into our tree, and collects what is wrong on the way."""

    def __init__(self, text: str, shown: str) -> None:
        self.faults: list[Fault] = []
        self._text = text
        self._shown = shown
        self._seen: set[int] = set()

    def place(self, node: Any) -> Place:
        return Place(self._shown, node.start_mark.line + 1, node.start_mark.column + 1)

    def fields(self, node: MappingNode) -> Fields:
        values: dict[str, Entry] = {}
        for key, name, value in self._named(node):
            place = self.place(key)
            if name in values:
                first = values[name].place
                self._refuse(place, f"the key {name} is given twice", f"the first is in line {first.line}")
            else:
                values[name] = Entry(place, self._tree(value))
        return Fields(values, self.place(node))

    def _named(self, node: MappingNode) -> Iterator[tuple[Any, str, Any]]:
        """Go through the entries that have a text for a key."""
        for key, value in node.value:
            place = self.place(key)
            if not isinstance(key, ScalarNode):
                self._refuse(place, "a list or a map can't be a key", "write key: value")
            elif key.tag == f"{_TAG}merge":
                self._refuse(place, "merge keys (<<) are not used here", "put what lines share into _defaults.yaml")
            else:
                yield key, str(key.value), value

    def _tree(self, node: Any) -> Tree:
        place = self.place(node)
        if id(node) in self._seen:
            return Leaf(None, place)
        self._seen.add(id(node))
        if node.anchor is not None:
            self._refuse(
                place, f"anchors (&{node.anchor}) are not used here", "put what lines share into _defaults.yaml"
            )
        if str(node.tag).removeprefix(_TAG) not in _KINDS:
            self._refuse(place, f"tags ({node.tag}) are not used here", "remove it, or put the text in quotes")
            return Leaf(None, place)
        if isinstance(node, MappingNode):
            if node.value and isinstance(node.value[0][0], MappingNode):
                self._refuse(place, "a value that begins with {{ is read as a map", 'put it in quotes: "{{name}}"')
                return Leaf("?", place)  # Some text: that it is none of the file's is said.
            return self.fields(node)
        if isinstance(node, SequenceNode):
            return Items(tuple(self._tree(value) for value in node.value), place)
        raw = self._text[node.start_mark.index : node.end_mark.index]
        return Leaf(_scalar(str(node.tag).removeprefix(_TAG), node.value), place, raw)

    def _refuse(self, place: Place, message: str, remedy: str) -> None:
        self.faults.append(place.fault(message, remedy))


def _scalar(kind: str, text: str) -> Scalar:
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text.replace("_", ""), 0 if re.match(r"[-+]?0[box]", text) else 10)
        case "float":
            return float(re.sub(r"_|\.(?=[a-z])", "", text.lower()))
        case _:
            return text
