"""A call that several processes carried, one after the other, as one: told on the clock of the first.

Each process begins its part of the log with a header of its own, and counts moments and events anew from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gateway.call import events as e
from gateway.call.turns import Turn
from gateway.errors import LogError
from gateway.store.log_lines import Closed, Entry, Header, Line, Note, Settled, TrackerRead, read_log

PROCESS_LOST = "process-lost"
"""The note at the moment from which on nothing is known until another process takes over."""


def parts(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield what each process wrote of a call, its header first."""
    part: list[Line] = []
    for line in lines:
        if isinstance(line, Header) and part:
            yield part
            part = []
        part.append(line)
    if part:
        yield part


def on_one_clock(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines of a log as if one process had written them, with the first header alone.

    Where a process was lost, its stream has stopped, and a note says so. That the record was closed then, and opened
    again by who took the call up, is left out.
    """
    first: Header | None = None
    clock = _Clock()
    for line in lines:
        if not isinstance(line, Header):
            yield from clock.told(line)
        elif first is None:
            first = line
            yield line
        else:
            yield from clock.taken_up(line.wall - first.wall)
    if clock.closed is not None:
        yield clock.closed


def recording_began(path: Path, header: Header) -> float | None:
    """Return when the recording of a call began, in seconds on the clock of a process that takes it up.

    Args:
        path: the call's log.
        header: what the process wrote of itself.

    Returns:
        The moment of the call's first stream; None where the log does not tell.
    """
    wall: float | None = None
    try:
        for line in read_log(path, audio=False):
            if isinstance(line, Header):
                wall = line.wall
            elif wall is not None and isinstance(line, Entry) and isinstance(line.event, e.StreamStarted):
                return wall + line.at - header.wall
    except LogError:
        return None  # erased meanwhile, or damaged: the recording goes on where it ends
    return None


class _Clock:
    """Moves what a process told to the call's own clock."""

    def __init__(self) -> None:
        self.closed: Closed | None = None
        self._shift = 0.0
        self._base = self._number = 0
        self._at = 0.0
        self._stream = 0

    def told(self, line: Line) -> Iterator[Line]:
        """Take a line, and yield it as it is on the call's clock; the end of the record is kept for the end."""
        moved = self._moved(line) if self._shift or self._base else line
        assert not isinstance(moved, Header)  # noqa: S101 - the caller takes these
        self._at = moved.at
        match moved:
            case Entry(number, _, event):
                self._number = number
                if isinstance(event, e.StreamStarted):
                    self._stream = event.stream
                elif isinstance(event, e.StreamStopped) and event.stream == self._stream:
                    self._stream = 0
            case Closed():
                self.closed = moved
                return
            case _:
                pass
        yield moved

    def taken_up(self, shift: float) -> Iterator[Line]:
        """Say how the part before ended; the next one's zero is ``shift`` seconds after the call's."""
        if self._stream:
            yield Entry(self._number, self._at, e.StreamStopped(self._stream, "superseded"), [])
        if self.closed is not None:
            yield from (Settled(self.closed.at, turn) for turn in self.closed.turns)
        yield Note(self._at, PROCESS_LOST, {"seconds": max(shift - self._at, 0.0)})
        self.closed, self._stream = None, 0
        self._shift, self._base = shift, self._number

    def _moved(self, line: Line) -> Line:
        at = self._shift
        match line:
            case Entry() | TrackerRead():
                return replace(line, number=line.number + self._base, at=line.at + at)
            case Settled(moment, turn):
                return Settled(moment + at, _later(turn, at))
            case Closed(moment, turns=turns):
                return replace(line, at=moment + at, turns=_all_later(turns, at))
            case Note():
                return replace(line, at=line.at + at)
            case Header():
                return line


def _all_later(turns: Sequence[Turn], seconds: float) -> tuple[Turn, ...]:
    return tuple(_later(turn, seconds) for turn in turns)


def _later(turn: Turn, seconds: float) -> Turn:
    return replace(turn, began=turn.began + seconds, ended=None if turn.ended is None else turn.ended + seconds)
