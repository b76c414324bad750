"""What was sent towards the ear: items of the agent's speech, and the stretches of audio that carry them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from gateway.audio.frames import FRAME_BYTES
from gateway.audio.payload import Framer, drop_first


class ItemKey(NamedTuple):
    """A stretch of the agent's speech: the number of the model session, the item and its content."""

    session: int
    item_id: str
    content_index: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time of one media stream: on the carrier's clock, and on that of ``now``."""

    stream: int
    carrier_ms: float
    at: float


@dataclass(frozen=True, slots=True)
class Placed:
    """What the ledger learned of where audio is on a stream's clock, for the recording.

    Positions are bytes of what the ear has had in the whole call and of what is queued behind, in the order of the
    ``Play`` commands. The byte at ``position`` is heard at ``carrier_ms``, and what was sent after it without a gap
    follows; or, where ``cut``, nothing from ``position`` on is heard, and what is sent next begins there.
    """

    stream: int
    position: int
    carrier_ms: float
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Tail:
    """Audio of one item (``key`` None: a clip) that a cut took from the queue, unheard, in order.

    ``offset`` is its first byte's place in the item; ``payloads`` are pairs of base64 text and bytes.
    """

    key: ItemKey | None
    response_id: str
    offset: int
    payloads: tuple[tuple[str, int], ...]


class Item:
    """What is known of one item: a few numbers once it is over. Counts are bytes."""

    __slots__ = (
        "began",
        "began_at",
        "done",
        "ended",
        "ended_at",
        "framer",
        "generated",
        "heard",
        "key",
        "paused",
        "queued",
        "response_id",
    )

    def __init__(self, key: ItemKey, response_id: str) -> None:
        self.key = key
        self.response_id = response_id
        self.framer: Framer | None = Framer()
        self.generated = self.queued = self.heard = 0
        self.began_at = self.ended_at = -1  # positions; when they are heard becomes the moments below
        self.began: Moment | None = None
        self.ended: Moment | None = None
        self.done = False
        self.paused = False  # cut, and neither sent again nor truncated yet


class Segment:
    """Audio of one item, or a clip, that was sent without a break and is not all heard."""

    __slots__ = ("end", "item", "kept", "offset", "payloads", "response_id", "start")

    def __init__(self, item: Item | None, response_id: str, offset: int, start: int) -> None:
        self.item = item
        self.response_id = response_id
        self.offset = offset  # of its first byte in the item
        self.start = self.end = self.kept = start  # positions; payloads are kept from ``kept`` on
        self.payloads: deque[tuple[str, int]] = deque()

    def hear(self, position: int) -> None:
        """Count what was heard up to a position, and let go of its payloads."""
        item, payloads = self.item, self.payloads
        if item is not None and position > self.start:
            item.heard = max(item.heard, min(self.offset + min(position, self.end) - self.start, item.generated))
        while payloads and self.kept + payloads[0][1] <= position:
            self.kept += payloads.popleft()[1]

    def tail(self, position: int) -> Tail:
        """What is unheard at a position, from the frame there on."""
        payloads = list(self.payloads)
        skip = max(position - self.kept, 0) // FRAME_BYTES * FRAME_BYTES
        if skip:
            payload, size = payloads[0]
            payloads[0] = (drop_first(payload, skip), size - skip)
        key = self.item.key if self.item else None
        return Tail(key, self.response_id, self.offset + self.kept + skip - self.start, tuple(payloads))
