"""What lines of this shape will have and this version refuses by name: a key without effect does not exist."""

from __future__ import annotations

import re
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


def _is_by_language(tree: Tree) -> bool:
    keys = [*tree.values] if isinstance(tree, Fields) else []
    return (
        bool(keys)
        and all(re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", key) for key in keys)
        and "-" in "".join(keys)
    )


@dataclass(frozen=True, slots=True)
class _NotYet:
    """A key (``*`` is any name), when it is not supported yet, what it is called, and what to do meanwhile."""

    path: tuple[str, ...]
    what: str
    remedy: str
    when: Callable[[Tree], bool] = _anything


_LINE = (
    _NotYet(("extends",), "extends", "put what all lines share into _defaults.yaml"),
    _NotYet(("hours",), "opening hours (hours)", "the line answers at any time; remove it"),
    _NotYet(("holidays",), "holidays", "the line answers on any day; remove it"),
    _NotYet(("keys",), "keypad menus (keys)", "remove it; the agent can be given the tool transfer"),
    _NotYet(("transcript",), "keeping and redacting transcripts (transcript)", "remove it"),
    _NotYet(("canary",), "canary lines (canary)", "remove it"),
    _NotYet(("account",), "several carrier accounts (account)", "set TWILIO_ACCOUNT_SID and remove it"),
    _NotYet(("accounts",), "several carrier accounts (accounts)", "set TWILIO_ACCOUNT_SID and remove it"),
    _NotYet(("schema",), "schema versions (schema)", "remove it"),
    _NotYet(("mcp",), "MCP servers (mcp)", "write the tool as a function in tools/"),
    _NotYet(("voicemail",), "voicemail", "remove it"),
    _NotYet(("greeting",), "a greeting for each language", "write one text, or {clip, text}", _is_by_language),
    _NotYet(("instructions",), "instructions for each language", "write one text", _is_map),
    _NotYet(("language",), "several languages", "write one, such as en-US", lambda tree: not isinstance(tree, Leaf)),
    _NotYet(("on_failure", "say"), "a text for each language", "write one text", _is_map),
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


def refuse_file(name: str) -> Fault | None:
    """Return the fault of a file whose name says that it is something not supported yet."""
    here = Place(name, 1, 1)
    if re.fullmatch(r"_numbers(\..+)?\.yaml", name):
        return here.fault(f"not supported yet: a table of numbers ({name})", "write number: into each line's file")
    if name.startswith("_") and name != "_defaults.yaml":
        return here.fault(
            f"not supported yet: shared parts of lines ({name})", "put what all lines share into _defaults.yaml"
        )
    return None


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
