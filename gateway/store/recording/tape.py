"""The timeline of a recording: where on it a caller's frame and a piece of the agent's audio belong.

Theory of operation. Time is the carrier's clock, 8 samples to a millisecond, from the first sample of the call's first
stream. A caller's frame stands at its own timestamp, so that what was lost on the way stays silence. The agent's audio
stands where the playout ledger sees it: it says at which time a position of all that was played is heard
(:class:`gateway.call.playout.Placed`), says it better with each echo of a mark, and says where a cut was.

So the last moments of the tape may still change. They are the *window*: whoever writes the tape down takes the whole
window each time and lays it over what he wrote before; :meth:`Tape.settle` then lets go of all but its last part.
"""

from __future__ import annotations

import math
from binascii import a2b_base64
from collections import deque
from dataclasses import dataclass, field

from gateway.audio.frames import BYTES_PER_MS, SAMPLE_RATE, SILENCE_BYTE
from gateway.call.playout import Placed

LAG = 600 * BYTES_PER_MS
"""Samples of the window: what the next echoes of marks teach is believed for audio that is no older."""
EARLIER, LATER = 10 * BYTES_PER_MS, 30 * BYTES_PER_MS
"""Audio that plays on is not moved for less than this, which would be a click. Echoes come late, never early."""
AHEAD = 5 * SAMPLE_RATE
"""A frame may be this far ahead of our own clock; beyond that its timestamp is nonsense."""
BEHIND = SAMPLE_RATE
"""Without frames of the caller the tape goes on by our own clock, this much behind."""
_SILENCE = bytes([SILENCE_BYTE])


@dataclass(slots=True)
class _Piece:
    """Audio on its way to the ear: base64 text until it is needed."""

    position: int
    size: int
    payload: str = ""
    audio: bytes = b""

    def sound(self) -> bytes:
        if not self.audio:
            self.audio, self.payload = _decoded(self.payload, self.size), ""
        return self.audio


@dataclass(slots=True)
class _Run:
    """Audio that plays without a gap: the byte at ``position`` and those after it stand at ``offset`` + position."""

    position: int
    offset: int
    before: _Run | None = None
    settled: bool = False


