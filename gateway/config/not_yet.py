"""What lines of this shape will have and this version refuses by name: a key without effect does not exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.config.tree import Fields, Leaf, Path, Place, Tree, walk
from gateway.errors import Fault


def _anything(tree: Tree) -> bool:
    del tree
    return True


def _is_map(tree: Tree) -> bool:
    return isinstance(tree, Fields)


def _is_warm(tree: Tree) -> bool:
    return isinstance(tree, Leaf) and tree.value == "warm"


@dataclass(frozen=True, slots=True)
class _NotYet:
    """A key (``*`` is any name), when it is not supported yet, what it is called, and what to do meanwhile."""

    path: tuple[str, ...]
    what: str
    remedy: str
    when: Callable[[Tree], bool] = _anything


_LINE = (
    _NotYet(("keys",), "keypad menus (keys)", "remove it; the agent can be given the tool transfer"),
    _NotYet(("transcript", "redact"), "redacting transcripts (redact)", "remove it; keep: bounds how long they are"),
    _NotYet(("mcp",), "MCP servers (mcp)", "write the tool as a function in tools/"),
    _NotYet(("voicemail",), "voicemail", "remove it"),
    _NotYet(("instructions",), "instructions for each language", "write one text", _is_map),
    _NotYet(("language",), "several languages", "write one, such as en-US", lambda tree: not isinstance(tree, Leaf)),
    _NotYet(("transfer", "*", "mode"), "warm transfer (mode: warm)", "write mode: cold, or remove it", _is_warm),
    _NotYet(("transfer", "*", "if_failed"), "if_failed", "remove it; the call ends if nobody answers"),
    _NotYet(("limits", "cost"), "cost limits (cost)", "remove it; max_duration and concurrent_calls bound the cost"),
    _NotYet(
        ("limits", "silence"), "prompting after silence", 'write silence: "60s", after which the call ends', _is_map
    ),
)
_AGENT = (
    _NotYet(("mcp",), "MCP servers (mcp)", "write the tool as a function in tools/"),
    _NotYet(("voice",), "a voice for each agent", "the line's model.voice is used; a voice can't change within a call"),
    _NotYet(("model",), "a model for each agent", "the line's model is used"),
    _NotYet(("instructions",), "instructions for each language", "write one text", _is_map),
)


def refuse_in_line(tree: Fields) -> tuple[Fields, list[Fault]]:
    """Return a line without what is not supported yet, and a fault for each such key."""
    agents = tuple(_NotYet(("agents", "*", *row.path), row.what, row.remedy, row.when) for row in _AGENT)
    return _refuse(tree, _LINE + agents)


def refuse_in_agent(tree: Fields) -> tuple[Fields, list[Fault]]:
    """Return a shared agent without what is not supported yet, and a fault for each such key."""
    return _refuse(tree, _AGENT)


def _refuse(tree: Fields, rows: tuple[_NotYet, ...]) -> tuple[Fields, list[Fault]]:
    faults = []
    kept = tree
    for path, value in walk(tree):
        row = next((row for row in rows if _matches(row, path, value)), None)
        if row:
            faults.append(_key_place(tree, path).fault(f"not supported yet: {row.what}", row.remedy))
            kept = kept.without(path)
    return kept, faults


def _matches(row: _NotYet, path: Path, value: Tree) -> bool:
    same = len(path) == len(row.path) and all(want in {"*", part} for want, part in zip(row.path, path, strict=True))
    return same and row.when(value)


def _key_place(tree: Fields, path: Path) -> Place:
    parent = tree.get(*(str(part) for part in path[:-1]))
    assert isinstance(parent, Fields)  # noqa: S101 - the table names keys of maps only
    return parent.values[str(path[-1])].place
