"""Checks a tree against a model, and says what is wrong in words for people, at the right place."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from gateway.config.tree import Fields, Items, Leaf, Path, Tree, locate, plain
from gateway.errors import Fault

_ROUNDS = 3
"""How often a file is checked again without what was wrong, for faults that show only then."""

_MISPLACED = {
    "barge_in": "barge_in: stands at the top level of the line",
    "speed": "speed: belongs under model:",
    "temperature": "realtime models take no temperature",
    "model_name": "write name: under model:",
    "transfers": "write transfer:",
    "prompt": "write instructions:, or model: {prompt: {id: ...}}",
    "phone": "write number:",
    "name": "write label:",
    "holidays": "holidays: belongs under hours:",
    "canary": "canary: belongs to a number, in _numbers.yaml",
    "account": "account: belongs to a number, in _numbers.yaml",
    "accounts": "accounts: belongs to _numbers.yaml",
    "schema": "schema: belongs to _numbers.yaml",
    "turn_detection": "turn_detection: belongs under model:",
    "transcription": "transcription: belongs under model:",
    "noise_reduction": "noise_reduction: belongs under model:",
}
"""Keys that people write where they don't exist; model's own are found by their name alone."""

Model = TypeVar("Model", bound=BaseModel)


_MISSING = ("missing", "lacking")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean x?``, or what there is to choose from."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.65)
    if near:
        return f"did you mean {near[0]}?"
    return f"there is {', '.join(names)}" if names else ""


def _nowhere(_: Path) -> bool:
    return False


def anywhere(_: Path) -> bool:
    """Let any key be missing: the tree is laid over something else, which may have it."""
    return True


def check(
    model: type[Model], tree: Fields, *, may_lack: Callable[[Path], bool] = _nowhere
) -> tuple[Model | None, list[Fault]]:
    """Read a tree as a model; ``may_lack`` says of a path whether keys may be missing there.

    Returns:
        The model, or None where anything is wrong; and all faults, not only the first ones.
    """
    faults: list[Fault] = []
    rest = tree
    for again in range(_ROUNDS):
        try:
            checked = model.model_validate(plain(rest))
        except ValidationError as error:
            errors = error.errors(include_url=False)
            # From the second round on, what was wrong is gone, which must not be said to be missing.
            errors = [each for each in errors if each["type"] not in _MISSING or not (again or may_lack(each["loc"]))]
            errors = [each for each in errors if each["type"] != "too_short" or not again]
            faults += [fault for fault in (_explain(model, rest, each) for each in errors) if fault not in faults]
            pruned = _without(rest, errors)
            if pruned == rest:
                break
            rest = pruned
        else:
            return (checked, []) if not faults else (None, faults)
    return None, faults


def _without(tree: Fields, errors: list[Any]) -> Fields:
    """Return the tree without the values that were wrong; later items of a list go first, so that places hold."""
    paths = {locate(tree, each["loc"])[0] for each in errors if each["type"] not in _MISSING}
    for path in sorted((path for path in paths if path), key=repr, reverse=True):
        tree = tree.without(path)
    return tree


def _explain(model: type[BaseModel], tree: Fields, error: Any) -> Fault:
    path, key_place, found = locate(tree, error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    is_key = kind in {"extra_forbidden", "missing"} or error["loc"][-1:] == ("[key]",)
    place = key_place if is_key or isinstance(found, Fields) else found.place
    match kind:
        case "wrong" | "unsupported" | "lacking":
            return place.fault(context["message"], context["remedy"])
        case "extra_forbidden":
            return place.fault(*_unknown(model, path))
        case "missing":
            return place.fault(f"{error['loc'][-1]} is missing", f"write {error['loc'][-1]}: under it")
        case "literal_error":
            if "<off>" in error["loc"]:
                return place.fault(
                    f"expected keys, or off, found {_spelled(found)}", "write off, or key: value, indented"
                )
            choices = [choice.strip("'") for choice in context["expected"].replace(" or ", ", ").split(", ")]
            return place.fault(f"{_spelled(found)} is not one of {', '.join(choices)}", _one_of(found, choices))
        case "greater_than_equal" | "less_than_equal":
            bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
            return place.fault(f"{_spelled(found)} is out of range", f"it is {bound}")
        case "too_short":
            return place.fault("there is nothing in it", "write something into it, or remove the key")
        case "string_too_short":
            return place.fault("the text is empty", "write one, or remove the key")
        case _:
            return place.fault(*_wrong_kind(kind, found, error["loc"]))


def _unknown(model: type[BaseModel], path: Path) -> tuple[str, str]:
    key = str(path[-1])
    known = [*_fields_at(model, path[:-1])]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else _MISPLACED.get(key, f"there is {', '.join(known)}")
    within = f" in {'.'.join(str(part) for part in path[:-1])}" if len(path) > 1 else ""
    return f"unknown key {key}{within}", remedy


def _one_of(found: Tree, choices: list[str]) -> str:
    value = found.value if isinstance(found, Leaf) else None
    if value is False and "off" in choices:
        return "write off"
    near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "write one of them"


_WANTED = {
    "string": ("a text", 'put it in quotes: "{0}"'),
    "bool": ("true or false", "write true or false, without quotes"),
    "int": ("a whole number", "write digits, without quotes"),
    "float": ("a number", "write digits, without quotes"),
    "tuple": ("a list", "write [{0}]"),
    "model": ("keys", "write key: value, indented"),
    "dict": ("keys", "write key: value, indented"),
}


def _wrong_kind(kind: str, found: Tree, loc: tuple[str | int, ...]) -> tuple[str, str]:
    wanted, remedy = _WANTED.get(kind.split("_", maxsplit=1)[0], ("something else", ""))
    shown = _spelled(found)
    if isinstance(found, Leaf):
        if found.value is False and "<options>" in loc:
            remedy = "write off"
        elif found.value is None:
            remedy = "write a value, or remove the key"
    elif wanted == "a text":
        remedy = "write one text"
    return f"expected {wanted}, found {shown}", remedy.format(_raw(found))


def _raw(found: Tree) -> str:
    return found.raw if isinstance(found, Leaf) else "..."


def _spelled(found: Tree) -> str:
    match found:
        case Leaf(value=None):
            return "nothing"
        case Leaf(value=str() as text):
            return repr(text)
        case Leaf():
            return found.raw
        case Items():
            return "a list"
        case Fields():
            return "keys"


def _fields_at(model: type[BaseModel], path: Path) -> Iterator[str]:
    """Go through the keys that a model has at a path."""
    kinds: list[Any] = [model]
    for part in path:
        kinds = [deeper for kind in kinds for deeper in _step(kind, str(part))]
    for kind in kinds:
        yield from (field.alias or name for name, field in kind.model_fields.items())


def _step(kind: type[BaseModel], part: str) -> Iterator[Any]:
    """Go through the models under one key; the names in a map of models are stepped over."""
    if field := kind.model_fields.get(part):
        yield from _models(field.annotation)
    elif part not in kind.model_fields:
        yield kind


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not None:
        for argument in get_args(annotation):
            yield from _models(argument)
