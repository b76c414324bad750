"""Time as the carrier has it, and the wires between carrier and gateway with their hidden delays."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


class CarrierClock:
    """Counts samples (eighths of a millisecond) since a call was answered, a little too fast or too slow."""

    def __init__(self, drift_ppm: float) -> None:
        self._origin = time.monotonic()
        self._rate = 8000 * (1 + drift_ppm * 1e-6)

    def samples(self, monotonic: float | None = None) -> int:
        """The reading at that ``time.monotonic()``, by default now."""
        return int(((time.monotonic() if monotonic is None else monotonic) - self._origin) * self._rate + 1e-6)

    def monotonic(self, samples: int) -> float:
        """The ``time.monotonic()`` at which the clock reads this."""
        return self._origin + samples / self._rate


class Wire(Generic[T]):
    """Carries messages one way: each is delayed, none overtakes another.

    ``deliver`` gets the message and the ``time.monotonic()`` at which it was to arrive, which on a busy machine is a
    little before now.
    """

    def __init__(
        self, deliver: Callable[[T, float], None], *, delay_ms: float, jitter_ms: float, random: Random
    ) -> None:
        self._deliver = deliver
        self._delay = delay_ms / 1000
        self._jitter = jitter_ms / 1000
        self._random = random
        self._queue: deque[tuple[T, float]] = deque()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def send(self, message: T, at: float) -> None:
        """Put a message on the wire at this ``time.monotonic()``."""
        jitter = self._random.uniform(0, self._jitter) if self._jitter else 0.0
        self._last = max(self._last, at + self._delay + jitter)
        if not self._queue and self._last <= time.monotonic():
            self._deliver(message, self._last)
            return
        self._queue.append((message, self._last))
        self._idle.clear()
        if self._timer is None:
            self._arm()

    async def drained(self) -> None:
        """Wait until everything on the wire has arrived."""
        await self._idle.wait()

    def cut(self) -> None:
        """Lose what is on the wire."""
        self._queue.clear()
        self._idle.set()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        delay = max(0.0, self._queue[0][1] - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now = time.monotonic() + 0.0005  # a timer may ring half a millisecond early
        while self._queue and self._queue[0][1] <= now:
            message, at = self._queue.popleft()
            self._deliver(message, at)
        if self._queue:
            self._arm()
        else:
            self._idle.set()
