"""The truth about a call: what was sent, received, played and thrown away, and when.

All times are milliseconds on the carrier's clock since the call was answered; ``arrived`` is ``time.monotonic()`` at
the moment a message reached this process, before the hidden delay. Bytes are counted per stream, over the payload of
all accepted ``media`` messages in the order received; 8 bytes are one millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class FrameSent:
    """One inbound frame: ``at_ms`` is when its 20 ms were over, ``late_ms`` how much later it left this process."""

    stream: int
    chunk: int
    timestamp_ms: int
    at_ms: float
    late_ms: float


@dataclass(frozen=True, slots=True)
class Received:
    """One ``media`` message of the gateway: its bytes are ``[first, end)`` of the stream's."""

    stream: int
    first: int
    end: int
    at_ms: float
    arrived: float


@dataclass(slots=True)
class Played:
    """Bytes ``[first, end)`` were heard from ``from_ms`` to ``to_ms`` without a gap."""

    stream: int
    first: int
    end: int
    from_ms: float
    to_ms: float


@dataclass(frozen=True, slots=True)
class Discarded:
    """Bytes ``[first, end)`` were never heard."""

    stream: int
    first: int
    end: int
    at_ms: float
    why: Literal["clear", "overflow", "stop"]


@dataclass(frozen=True, slots=True)
class Cleared:
    """A ``clear``: of ``received`` bytes ``played`` had been heard; ``marks`` were sent back unheard."""

    stream: int
    at_ms: float
    arrived: float
    received: int
    played: int
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarkReached:
    """A mark behind byte ``position`` was due at ``at_ms``, since all was played, or (not ``played``) by a clear."""

    stream: int
    name: str
    position: int
    at_ms: float
    played: bool


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning or error of the carrier's dictionary."""

    code: int
    message: str
    at_ms: float = 0.0
    stream: int = 0


@dataclass(frozen=True, slots=True)
class Requested:
    """A request to a webhook, with what was signed and what came back (``status`` 0: no answer)."""

    kind: str
    method: str
    url: str
    parameters: dict[str, str]
    headers: dict[str, str]
    status: int
    body: str
    took_ms: float
    at_ms: float


@dataclass(frozen=True, slots=True)
class Followed:
    """A TwiML verb was begun; ``nouns`` are the elements within it: name, attributes, text."""

    verb: str
    attributes: dict[str, str]
    text: str
    at_ms: float
    nouns: tuple[tuple[str, dict[str, str], str], ...] = ()


@dataclass(slots=True)
class CallLog:
    """Everything of one call, in the order of happening within each list."""

    frames: list[FrameSent] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    played: list[Played] = field(default_factory=list)
    discarded: list[Discarded] = field(default_factory=list)
    clears: list[Cleared] = field(default_factory=list)
    marks: list[MarkReached] = field(default_factory=list)
    digits: list[tuple[str, float]] = field(default_factory=list)
    refused: list[tuple[Any, int, str]] = field(default_factory=list)
    """Messages of the gateway that were refused: the message, the code, why. Unlike warnings, every one is here."""
    warnings: list[Warned] = field(default_factory=list)
    errors: list[Warned] = field(default_factory=list)
    requests: list[Requested] = field(default_factory=list)
    verbs: list[Followed] = field(default_factory=list)

    def add_played(self, stream: int, first: int, end: int, from_ms: float) -> None:
        """Add bytes that were heard, to the last entry where they continue it."""
        to_ms = from_ms + (end - first) / 8
        last = self.played[-1] if self.played else None
        if last and last.stream == stream and last.end == first and abs(last.to_ms - from_ms) < 1e-6:  # noqa: PLR2004
            last.end, last.to_ms = end, to_ms
        else:
            self.played.append(Played(stream, first, end, from_ms, to_ms))

    def heard_bytes(self, stream: int, at_ms: float) -> int:
        """How many bytes of the stream had been heard at that time."""
        total = 0
        for piece in self.played:
            if piece.stream == stream and piece.from_ms < at_ms:
                total += min(piece.end - piece.first, int((at_ms - piece.from_ms) * 8))
        return total

    def heard_at(self, stream: int, byte: int) -> float | None:
        """When this byte of the stream was heard, or None: never."""
        for piece in self.played:
            if piece.stream == stream and piece.first <= byte < piece.end:
                return piece.from_ms + (byte - piece.first) / 8
        return None

    def requested(self, kind: str) -> list[Requested]:
        """The requests to webhooks of one kind: voice, fallback, action, redirect, status, stream-status."""
        return [request for request in self.requests if request.kind == kind]

    def codes(self) -> list[int]:
        """The carrier's codes of all warnings and errors, sorted."""
        return sorted(entry.code for entry in (*self.warnings, *self.errors))

    def verb_names(self) -> list[str]:
        """The verbs that were followed, in order."""
        return [entry.verb for entry in self.verbs]
