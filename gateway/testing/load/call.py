"""What both ends of one call know of it: what was sent when, and what has come out."""

from __future__ import annotations

from dataclasses import dataclass, field

RING = 4096
"""How many numbers are remembered with their times: over a minute of frames, more than the audio of an answer."""


@dataclass(slots=True)
class CallState:
    """One call; times are of the process's monotonic clock.

    Attributes:
        frame: the number of the newest frame that left the carrier.
        frame_at: when each frame left, by its number modulo the ring's length.
        heard: the number of the newest frame that reached the model.
        block, block_at, played: the same for the blocks of answers, from the model to the carrier.
        first_blocks: the numbers with which answers begin, not yet seen at the carrier.
        cut_block: the first block that was made after the newest cut; a gap up to it is no loss.
        cut_at: when the model noticed that the caller speaks over a playing answer, until the ``clear`` is there.
        cleared: blocks below this are stale since a ``clear``.
        plays_until: when the carrier will have played all that it has.
    """

    index: int
    frame: int = -1
    frame_at: list[float] = field(default_factory=lambda: [0.0] * RING)
    heard: int = -1
    block: int = 0
    block_at: list[float] = field(default_factory=lambda: [0.0] * RING)
    played: int = -1
    first_blocks: set[int] = field(default_factory=set)
    cut_block: int = 0
    cut_at: float | None = None
    cleared: int = 0
    plays_until: float = 0.0
    over: bool = False
