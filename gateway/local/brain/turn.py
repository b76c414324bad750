"""What a brain is asked and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Note:
    """What the brain wrote to itself beside something that it said; gone when nobody heard that.

    Attributes:
        tool: the tool that it was about.
        missing: the parameter that it asked for, or empty.
        filled: what it knew already.
        offered: it asked whether the caller wants this at all.
        request: the caller's words that it was about.
    """

    tool: str
    missing: str = ""
    filled: Mapping[str, Any] = field(default_factory=dict)
    offered: bool = False
    request: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One remembered item: a message, a function call or its output."""

    kind: str
    role: str = ""
    text: str = ""
    name: str = ""
    call_id: str = ""
    arguments: str = ""
    output: str = ""
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that an answer may depend on.

    Attributes:
        instructions: what the agent was told to be.
        directive: what this one answer was asked to do (``response.create`` with instructions), or empty.
        tools: function tools as they were sent: name, description, parameters.
        tool_choice: ``auto``, ``none``, ``required``, or the name of a tool that must be called.
        lines: what is remembered, oldest first.
        today: for dates like "next Monday".
    """

    instructions: str
    tools: tuple[Mapping[str, Any], ...]
    lines: tuple[Line, ...]
    today: date
    directive: str = ""
    tool_choice: str = "auto"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A function call that the brain wants: name and arguments."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said, then which tools are called; either may be missing."""

    text: str = ""
    calls: tuple[ToolUse, ...] = ()
    note: Note | None = None


class Brain(Protocol):
    """Something that answers."""

    name: str

    async def reply(self, question: Question) -> Reply:
        """Answer; any exception makes the response fail."""
        ...
