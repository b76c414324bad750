"""The playout ledger: what was sent towards the ear, and which millisecond of which item has reached it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from gateway.call.commands import Mark, Play

Echo: TypeAlias = Literal["heard", "cleared", "stray"]
"""What the echo of a mark was worth: it moved the playhead; it is older than the last clear; it is unknown, doubled
or out of order. Only the first counts."""


class ItemKey(NamedTuple):
    """A stretch of the agent's speech: the number of the model session, the item and its content."""

    session: int
    item_id: str
    content_index: int


@dataclass(frozen=True, slots=True)
class PlaybackState:
    """What the SDK's playback tracker must say: the item at the ear and how much of it was heard (None: nothing)."""

    item_id: str | None
    content_index: int
    heard_ms: float


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time of one media stream: on the carrier's clock, and on that of ``now``."""

    stream: int
    carrier_ms: float
    at: float


@dataclass(frozen=True, slots=True)
class Tail:
    """Audio of one item (``key`` None: a clip) that a cut took from the queue, unheard, in order."""

    key: ItemKey | None
    response_id: str
    size: int
    payloads: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a clear, or the end of a stream, cut what was queued.

    Attributes:
        key: the item at the ear, some of it heard; None where that was a clip or nothing.
        heard_ms: how much of that item will have been heard when the clear arrives.
        unheard: items of which nothing was heard, to be deleted from the model's memory.
        responses: ids of the responses that lost audio; what still comes for them is dead.
        tail: the audio that was taken away.
        at: when the audio stopped at the ear.
    """

    key: ItemKey | None
    heard_ms: float
    unheard: tuple[ItemKey, ...]
    responses: tuple[str, ...]
    tail: tuple[Tail, ...]
    at: Moment


class Playout:
    """One call's ledger. Times called ``now`` are seconds of one monotonic clock; positions are bytes (8 to a ms)."""

    stray_marks: int
    cleared_marks: int

    def stream_started(self, stream: int, now: float) -> Cut:
        """Begin a media stream; what the old one had queued is cut where it was (``resend`` can queue it again)."""

    def stream_stopped(self, now: float) -> Cut:
        """Stop the playhead: the stream is gone, and what it had queued with it."""

    def frame(self, timestamp_ms: int, now: float) -> None:
        """Set the carrier's clock by an inbound frame."""

    def send(self, key: ItemKey | None, response_id: str, payload: str, size: int, now: float) -> list[Play | Mark]:
        """Queue a piece of an item, or with no key a whole clip; returns what to send for it."""

    def done(self, key: ItemKey, now: float) -> list[Play | Mark]:
        """No more audio will come for this item: send the odd rest of it, padded with silence, and a last mark."""

    def reached(self, name: str, now: float) -> Echo:
        """Take the echo of a mark."""

    def heard(self, now: float) -> float:
        """Milliseconds of audio that the ear has had in the whole call, as far as can be known by now."""

    @property
    def sent(self) -> float:
        """Milliseconds of audio that the ear has had or is still to have."""

    def playing(self, now: float) -> bool:
        """Whether anything that was sent is still unheard; false from ``idle_at`` on, and as soon as the last mark is back."""

    def idle_at(self) -> float:
        """The time (clock of ``now``) at which all that was sent will have been heard; -inf if nothing was ever sent."""

    def state(self, now: float, session: int | None = None) -> PlaybackState:
        """What the SDK's tracker must say; ``session`` hides the items of other model sessions."""

    def truncated(self) -> None:
        """The truncation of the last cut has left: stop naming it, and forget the audio kept for ``resend``."""

    def clear(self, now: float) -> Cut:
        """Forget what is queued. The caller sends ``Clear``; echoes of older marks count for nothing from now on."""

    def resend(self, now: float, keys: frozenset[ItemKey | None] | None = None) -> list[Play | Mark]:
        """Queue again what the last cut took away, all of it or what belongs to ``keys``; the cut is then undone."""

    def heard_ms(self, key: ItemKey) -> float:
        """Milliseconds of this item that were heard, as of the last time anything was asked or told."""

    def sent_ms(self, key: ItemKey) -> float:
        """Milliseconds of this item that were ever sent."""

    def generated_ms(self, key: ItemKey) -> float:
        """Milliseconds of this item that the agent made."""

    def began(self, key: ItemKey) -> Moment | None:
        """When the ear got the first of this item; None if it has not."""

    def ended(self, key: ItemKey) -> Moment | None:
        """When the ear got the last of this item, or it was cut; None before that."""
