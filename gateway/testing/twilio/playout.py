"""The carrier's playing of one stream, without a clock: audio and marks queue up, time passes, bytes are heard."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

SAMPLES_PER_MS = 8
LONGEST = 10 * 60 * 1000 * SAMPLES_PER_MS
"""Error 31931: more than ten minutes of buffered audio are discarded."""


class Listener(Protocol):
    """Who is told; times are samples (eighths of a millisecond) of the carrier's clock."""

    def heard(self, data: memoryview, first: int, at: int) -> None:
        """These bytes, number ``first`` and following of the stream, were heard from ``at`` on."""

    def mark_reached(self, name: str, position: int, at: int, *, played: bool) -> None:
        """The mark behind byte ``position`` is due."""


@dataclass(slots=True)
class _Audio:
    data: memoryview
    first: int


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str
    position: int


class Playout:
    """A FIFO of audio and marks that is heard in real time ("WebSocket Messages": buffered, played in order).

    Every method takes the present as samples of the carrier's clock, never less than the time before.
    """

    def __init__(self, listener: Listener, *, start_delay: int) -> None:
        self._listener = listener
        self._start_delay = start_delay
        self._queue: deque[_Audio | _Mark] = deque()
        self._cursor = 0  # when the next queued byte is heard
        self.buffered = 0
        self.received = 0
        self.played = 0

    def receive(self, data: bytes, at: int) -> int:
        """Queue audio; return how many bytes at its end did not fit and are lost."""
        self.advance(at)
        lost = max(0, self.buffered + len(data) - LONGEST)
        kept = len(data) - lost
        if kept:
            if not self.buffered:
                self._cursor = at + self._start_delay
            self._queue.append(_Audio(memoryview(data)[:kept], self.received))
            self.buffered += kept
        self.received += len(data)
        return lost

    def mark(self, name: str, at: int) -> None:
        """Queue a mark; with nothing buffered it is due at once."""
        self.advance(at)
        if self.buffered:
            self._queue.append(_Mark(name, self.received))
        else:
            self._listener.mark_reached(name, self.received, at, played=True)

    def clear(self, at: int) -> tuple[list[tuple[int, int]], list[str]]:
        """Throw away what is queued, its marks being due now; return the byte ranges and marks that were."""
        self.advance(at)
        ranges: list[tuple[int, int]] = []
        marks = [entry for entry in self._queue if isinstance(entry, _Mark)]
        for entry in self._queue:
            if isinstance(entry, _Audio):
                end = entry.first + len(entry.data)
                if ranges and ranges[-1][1] == entry.first:
                    ranges[-1] = (ranges[-1][0], end)
                else:
                    ranges.append((entry.first, end))
        self._queue.clear()
        self.buffered = 0
        for entry in marks:
            self._listener.mark_reached(entry.name, entry.position, at, played=False)
        return ranges, [entry.name for entry in marks]

    def advance(self, to: int) -> None:
        """Let time pass: bytes are heard and marks fall due, each at its own time."""
        while self._queue:
            head = self._queue[0]
            if isinstance(head, _Mark):
                if self._cursor > to:
                    return
                self._queue.popleft()
                self._listener.mark_reached(head.name, head.position, self._cursor, played=True)
                continue
            count = min(len(head.data), to - self._cursor)
            if count <= 0:
                return
            self._listener.heard(head.data[:count], head.first, self._cursor)
            self._cursor += count
            self.buffered -= count
            self.played += count
            if count == len(head.data):
                self._queue.popleft()
            else:
                head.data = head.data[count:]
                head.first += count

    def next_mark(self) -> int | None:
        """When the next mark is due if nothing else happens."""
        ahead = 0
        for entry in self._queue:
            if isinstance(entry, _Mark):
                return self._cursor + ahead
            ahead += len(entry.data)
        return None
