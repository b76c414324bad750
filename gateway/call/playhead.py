"""Where the carrier's playback is: which byte of all that was sent reaches the ear at which time of its clock.

Theory of operation
-------------------
The carrier queues what we send and plays it at 8 bytes a millisecond, without a gap as long as the queue lasts. So
within one *run* (from audio that found the queue empty until the queue runs dry) playback is a straight line: byte
``p`` is heard at ``line + p / 8``, and all that has to be known of a run is ``line``. Two readings of it:

* before any mark is back, the audio's arrival plus the carrier's start delay. The arrival is the echo of a mark sent
  just before it on the empty queue (which comes straight back), or until then the time of sending plus a round trip;
* the echo of a mark at byte ``p``, timed at ``t``, gives ``t - p / 8``. Echoes may be late but never early, so the
  smallest of the last few counts. A queue that may have run dry in between starts a new run, and with it afresh.

All times are readings of ``CarrierClock``, which lag the carrier's true clock by the (unknown) fastest delay back.
That delay cancels between two readings. What we send now arrives at reading + round trip, where the round trip is an
idle mark's echo minus the reading at its sending: there lies the cut of a ``clear``. So no delay has to be known one
way, and a constant lateness of echoes cancels too. Where marks never come back, the guess of the round trip cancels as
well, and what stays uncertain is the start delay.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Literal, TypeAlias

from gateway.audio.frames import BYTES_PER_MS
from gateway.call.carrier_clock import CarrierClock
from gateway.call.commands import Mark
from gateway.call.spoken import Placed

Echo: TypeAlias = Literal["heard", "cleared", "stray"]
"""What the echo of a mark was worth: it moved the playhead; it is older than the last clear; it is unknown, doubled
or out of order. Only the first counts."""

FIRST_MARK = 480
"""Bytes of a run before its first mark: 60 ms, and at most 100 ms where a piece would have to be cut for it."""
MARK_EVERY = 1440
"""Bytes between marks, 180 ms: a multiple of the 480 bytes at which base64 can be cut."""
MARK_SLACK = 320
"""A piece that is no longer than this beyond the next mark's place is not cut for it."""
MOST_MARKS = 512
"""Marks that may be outstanding; no more are sent until echoes come."""
GIVEN_UP = 5000 * BYTES_PER_MS
"""An outstanding mark this far behind the playhead will not come back any more."""
THIN_MS = 80.0
"""With less than this queued, small errors decide whether the queue has run dry."""
SURE_MS = 120.0
"""Where the queue must have been dry for longer than this, it was."""
ROUND_TRIP_MS = 120.0
START_DELAY_MS = 75.0
"""What is assumed until it is learned."""
LONGEST_START_MS = 500.0
NEVER = float("-inf")
_NEWS = 32  # of where audio is, where nobody takes them out; one event makes a few at most
LATE_MS = 80.0
"""An idle mark's echo that takes this much longer than a round trip says no more about when the audio arrived."""


class _Run:
    """Audio that plays without a gap, from byte ``start`` on."""

    __slots__ = ("idle_ms", "joined", "lines", "sent_at", "start", "sure")

    def __init__(self, start: int, sent_at: float, joined: _Run | None, *, sure: bool) -> None:
        self.start = start
        self.sent_at = sent_at
        self.joined = joined
        self.sure = sure
        self.idle_ms: float | None = None
        self.lines: tuple[float, ...] = ()  # of the newest few echoes


class _Sent:
    """An outstanding mark."""

    __slots__ = ("idle", "name", "number", "position", "run", "sent_at")

    def __init__(self, name: str, number: int, position: int, run: _Run, sent_at: float, *, idle: bool) -> None:
        self.name = name
        self.number = number
        self.position = position
        self.run = run
        self.sent_at = sent_at
        self.idle = idle


