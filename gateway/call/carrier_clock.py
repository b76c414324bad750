"""The carrier's clock, read off the inbound frames of one media stream."""

from __future__ import annotations

from gateway.audio.frames import FRAME_MS

WINDOW_S = 8.0
"""The fastest frame of the last 8 to 16 s sets the clock: at a drift of 200 ppm that is wrong by 3 ms at most."""

STALE_S = 0.1
"""Frames come every 20 ms on the socket that echoes come on; without one for this long they tell no time."""


class CarrierClock:
    """Milliseconds since the stream began as the carrier counts them, for times ``now`` (seconds) of ours.

    A frame's timestamp is the time of its first sample, and it leaves the carrier 20 ms later. The frame that took the
    least time ties the two clocks together; the time it took stays unknown, so a reading is the moment at which
    something that arrives now by the fastest path left the carrier. Until frames come, and when they stop, our own
    clock goes on.
    """

    __slots__ = ("_best", "_best_before", "_frame_at", "_left", "_offset", "_step", "_window_ends")

    def __init__(self, now: float) -> None:
        self._offset = -now * 1000.0
        self._best = self._best_before = float("-inf")
        self._window_ends = float("-inf")
        self._left = self._step = FRAME_MS
        self._frame_at = float("-inf")

    def frame(self, timestamp_ms: int, now: float) -> None:
        """Take a frame that arrived now."""
        left = timestamp_ms + FRAME_MS
        self._step = max(left - self._left, FRAME_MS)
        self._left = left
        self._frame_at = now
        offset = left - now * 1000.0
        if now >= self._window_ends:
            stale = now >= self._window_ends + WINDOW_S
            self._best_before = float("-inf") if stale else self._best
            self._best = offset
            self._window_ends = now + WINDOW_S
        elif offset > self._best:
            self._best = offset
        else:
            return
        self._offset = max(self._best, self._best_before)

    @property
    def last(self) -> int:
        """The timestamp of the newest frame."""
        return self._left - FRAME_MS

    def read(self, now: float) -> float:
        """When something that arrives now by the fastest path left the carrier."""
        return now * 1000.0 + self._offset

    def echo(self, now: float) -> float:
        """When an echo that arrives now left the carrier: after the newest frame, and before the next one.

        Both travel in order on one socket, so a delay that holds up the one holds up the other.
        """
        reading = now * 1000.0 + self._offset
        if now - self._frame_at > STALE_S:
            return reading
        return min(reading, self._left + self._step)

    def wall(self, carrier_ms: float) -> float:
        """The time ``now`` at which the clock reads ``carrier_ms``."""
        return (carrier_ms - self._offset) / 1000.0
