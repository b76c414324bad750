"""The deadlines of a call: moments that it names, and that somebody else waits for."""

from __future__ import annotations

from enum import StrEnum


class Deadline(StrEnum):
    """What a call may be waiting for."""

    NO_STREAM = "no-stream"
    MODEL_READY = "model-ready"
    LONGEST = "longest"
    SILENCE = "silence"
    SPEECH = "speech"
    KEYPAD = "keypad"
    APPROVAL = "approval"
    RESPONSE = "response"
    RETRY = "retry"
    OWED = "owed"
    LAST_WORD = "last-word"
    LAST_WORD_LIMIT = "last-word-limit"
    CARRIER = "carrier"
    DETACHED = "detached"
    AGENT_IDLE = "agent-idle"


class Deadlines:
    """A few named moments, in seconds of the ``now`` that comes with events."""

    __slots__ = ("_at", "soonest")

    def __init__(self) -> None:
        self._at: dict[Deadline, float] = {}
        self.soonest: float | None = None
        """The moment to wait for; None where the call waits for nothing."""

    def set(self, name: Deadline, at: float) -> None:
        """Name a moment, in place of the one that this deadline had."""
        self._at[name] = at
        self.soonest = min(self._at.values())

    def clear(self, *names: Deadline) -> None:
        for name in names:
            self._at.pop(name, None)
        self.soonest = min(self._at.values(), default=None)

    def clear_all(self) -> None:
        self._at.clear()
        self.soonest = None

    def __contains__(self, name: Deadline) -> bool:
        return name in self._at

    def take_due(self, now: float) -> list[Deadline]:
        """Remove and return the deadlines that have come, the earliest first."""
        due = sorted((name for name, at in self._at.items() if at <= now), key=lambda name: self._at[name])
        self.clear(*due)
        return due
