"""May this call start here, now? Pure: the exchange tells what it knows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

HOUR = 3600.0

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
        self._started: dict[str, deque[float]] = {}

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
        starts = self._started.setdefault(caller, deque())
        while starts and starts[0] <= now - HOUR:
            starts.popleft()
        if len(starts) >= per_caller:
            return "caller-too-often"
        starts.append(now)
        if len(self._started) > self.max_calls * 100:
            self._forget(now)
        return None

    def _forget(self, now: float) -> None:
        for caller, starts in list(self._started.items()):
            if starts[-1] <= now - HOUR:
                del self._started[caller]