@dataclass(slots=True)
class Tape:
    """One call's timeline. ``now`` is seconds of the call's own clock; lengths are samples."""

    start: int = 0
    """Where the window begins: what lies before it is final."""
    end: int = 0
    """Where the tape ends by now."""
    _caller: bytearray = field(default_factory=bytearray)
    _pieces: deque[_Piece] = field(default_factory=deque)
    _runs: list[_Run] = field(default_factory=list)
    _muted: list[tuple[int, float]] = field(default_factory=list)
    _bases: dict[int, int] = field(default_factory=dict)
    _base: int = 0
    _first: float = 0.0
    _began: float = 0.0
    _sent: int = 0
    _uncut_since: int = 0
    _live: bool = False

    @property
    def first(self) -> float:
        """When it began: the first stream's start."""
        return self._first

    @property
    def paused(self) -> bool:
        """Whether what is said now is left out."""
        return bool(self._muted) and self._muted[-1][1] == math.inf

    # ---- Streams ----------------------------------------------------------------------------------------------------

    def stream_started(self, stream: int, now: float) -> None:
        """Begin another media stream, once the window was written: its time 0 is now."""
        if not self._bases:
            self._first = now
        self._began, self._live = now, True
        # What was before is written down by now; the time between streams is silence that nobody has to hold.
        self.start = self.end = self._bases[stream] = max(self.end, round((now - self._first) * SAMPLE_RATE))
        self._base = self.start
        self._caller.clear()
        self._pieces.clear()

    def stream_stopped(self) -> None:
        """Stop the clock until there is another stream."""
        self._live = False

    def passed(self, now: float) -> None:
        """Let the tape go on where frames no longer tell the time."""
        if self._live:
            self.end = max(self.end, self._base + round((now - self._began) * SAMPLE_RATE) - BEHIND)

    # ---- Sound ------------------------------------------------------------------------------------------------------

    def caller(self, timestamp_ms: int, payload: str, size: int, now: float) -> None:
        """Put down a frame of the caller."""
        self._lay(timestamp_ms, _decoded(payload, size), now)

    def frames(self, timestamp_ms: int, payloads: list[str], size: int, now: float) -> None:
        """Put down frames of one size that follow each other."""
        self._lay(timestamp_ms, b"".join([_decoded(payload, size) for payload in payloads]), now)

    def _lay(self, timestamp_ms: int, audio: bytes, now: float) -> None:
        at, size = self._base + timestamp_ms * BYTES_PER_MS, len(audio)
        place = at - self.start
        if at == self.end and place == len(self._caller) and self._live:
            self._caller += audio  # as nearly all do
            self.end = at + size
            return
        if not self._live or at < self.start or at > self._base + (now - self._began) * SAMPLE_RATE + AHEAD:
            return
        if place > len(self._caller):
            self._caller += _SILENCE * (place - len(self._caller))
        self._caller[place : place + len(audio)] = audio
        self.end = max(self.end, at + size)

    def agent(self, payload: str, size: int) -> None:
        """Take audio that was sent towards the ear."""
        self._pieces.append(_Piece(self._sent, size, payload))
        self._sent += size

    def placed(self, news: Placed) -> None:
        """Take what the ledger has learned of where that audio is heard."""
        if news.cut:
            self._cut(news.position)
            return
        offset = self._bases.get(news.stream, 0) + round(news.carrier_ms * BYTES_PER_MS) - news.position
        run = self._run(news.position)
        if run is None or run.position != news.position:
            before = run if run is not None and self._uncut_since <= run.position else None
            if before is not None:
                before.before = None  # no chain of all that ever was
            run = _Run(news.position, offset, before)
            self._runs.append(run)
        if run.before is not None and not _moved(run.before, offset):
            offset = run.before.offset
        if not run.settled or _moved(run, offset):
            run.offset = offset

    def _cut(self, position: int) -> None:
        pieces = self._pieces
        while pieces and pieces[-1].position >= position:
            pieces.pop()
        if pieces and pieces[-1].position + pieces[-1].size > position:
            last = pieces[-1]
            last.audio = last.sound()[: position - last.position]
            last.size = position - last.position
        self._runs = [run for run in self._runs if run.position < position]
        self._sent = self._uncut_since = position

    # ---- What may not be kept ---------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Leave out what is said from now on; the tape goes on in silence."""
        if not self.paused:
            self._muted.append((self.end, math.inf))

    def resume(self) -> None:
        if self.paused:
            self._muted[-1] = (self._muted[-1][0], self.end)

    def mask(self, seconds: float) -> tuple[int, int]:
        """Leave out the last seconds too; returns from where to where they are on the tape."""
        stretch = (max(0, self.end - round(seconds * SAMPLE_RATE)), self.end)
        self._muted.insert(0, stretch)
        return stretch

    # ---- Out --------------------------------------------------------------------------------------------------------

    def window(self) -> tuple[bytes, bytes]:
        """Both channels from ``start`` to ``end`` as they are known by now, the caller's first."""
        length = self.end - self.start
        caller = bytearray(self._caller[:length].ljust(length, _SILENCE))
        agent = bytearray(_SILENCE * length)
        for piece in self._pieces:
            run = self._run(piece.position)
            if run is None:
                continue
            at = run.offset + piece.position - self.start
            if at >= length:
                break
            audio = piece.sound()[max(-at, 0) : length - at]
            agent[max(at, 0) : max(at, 0) + len(audio)] = audio
        for begins, ends in self._muted:
            first, last = max(begins - self.start, 0), min(int(min(ends, self.end)) - self.start, length)
            if first < last:
                caller[first:last] = agent[first:last] = _SILENCE * (last - first)
        return bytes(caller), bytes(agent)

    def settle(self, lag: int = LAG) -> None:
        """Let go of what will not change any more."""
        start = max(self.end - lag, self.start)
        del self._caller[: start - self.start]
        self.start = start
        pieces = self._pieces
        while pieces:
            run = self._run(pieces[0].position)
            if run is None or run.offset + pieces[0].position + pieces[0].size > start:
                break
            run.settled = True
            pieces.popleft()
        first = self._run(pieces[0].position if pieces else self._sent)
        if first is not None:
            self._runs = [run for run in self._runs if run.position >= first.position]
        self._muted = [stretch for stretch in self._muted if stretch[1] > start]

    def _run(self, position: int) -> _Run | None:
        found = None
        for run in self._runs:
            if run.position <= position:
                found = run if found is None or run.position >= found.position else found
        return found


def _moved(run: _Run, offset: int) -> bool:
    return not -EARLIER <= offset - run.offset <= LATER


def _decoded(payload: str, size: int) -> bytes:
    """The audio of a payload; silence where it is not what it should be, as the ear had it."""
    try:
        audio = a2b_base64(payload)
    except ValueError:
        return _SILENCE * size
    return audio if len(audio) == size else audio[:size].ljust(size, _SILENCE)
