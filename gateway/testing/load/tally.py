"""What is counted while a window is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of milliseconds."""

    count: int
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Summarise values in seconds; all zeros where there are none."""
        if not seconds:
            return cls(0, 0.0, 0.0, 0.0)
        ordered = sorted(seconds)

        def at(share: float) -> float:
            return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000, 3)

        return cls(len(ordered), at(0.5), at(0.99), round(ordered[-1] * 1000, 3))


@dataclass(slots=True)
class Tally:
    """Delays in seconds and counts of what went wrong, of all calls together.

    Attributes:
        to_model: from a frame's leaving the carrier to its arrival at the model.
        to_carrier: from a block's leaving the model to its arrival at the carrier.
        clear: from ``speech_started`` over a playing answer to ``clear`` at the carrier.
        first_audio: from the first delta of an answer to its arrival.
        late: how much later than due a frame left, which is the load's own fault.
    """

    open: bool = False
    to_model: list[float] = field(default_factory=list)
    to_carrier: list[float] = field(default_factory=list)
    clear: list[float] = field(default_factory=list)
    first_audio: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    lost: int = 0
    repeated: int = 0
    reordered: int = 0
    stale: int = 0
    no_clear: int = 0
    dropped: int = 0
    answers: int = 0
    tools: int = 0
    errors: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Begin a window."""
        self.__init__()  # type: ignore[misc]  # every field afresh, and the object that all calls share stays the same
        self.open = True

    def follow(self, last: int, count: int, *, gap_allowed: bool = False) -> bool:
        """Judge a number after the ``last`` one; false where it is not new."""
        if count == last + 1:
            return True
        if count > last:
            if self.open and not gap_allowed:
                self.lost += count - last - 1
            return True
        if self.open:
            if count == last:
                self.repeated += 1
            else:
                self.reordered += 1  # and it was counted as lost when the one after it came
        return False

    def fault(self, what: str) -> None:
        """Note an error; the first few say enough."""
        if len(self.errors) < 20:  # noqa: PLR2004 - a few
            self.errors.append(what)
