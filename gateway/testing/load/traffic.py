"""What one call does, second by second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traffic:
    """The script of every call; times are seconds.

    A turn is the caller's speech, a silence that ends it, the model's thinking, its answer, and a pause. The answer's
    audio comes in a burst: one short delta, then longer ones, ``speed`` times as fast as it is spoken, and with each a
    delta of transcript. Every ``interrupt_every`` th answer is cut short by the next turn's speech, by turns after
    each of ``interrupt_after``: while it is still generated, and while only the phone still plays it. Every
    ``tool_every`` th turn calls a tool, and gets its answer after the tool's output.

    ``density`` divides every time but the frames' 20 ms: more turns in a second, of shorter answers.
    """

    speech: float = 2.5
    silence: float = 0.5
    think: float = 0.3
    answer: float = 5.0
    pause: float = 0.7
    first_delta: float = 0.1
    delta: float = 0.2
    speed: float = 3.0
    interrupt_every: int = 3
    interrupt_after: tuple[float, ...] = (1.2, 2.6)
    tool_every: int = 5
    density: float = 1.0

    @property
    def turn(self) -> float:
        """Seconds of a whole turn."""
        return (self.speech + self.silence + self.think + self.answer + self.pause) / self.density

    def deltas(self) -> list[int]:
        """The sizes of an answer's deltas in bytes, whole frames of 20 ms."""
        first = _frames(self.first_delta / self.density)
        sizes, rest = [first], _frames(self.answer / self.density) - first
        each = _frames(self.delta / self.density)
        while rest > 0:
            sizes.append(min(each, rest))
            rest -= each
        return sizes


def _frames(seconds: float) -> int:
    return max(round(seconds * 50), 1) * 160
