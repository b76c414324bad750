"""The input audio buffer of one session: positions, turns, and recognition begun before the turn is surely over."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gateway.local.engine import Engine
from gateway.local.options import TurnRules
from gateway.local.sound import SAMPLES_PER_MS, Format, Samples, decoder, nothing
from gateway.local.vad import WINDOW, Heard, TurnDetector

_BATCH = 16 * WINDOW
_KEPT_QUIET_MS = 1000
_LONGEST_MS = 15 * 60_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the caller's audio that became an item: samples at 8 kHz, positions in ms since the session began."""

    samples: Samples
    start_ms: float
    end_ms: float
    guess: asyncio.Task[str] | None = None

    @property
    def duration_ms(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLES_PER_MS


class Hearing:
    """Takes the caller's audio in and finds the turns in it.

    Args:
        engine: the speech parts.
        tasks: owns the guesses.
        heard: called at once for every begin (STARTED) and end (STOPPED) of speech, in the order of the audio.
    """

    def __init__(self, engine: Engine, tasks: asyncio.TaskGroup, heard: Callable[[Heard], None]) -> None:
        self._engine = engine
        self._tasks = tasks
        self._heard = heard
        self._ear = engine.ear()
        self._detector = TurnDetector()
        self._decode = decoder("audio/pcm")
        self._wire: Format = "audio/pcm"
        self._rules: TurnRules | None = None
        self._chunks: deque[Samples] = deque()
        self._kept_from = 0
        self._written = 0
        self._begin_ms = 0.0
        self._guess: asyncio.Task[str] | None = None

    @property
    def written_ms(self) -> float:
        """Milliseconds of audio that were ever written."""
        return self._written / SAMPLES_PER_MS

    @property
    def speaking(self) -> bool:
        """Whether the caller is speaking, as far as it is known."""
        return self._detector.speaking

    @property
    def start_ms(self) -> int:
        """Where the current turn begins, its padding included."""
        return int(self._begin_ms)

    @property
    def position_ms(self) -> int:
        """How far the audio was judged."""
        return int(self._detector.position_ms)

    def configure(self, wire: Format, rules: TurnRules | None) -> None:
        """Take over what the session was told."""
        if wire != self._wire:
            self._wire, self._decode = wire, decoder(wire)
        if rules is None and self._rules is not None:
            self._detector.quiet()
            self._drop_guess()
        if rules is not None:
            if self._rules is None:
                self._ear.reset()
                self._detector.position_ms = self.written_ms
            self._detector.threshold = rules.threshold
            self._detector.silence_ms = rules.silence_ms
        self._rules = rules

    async def append(self, payload: bytes) -> None:
        """Write audio; what it tells about turns is reported before this returns."""
        samples = self._decode(payload)
        for start in range(0, len(samples), _BATCH):
            part = samples[start : start + _BATCH]
            self._chunks.append(part)
            self._written += len(part)
            if self._rules is not None:
                for probability in await self._engine.hear(self._ear, part):
                    self._judge(probability)
        self._forget_old()

    def take(self, end_ms: float | None = None) -> Segment:
        """Take the turn out of the buffer: from its begin (or from all that is kept) to ``end_ms`` (or to the end)."""
        begin = max(int(self._begin_ms * SAMPLES_PER_MS) if end_ms is not None else self._kept_from, self._kept_from)
        end = self._written if end_ms is None else min(int(end_ms * SAMPLES_PER_MS), self._written)
        samples = self._between(begin, end)
        rest = self._between(end, self._written)
        self._chunks = deque([rest] if len(rest) else [])
        self._kept_from = end
        guess, self._guess = self._guess, None
        self._detector.quiet()
        if end_ms is None and guess is not None:
            guess.cancel()
            guess = None
        return Segment(samples, begin / SAMPLES_PER_MS, end / SAMPLES_PER_MS, guess)

    def clear(self) -> None:
        """Throw the buffer away; positions go on."""
        self.take()

    def buffered_ms(self) -> float:
        """Tell how much audio would be committed now."""
        return (self._written - self._kept_from) / SAMPLES_PER_MS

    def _judge(self, probability: float) -> None:
        change = self._detector.push(probability)
        if change is Heard.STARTED and self._rules is not None:
            self._begin_ms = max(self._detector.onset_ms - self._rules.prefix_ms, self._kept_from / SAMPLES_PER_MS, 0.0)
            self._heard(change)
        elif change is Heard.MAYBE_STOPPED:
            so_far = self._between(int(self._begin_ms * SAMPLES_PER_MS), self._written)
            self._drop_guess()
            self._guess = self._tasks.create_task(self._engine.recognize(so_far))
        elif change is Heard.RESUMED:
            self._drop_guess()
        elif change is Heard.STOPPED:
            self._heard(change)

    def _drop_guess(self) -> None:
        if self._guess is not None:
            self._guess.cancel()
            self._guess = None

    def _between(self, begin: int, end: int) -> Samples:
        if end <= begin or not self._chunks:
            return nothing()
        joined = np.concatenate(self._chunks)
        self._chunks = deque([joined])
        return joined[max(begin - self._kept_from, 0) : max(end - self._kept_from, 0)]

    def _forget_old(self) -> None:
        kept_ms: float = _LONGEST_MS
        if self._rules is not None and not self._detector.speaking:
            kept_ms = self._rules.prefix_ms + _KEPT_QUIET_MS
        while self._chunks and self._written - self._kept_from - len(self._chunks[0]) > kept_ms * SAMPLES_PER_MS:
            self._kept_from += len(self._chunks.popleft())