class Playhead:
    """The playback of one media stream. Positions are bytes; they count what was heard, and what is queued behind.

    Attributes:
        clock: the carrier's.
        sent: the end of what was sent and not cleared.
        confirmed: the position that echoes have proved.
        round_trip: milliseconds to the carrier and back.
        start_delay: milliseconds from the arrival of audio on an empty queue to its being heard.
        echoes: marks of this stream that came back and counted; ``cleared`` and ``stray`` count the others.
        placed: what was learned of where audio is, since somebody took it out.
    """

    __slots__ = (
        "_ample",
        "_delays",
        "_epoch",
        "_marked",
        "_marks",
        "_next_mark",
        "_number",
        "_round_trips",
        "_runs",
        "cleared",
        "clock",
        "confirmed",
        "echoes",
        "placed",
        "round_trip",
        "sent",
        "start_delay",
        "stray",
        "stream",
    )

    def __init__(self) -> None:
        self.clock = CarrierClock(0.0)
        self.stream = self._epoch = self._number = 0
        self.sent = self.confirmed = self._marked = self._next_mark = 0
        self.echoes = self.cleared = self.stray = 0
        self._ample = NEVER  # ms of our clock, plus what was sent: until then the queue is no cause for a closer look
        self.round_trip, self.start_delay = ROUND_TRIP_MS, START_DELAY_MS
        self._round_trips: tuple[float, ...] = ()  # the newest few
        self._delays: tuple[float, ...] = ()
        self.placed: deque[Placed] = deque(maxlen=_NEWS)
        self._marks: deque[_Sent] = deque()
        self._runs: deque[_Run] = deque()

    # ---- Sending ----------------------------------------------------------------------------------------------------

    def begin(self, stream: int, now: float) -> None:
        """Begin with a new stream; delays learned on the one before are the first guess."""
        self.stream, self._epoch, self._number, self.echoes = stream, 0, 0, 0
        self.clock = CarrierClock(now)
        self._round_trips = self._delays = ()

    def empty(self, position: int, carrier_ms: float) -> None:
        """What lies behind ``position`` is gone from the carrier's queue; echoes of marks sent before count no more."""
        self.placed.append(Placed(self.stream, position, carrier_ms, cut=True))
        self._epoch += 1
        self._ample = NEVER
        self._marks.clear()
        self._runs.clear()
        self.sent = self.confirmed = self._marked = position

    def ready(self, now: float) -> Mark | None:
        """Call before audio is sent: the mark that is to go before it where the queue is believed empty."""
        if now * 1000.0 < self._ample + self.sent / BYTES_PER_MS:
            return None
        if not self._runs:
            return self._new_run(now, sure=True)
        run = self._runs[-1]
        spare = self._line(run) + self.sent / BYTES_PER_MS - self.clock.read(now) - self.round_trip
        if spare < 0:
            return self._new_run(now, sure=spare < -SURE_MS)
        if spare < THIN_MS and self._marked > run.start:
            root = run.joined if run.joined and not run.lines else run
            self._runs.append(_Run(self.sent, now, root, sure=False))
            self._next_mark = self.sent + FIRST_MARK
        self._ample = now * 1000.0 + spare - THIN_MS - self.sent / BYTES_PER_MS
        return None

    @property
    def room(self) -> int:
        """How many bytes may go before the next mark is wanted."""
        return self._next_mark - self.sent

    def added(self, size: int, now: float) -> Mark | None:
        """Count ``size`` bytes as sent; the mark that is to follow them, if one is due."""
        self.sent += size
        return self.mark(now) if self.sent >= self._next_mark else None

    def mark(self, now: float) -> Mark | None:
        """A mark behind all that was sent, unless one is there, or too many are outstanding."""
        if self._marked == self.sent or not self._runs:
            return None
        return self._mark(now, self._runs[-1], idle=False)

    def _new_run(self, now: float, *, sure: bool) -> Mark | None:
        run = _Run(self.sent, now, None, sure=sure)
        self._runs.append(run)
        self._place(run)
        mark = self._mark(now, run, idle=True)
        self._next_mark = self.sent + FIRST_MARK
        return mark

    def _mark(self, now: float, run: _Run, *, idle: bool) -> Mark | None:
        self._next_mark = self.sent + MARK_EVERY
        marks = self._marks
        if len(marks) >= MOST_MARKS:
            if self.position(self.clock.read(now)) - marks[0].position < GIVEN_UP:
                return None
            marks.popleft()
        self._number += 1
        self._marked = self.sent
        name = f"{self.stream}.{self._epoch}:{self._number}"
        marks.append(_Sent(name, self._number, self.sent, run, now, idle=idle))
        return Mark(name)

    # ---- Echoes -----------------------------------------------------------------------------------------------------

    def reached(self, name: str, now: float) -> Echo:
        """Take an echo; where it counts, ``confirmed`` has moved to the mark's place."""
        marks = self._marks
        if not marks or marks[0].name != name:
            worth = self._skip_to(name)
            if worth != "heard":
                return worth
        mark = marks.popleft()
        run, at = mark.run, self.clock.echo(now)
        self.echoes += 1
        self._ample = NEVER
        self.confirmed = mark.position
        if mark.idle:
            run.idle_ms = at
            if run.sure:
                self._round_trips = (*self._round_trips[-15:], at - self.clock.read(mark.sent_at))
                self.round_trip = max(min(self._round_trips), 0.0)
            self._place(run)
            return "heard"
        line = at - mark.position / BYTES_PER_MS
        onset = line + run.start / BYTES_PER_MS - self.clock.read(run.sent_at)
        if onset < self.round_trip:  # the idle mark's echo was late: the audio would have been heard before it came
            self._round_trips = (*self._round_trips[-15:], onset)
            self.round_trip = max(onset, 0.0)
        if run.sure and not run.lines and run.idle_ms is not None:
            delay = line + run.start / BYTES_PER_MS - run.idle_ms
            self._delays = (*self._delays[-8:], min(max(delay, 0.0), LONGEST_START_MS))
            self.start_delay = median(self._delays)
        run.lines = (*run.lines[-3:], line)
        run.joined = None
        self._place(run)
        return "heard"

    def _place(self, run: _Run) -> None:
        self.placed.append(Placed(self.stream, run.start, self._line(run) + run.start / BYTES_PER_MS))

    def _skip_to(self, name: str) -> Echo:
        """Bring the mark of this name to the front: those before it were skipped. Says what the echo is worth."""
        stream, _, rest = name.partition(".")
        epoch, _, number = rest.partition(":")
        try:
            born, at = (int(stream), int(epoch)), int(number)
        except ValueError:
            born, at = (self.stream, self._epoch), 0
        marks = self._marks
        if born < (self.stream, self._epoch):
            self.cleared += 1
            return "cleared"
        if born == (self.stream, self._epoch) and marks and marks[0].number <= at <= marks[-1].number:
            while marks[0].number < at:
                marks.popleft()
            if marks[0].name == name:
                return "heard"
        self.stray += 1
        return "stray"

    # ---- Reading ----------------------------------------------------------------------------------------------------

    def position(self, carrier_ms: float) -> float:
        """The byte that is at the ear at a time of the carrier's clock."""
        end: float = self.sent
        for run in reversed(self._runs):
            position = (carrier_ms - self._line(run)) * BYTES_PER_MS
            if position >= run.start:
                return min(position, end)
            end = run.start
        return end

    def time(self, position: int, *, ending: bool = False) -> float:
        """The time of the carrier's clock at which a byte is heard; ``ending``: at which the one before it has been.

        Only for bytes since the last ``empty``.
        """
        runs = self._runs
        for run in reversed(runs):
            if run.start < position or (run.start == position and not ending):
                break
        else:
            run = runs[0]
        return self._line(run) + position / BYTES_PER_MS

    def drained(self) -> float | None:
        """The time of the carrier's clock at which all that was sent has been heard; None after ``empty``."""
        return self._line(self._runs[-1]) + self.sent / BYTES_PER_MS if self._runs else None

    def forget(self, position: int) -> None:
        """Runs that ended before a position will not be asked for again."""
        runs = self._runs
        while len(runs) > 1 and runs[1].start <= position:
            runs.popleft()

    def _line(self, run: _Run) -> float:
        if run.lines:
            return min(run.lines)
        if run.joined is not None:
            return self._line(run.joined)
        arrived = self.clock.read(run.sent_at) + self.round_trip
        if run.idle_ms is not None:
            arrived = min(run.idle_ms, arrived + LATE_MS)
        return arrived + self.start_delay - run.start / BYTES_PER_MS
