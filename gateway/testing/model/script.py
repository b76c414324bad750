"""What a scripted model says: turns, made of things to say and tools to call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["completed", "failed", "incomplete", "cancelled"]
"""How a response ends (``RealtimeResponse.status``)."""

SECONDS_PER_WORD = 0.35


@dataclass(frozen=True, slots=True)
class Say:
    """One message item: ``seconds`` of numbered audio with ``text`` as its transcript.

    ``audio`` (G.711 mu-law) replaces the numbered frames; ``silent`` makes them silence.
    """

    text: str
    seconds: float | None = None
    audio: bytes | None = None
    silent: bool = False

    @property
    def frames(self) -> int:
        """How many 20 ms frames it lasts, where ``audio`` does not say."""
        seconds = SECONDS_PER_WORD * max(1, len(self.text.split())) if self.seconds is None else self.seconds
        return round(seconds * 50)


@dataclass(frozen=True, slots=True)
class CallTool:
    """One function call item; ``arguments`` is JSON text, not necessarily valid."""

    name: str
    arguments: str = "{}"
    call_id: str | None = None


Part: TypeAlias = Say | CallTool


@dataclass(frozen=True, slots=True)
class Turn:
    """One response: its items in order, and how it ends. Turns add up: ``say("One moment.") + call_tool("find")``.

    ``reason`` is that of ``RealtimeResponseStatus`` for an incomplete or cancelled response, and the error's code
    for a failed one. ``delay`` replaces the time in seconds until the first output.
    """

    parts: tuple[Part, ...] = ()
    status: Status = "completed"
    reason: str | None = None
    delay: float | None = None

    def __add__(self, other: Turn) -> Turn:
        """Join two turns into one response, which ends like the later one."""
        delay = self.delay if self.delay is not None else other.delay
        return replace(other, parts=self.parts + other.parts, delay=delay)


def turn_from(data: Any) -> Turn:
    """Read a turn from JSON; a list of turns makes one response.

    ``{"say": "Hi", "seconds": 2}``, ``{"call": "find", "arguments": {}}``, ``{"hand_over": "faq"}``,
    ``{"fail": "server_error"}``, ``{"nothing": true}``.
    """
    if isinstance(data, list):
        turns = [turn_from(each) for each in data]
        return sum(turns[1:], turns[0]) if turns else nothing()
    match data:
        case {"say": text}:
            return say(text, data.get("seconds"))
        case {"call": name}:
            return call_tool(name, data.get("arguments"))
        case {"hand_over": agent}:
            return hand_over(agent)
        case {"fail": code}:
            return fail(code)
        case {"nothing": _}:
            return nothing()
        case _:
            raise ValueError(f"not a turn: {data!r}")


def say(text: str, seconds: float | None = None, *, audio: bytes | None = None) -> Turn:
    """Speak ``text`` for ``seconds`` (by default as long as its words take)."""
    return Turn((Say(text, seconds, audio),))


def silence(seconds: float, text: str = "") -> Turn:
    """Answer with audio that holds nothing to hear."""
    return Turn((Say(text, seconds, silent=True),))


def call_tool(name: str, arguments: Mapping[str, Any] | str | None = None, *, call_id: str | None = None) -> Turn:
    """Call a function with ``arguments``: a mapping, or raw text that may be broken JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(dict(arguments or {}))
    return Turn((CallTool(name, text, call_id),))


def hand_over(agent: str) -> Turn:
    """Call the tool by which the Agents SDK hands a conversation over to ``agent``."""
    return call_tool("transfer_to_" + re.sub(r"[^a-z0-9]", "_", agent.lower()))


def nothing() -> Turn:
    """Answer with a response that has no output."""
    return Turn()


def fail(code: str = "server_error") -> Turn:
    """Answer with a failed response: ``rate_limit_exceeded``, ``server_error``, ``insufficient_quota`` ..."""
    return Turn(status="failed", reason=code)


def incomplete(reason: Literal["content_filter", "max_output_tokens"], said: Turn | None = None) -> Turn:
    """Answer with ``said``, then break off as incomplete."""
    return replace(said or Turn(), status="incomplete", reason=reason)


def cancelled(said: Turn, reason: Literal["turn_detected", "client_cancelled"] = "turn_detected") -> Turn:
    """Answer with ``said``, then cancel the response from the server's side."""
    return replace(said, status="cancelled", reason=reason)
