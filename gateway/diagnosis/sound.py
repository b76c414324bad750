"""How loud a recorded call was, on both channels, and whether the caller's line returns what the agent says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.audio.frames import SAMPLE_RATE
from gateway.audio.g711 import QUIETEST_DBFS, level
from gateway.store.recording.shelf import Kept
from gateway.store.waveform import pieces

STEP = 0.02
"""Seconds between two levels."""
LOUD_SHARE = 0.05
"""The loudest part of a stretch, which is taken for its speech."""
ACTIVE_DBFS = -40.0
"""From here on a step of the agent's channel counts as speech: it is made by a machine, without noise."""
_COMPARED = 15_000
"""Steps, five minutes of them: more would only take longer."""
LONGEST_ECHO = 0.6
"""Seconds: two ways through the carrier, its buffer and a telephone's own delay."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Levels of both channels (dB below full scale, root mean square) in steps of 20 ms."""

    caller: tuple[float, ...]
    agent: tuple[float, ...]

    @property
    def seconds(self) -> float:
        return len(self.caller) * STEP

    def agent_speaks(self) -> float:
        """Seconds in which the agent is audible."""
        return sum(each > ACTIVE_DBFS for each in self.agent) * STEP


def loudness(levels: Sequence[float]) -> float:
    """The level that the loudest twentieth of some levels reaches; -96 for none."""
    if not levels:
        return QUIETEST_DBFS
    return sorted(levels)[-max(round(len(levels) * LOUD_SHARE), 1)]


def likeness(sound: Sound) -> tuple[float, float]:
    """Say how much of what the agent says comes back: the correlation of both levels, and after how many seconds.

    Only where the agent's speech begins or goes on is compared; 0 means that nothing comes back, 1 that all does.
    """
    agent = [max(each, -60.0) for each in sound.agent]
    caller = [max(each, -60.0) for each in sound.caller]
    reach = round(LONGEST_ECHO / STEP)
    steps: set[int] = set()
    for at, value in enumerate(agent):
        if value > ACTIVE_DBFS:
            steps.update(range(max(at - reach // 2, 0), min(at + reach // 2, len(agent) - reach)))
    chosen = sorted(steps)[:_COMPARED]
    best = (0.0, 0.0)
    for lag in range(reach):
        found = _correlation([agent[at] for at in chosen], [caller[at + lag] for at in chosen])
        best = max(best, (found, lag * STEP))
    return best


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    count = len(one)
    if not count:
        return 0.0
    mean_one, mean_other = sum(one) / count, sum(other) / count
    both = sum((a - mean_one) * (b - mean_other) for a, b in zip(one, other, strict=True))
    spread = sum((a - mean_one) ** 2 for a in one) * sum((b - mean_other) ** 2 for b in other)
    return both / spread**0.5 if spread > 0 else 0.0


def listen(kept: Kept) -> Sound:
    """Measure a recording.

    Raises:
        ValueError: it is no recording of this gateway.
    """
    levels = [(level(said), level(answered)) for said, answered in pieces(kept, round(STEP * SAMPLE_RATE))]
    return Sound(tuple(caller for caller, _ in levels), tuple(agent for _, agent in levels))
