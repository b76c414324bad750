"""May this call start here, now? Pure: the exchange tells what it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

HOUR = 3600.0
LEAST = 1000
"""Numbers that are remembered before those that have not called for an hour are looked for."""

Refusal: TypeAlias = Literal["draining", "full", "line-full", "caller-too-often"]


@dataclass(frozen=True, slots=True)
class Load:
    """What the node carries: live calls in all and on this line, and whether it takes none any more."""

    calls: int
    line_calls: int
    draining: bool


class Admission:
    """Decides on new calls, and remembers how often each number has called in the last hour.

    Callers who hide their number share none: what is no number is not counted.
    """

    def __init__(self, max_calls: int) -> None:
        self.max_calls = max_calls
        self._started: dict[str, tuple[float, ...]] = {}
        self._forget_at = LEAST

    def refuse(
        self, caller: str, load: Load, now: float, *, per_caller: int, per_line: int | None = None
    ) -> Refusal | None:
        """Return why a call may not start, or None; an admitted call counts from now on."""
        if load.draining:
            return "draining"
        if load.calls >= self.max_calls:
            return "full"
        if per_line is not None and load.line_calls >= per_line:
            return "line-full"
        if not caller.startswith("+"):
            return None
        starts = tuple(at for at in self._started.get(caller, ()) if at > now - HOUR)
        if len(starts) >= per_caller:
            return "caller-too-often"
        if len(self._started) >= self._forget_at:
            self._forget(now)
        self._started[caller] = (*starts, now)
        return None

    def _forget(self, now: float) -> None:
        """Let go of who has not called for an hour: at twice as many as are left, so that it costs little."""
        self._started = {caller: starts for caller, starts in self._started.items() if starts[-1] > now - HOUR}
        self._forget_at = max(LEAST, 2 * len(self._started))
