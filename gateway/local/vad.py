"""Whether a voice is heard: Silero's network at 8 kHz, and the rules that make turns of its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import numpy as np

from gateway.local.sound import SAMPLES_PER_MS, Samples

WINDOW = 256
"""Samples that the network looks at, at 8 kHz."""
WINDOW_MS = WINDOW / SAMPLES_PER_MS
_CONTEXT = 32
_HYSTERESIS = 0.15
_LEAST_THRESHOLD = 0.05
_ONSET_WINDOWS = 3
"""Windows of speech before it counts (96 ms): a click or a knock is shorter."""
SPECULATE_MS = 200
"""Silence after which recognition is begun on the chance that the turn is over."""


class VoiceNetwork:
    """The loaded network; holds no state of a call, so that all calls share it."""

    def __init__(self, path: Path) -> None:
        import onnxruntime  # noqa: PLC0415 (costs 0.2 s, and only the server process needs it)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._rate = np.array(8000, dtype=np.int64)

    def run(self, window: Samples, state: Samples) -> tuple[float, Samples]:
        """Score one window with its context before it; gives the probability of speech and the next state."""
        output, state = self._session.run(None, {"input": window[None, :], "state": state, "sr": self._rate})
        return float(output[0, 0]), state


class VoiceEar:
    """One call's ear: cuts its audio into windows and remembers what the network must remember."""

    def __init__(self, network: VoiceNetwork) -> None:
        self._network = network
        self._rest: Samples = np.zeros(0, dtype=np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far, as at a new beginning."""
        self._state: Samples = np.zeros((2, 1, 128), dtype=np.float32)
        self._context: Samples = np.zeros(_CONTEXT, dtype=np.float32)

    def hear(self, samples: Samples) -> list[float]:
        """Score every whole window that is there now; blocks for about half a millisecond each."""
        self._rest = np.concatenate([self._rest, samples])
        probabilities: list[float] = []
        start = 0
        while start + WINDOW <= len(self._rest):
            window = self._rest[start : start + WINDOW]
            probability, self._state = self._network.run(np.concatenate([self._context, window]), self._state)
            self._context = window[-_CONTEXT:]
            probabilities.append(probability)
            start += WINDOW
        self._rest = self._rest[start:]
        return probabilities


class Heard(Enum):
    """What a window changed about the turn."""

    STARTED = auto()
    MAYBE_STOPPED = auto()
    RESUMED = auto()
    STOPPED = auto()


@dataclass(slots=True)
class TurnDetector:
    """Turns probabilities into the begin and end of speech; positions are milliseconds since the first window.

    Speech begins after three windows that stay above the lower threshold, the first of them above the upper one, and
    ends after ``silence_ms`` in which the upper one was never reached again.
    """

    threshold: float = 0.5
    silence_ms: float = 500.0
    position_ms: float = 0.0
    speaking: bool = False
    onset_ms: float = 0.0
    _run: int = field(default=0, repr=False)
    _silent_since: float | None = field(default=None, repr=False)
    _guessed: bool = field(default=False, repr=False)

    def push(self, probability: float) -> Heard | None:
        """Take the next window's probability."""
        begin = self.position_ms
        self.position_ms += WINDOW_MS
        lower = max(self.threshold - _HYSTERESIS, _LEAST_THRESHOLD)
        if not self.speaking:
            return self._before(probability, begin, lower)
        return self._within(probability, begin, lower)

    def quiet(self) -> None:
        """Forget that somebody was speaking: the buffer was committed or cleared by the client."""
        self.speaking = False
        self._run = 0
        self._silent_since = None
        self._guessed = False

    def _before(self, probability: float, begin: float, lower: float) -> Heard | None:
        if probability >= self.threshold and not self._run:
            self.onset_ms = begin
            self._run = 1
        elif self._run and probability >= lower:
            self._run += 1
        else:
            self._run = 0
        if self._run < _ONSET_WINDOWS:
            return None
        self.quiet()
        self.speaking = True
        return Heard.STARTED

    def _within(self, probability: float, begin: float, lower: float) -> Heard | None:
        if probability >= self.threshold:
            guessed, self._silent_since, self._guessed = self._guessed, None, False
            return Heard.RESUMED if guessed else None
        if self._silent_since is None:
            if probability >= lower:
                return None
            self._silent_since = begin
        silence = self.position_ms - self._silent_since
        if silence >= self.silence_ms:
            self.quiet()
            return Heard.STOPPED
        if silence >= SPECULATE_MS and not self._guessed:
            self._guessed = True
            return Heard.MAYBE_STOPPED
        return None
