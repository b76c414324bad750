"""The tools that every line may name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from gateway.errors import ToolError
from gateway.tools.context import ToolContext
from gateway.tools.spec import ToolSpec

HANG_UP_REASONS: Final = ("done", "caller-asked", "wrong-number", "no-answer", "abusive-caller", "other")
"""What the model may give as its reason for hanging up; a closed list, so that calls can be counted by it."""

BUILTIN_NAMES: Final = ("hang_up", "transfer", "note", "take_message")


def builtin(name: str, targets: Sequence[str] = (), notes: Mapping[str, str] = MappingProxyType({})) -> ToolSpec:
    """Return the built-in tool of this name, made for a line that may transfer to these targets.

    ``notes`` are the names under which its agents may write something down, each with what belongs there.

    Raises:
        KeyError: there is no such tool.
        ValueError: the tool can do nothing on this line.
    """
    if name == "hang_up":
        return HANG_UP
    if name == "transfer":
        return _transfer(targets)
    if name == "note":
        return _note(notes)
    if name == "take_message":
        return TAKE_MESSAGE
    raise KeyError(name)


async def _run_hang_up(context: ToolContext, arguments: Mapping[str, Any]) -> str:
    reason = arguments.get("reason")
    await context.hang_up(reason if reason in HANG_UP_REASONS else "other")
    return "The call ends as soon as the caller has heard you. Say goodbye briefly if you have not, else nothing."


HANG_UP: Final = ToolSpec(
    name="hang_up",
    description=(
        "End the call. Use it when the caller is done or asks for it, and say goodbye first. "
        "The line is cut only after the caller has heard your last word."
    ),
    schema={
        "type": "object",
        "properties": {
            "reason": {"type": "string", "enum": list(HANG_UP_REASONS), "description": "Why the call ends."},
        },
        "required": ["reason"],
        "additionalProperties": False,
    },
    run=_run_hang_up,
    effect="end",
)


async def _run_transfer(context: ToolContext, arguments: Mapping[str, Any]) -> str:
    target = arguments.get("target")
    if not isinstance(target, str):
        raise ToolError(f"Say whom to transfer to: {', '.join(context.targets)}.")
    await context.transfer(target)
    return f"The caller is put through to {target} as soon as they have heard you. Tell them, if you have not."


def _transfer(targets: Sequence[str]) -> ToolSpec:
    if not targets:
        raise ValueError("the line names nobody to transfer to")
    return ToolSpec(
        name="transfer",
        description=(
            "Put the caller through to somebody else and leave the call. Tell the caller first. "
            "It happens only after the caller has heard your last word."
        ),
        schema={
            "type": "object",
            "properties": {
                "target": {
                    "type": "string",
                    "enum": list(targets),
                    "description": "Whom to put the caller through to.",
                },
            },
            "required": ["target"],
            "additionalProperties": False,
        },
        run=_run_transfer,
        effect="transfer",
    )


async def _run_note(context: ToolContext, arguments: Mapping[str, Any]) -> str:
    name, value = arguments.get("name"), arguments.get("value")
    if not isinstance(name, str) or not isinstance(value, str):
        raise ToolError(f"Give a name and a value. Names: {', '.join(context.notes)}.")
    await context.note(name, value)
    return "Noted."


def _note(notes: Mapping[str, str]) -> ToolSpec:
    if not notes:
        raise ValueError("the line names nothing to note")
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in notes.items())
    return ToolSpec(
        name="note",
        description=f"Write something down for whoever gets the call after you. {meanings}",
        schema={
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": list(notes), "description": "What it is about."},
                "value": {"type": "string", "description": "In few words."},
            },
            "required": ["name", "value"],
            "additionalProperties": False,
        },
        run=_run_note,
        effect="write",
    )


async def _run_take_message(_context: ToolContext, arguments: Mapping[str, Any]) -> str:
    message = arguments.get("message")
    if not isinstance(message, str) or not message.strip():
        raise ToolError("Say what the message is. Ask the caller, if you do not know.")
    return "The message is taken, and is passed on once the call is over. Tell the caller so."


TAKE_MESSAGE: Final = ToolSpec(
    name="take_message",
    description=(
        "Take a message for the people behind this line. Read it back to the caller first, with the number to call "
        "back. Use it once for each message."
    ),
    schema={
        "type": "object",
        "properties": {
            "message": {"type": "string", "description": "The message, in the caller's words."},
            "name": {"type": "string", "description": "The caller's name, as they said it; empty if not said."},
            "callback_number": {"type": "string", "description": "Where to call back; empty if not said."},
            "urgent": {"type": "boolean", "description": "Whether the caller said that it is urgent."},
        },
        "required": ["message"],
        "additionalProperties": False,
    },
    run=_run_take_message,
    effect="write",
)
