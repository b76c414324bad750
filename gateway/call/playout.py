"""The playout ledger: what was sent towards the ear, and which millisecond of which item has reached it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gateway.audio.frames import BYTES_PER_MS
from gateway.audio.payload import Framer, slices
from gateway.call.commands import Mark, Play
from gateway.call.playhead import MARK_EVERY, MARK_SLACK, Echo, Playhead
from gateway.call.spoken import Item, ItemKey, Moment, Placed, Segment, Tail

__all__ = ["Cut", "Echo", "ItemKey", "Moment", "Placed", "PlaybackState", "Playout", "Tail"]

LAST_MARK_S = 0.5
"""Where marks work, the one behind the last word may be this late before the estimate is believed without it."""
SETTLED = 2000 * BYTES_PER_MS
"""Times at the ear are final this far behind the playhead, echo or not."""
KEPT = 16
"""Items that are remembered in any case; of those before them only what is not final."""


@dataclass(frozen=True, slots=True)
class PlaybackState:
    """What the SDK's playback tracker must say: the item at the ear and how much of it was heard (None: nothing)."""

    item_id: str | None
    content_index: int
    heard_ms: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a clear, or the end of a stream, cut what was queued.

    Attributes:
        key: the item at the ear, some of it heard; None where that was a clip or nothing.
        heard_ms: how much of that item will have been heard when the clear arrives.
        unheard: items of which nothing was heard, to be deleted from the model's memory.
        responses: ids of the responses that lost audio; what still comes for them is dead.
        tail: the audio that was taken away, from the frame at the ear on.
        at: when the audio stops at the ear.
    """

    key: ItemKey | None
    heard_ms: float
    unheard: tuple[ItemKey, ...]
    responses: tuple[str, ...]
    tail: tuple[Tail, ...]
    at: Moment


class Playout:
    """One call's ledger.

    Times called ``now`` are seconds of one monotonic clock. Positions are bytes of what the ear has had in the whole
    call, and of what is queued behind; a cut takes the queue back, so that they count on from there.
    """

    __slots__ = (
        "_cut",
        "_heard",
        "_items",
        "_last",
        "_live",
        "_moments",
        "_named",
        "_open",
        "_paused",
        "_playhead",
        "_queue",
        "_quiet_at",
    )

    def __init__(self) -> None:
        self._playhead = Playhead()
        self._queue: deque[Segment] = deque()
        self._items: dict[ItemKey, Item] = {}
        self._open: Item | None = None  # the newest item, while more audio may come for it
        self._last: Item | None = None  # whose audio was sent last
        self._heard = 0
        self._moments: deque[tuple[int, Item, bool]] = deque()  # positions whose time is not final; True: an end
        self._quiet_at = float("-inf")
        self._live = False
        self._cut: Cut | None = None
        self._named: tuple[ItemKey, float] | None = None
        self._paused: list[Item] = []

    # ---- The stream -------------------------------------------------------------------------------------------------

    def stream_started(self, stream: int, now: float) -> Cut:
        """Begin a media stream; what the old one had queued is cut where it was (``resend`` can queue it again)."""
        cut = self.stream_stopped(now)
        self._playhead.begin(stream, now)
        self._live = True
        return cut

    def stream_stopped(self, now: float) -> Cut:
        """Stop the playhead: the stream is gone, and what it had queued with it."""
        if self._live or self._cut is None:
            self._cut = self._cut_at(self._playhead.clock.read(now))
            self._live = False
        return self._cut

    def frame(self, timestamp_ms: int, now: float) -> None:
        """Set the carrier's clock by an inbound frame."""
        self._playhead.clock.frame(timestamp_ms, now)

    def wall(self, carrier_ms: float) -> float:
        """The time ``now`` at which what leaves the carrier at a time of its clock arrives, if nothing holds it up."""
        return self._playhead.clock.wall(carrier_ms)

    # ---- Sending ----------------------------------------------------------------------------------------------------

    def send(self, key: ItemKey | None, response_id: str, payload: str, size: int, now: float) -> list[Play | Mark]:
        """Queue a piece of an item, or with no key a whole clip (of whole frames); returns what to send for it."""
        if key is None:
            commands = self._send(None, response_id, 0, payload, size, now)
            return self._end(None, commands, now)
        item = self._items.get(key)
        if item is None:
            self._forget_final()
            item = self._items[key] = Item(key, response_id)
        if item.framer is None:  # it was said to be over, and yet there is more
            item.framer, item.done = Framer(), False
        self._open = item
        item.paused = False
        item.generated += size
        payload, size = item.framer.feed(payload, size)
        return self._send(item, response_id, item.queued, payload, size, now)

    def done(self, key: ItemKey, now: float) -> list[Play | Mark]:
        """No more audio will come for this item: send the odd rest of it, padded with silence, and a last mark."""
        item = self._items.get(key)
        if item is None or item.framer is None:
            return []
        payload, size = item.framer.flush()
        item.framer, item.done = None, True
        if self._open is item:
            self._open = None
        if item.paused:
            return []
        return self._end(item, self._send(item, item.response_id, item.queued, payload, size, now), now)

    def resend(self, now: float, keys: frozenset[ItemKey | None] | None = None) -> list[Play | Mark]:
        """Queue again what the last cut took away, all of it or what belongs to ``keys`` (None in it: clips).

        For these the cut is undone; the rest is forgotten.
        """
        cut, self._cut = self._cut, None
        commands: list[Play | Mark] = []
        for tail in cut.tail if cut else ():
            if keys is not None and tail.key not in keys:
                continue
            item = self._items[tail.key] if tail.key else None
            offset = tail.offset
            for payload, size in tail.payloads:
                commands += self._send(item, tail.response_id, offset, payload, size, now)
                offset += size
            if item is not None:
                item.paused = False
                self._named = None if self._named and self._named[0] == item.key else self._named
            if item is None or item.done:
                self._end(item, commands, now)
            else:
                self._open = item
        return commands

    def _send(
        self, item: Item | None, response_id: str, offset: int, payload: str, size: int, now: float
    ) -> list[Play | Mark]:
        if not size:
            return []
        playhead = self._playhead
        mark = playhead.ready(now)
        commands: list[Play | Mark] = [mark] if mark else []
        segment = self._segment(item, response_id, offset)
        if item is not None:
            item.queued = max(item.queued, offset + size)
            item.ended, item.ended_at = None, -1
        for text, length in slices(payload, size, MARK_EVERY, first=playhead.room, slack=MARK_SLACK):
            segment.payloads.append((text, length))
            segment.end += length
            commands.append(Play(text, length))
            mark = playhead.added(length, now)
            if mark:
                commands.append(mark)
                self._advance(playhead.position(playhead.clock.read(now)))
        return commands

    def _segment(self, item: Item | None, response_id: str, offset: int) -> Segment:
        """The segment that audio is to be added to: the last one, where it goes on there."""
        sent = self._playhead.sent
        if self._queue and item is not None:
            last = self._queue[-1]
            if last.item is item and last.offset + last.end - last.start == offset:
                return last
        self._note_end()
        self._last = item
        segment = Segment(item, response_id, offset, sent)
        self._queue.append(segment)
        if item is not None and item.began_at < 0:
            item.began_at = sent
            self._moments.append((sent, item, False))
        return segment

    def _end(self, item: Item | None, commands: list[Play | Mark], now: float) -> list[Play | Mark]:
        """Add the mark behind the last word of an item or clip."""
        mark = self._playhead.mark(now)
        if mark:
            commands.append(mark)
        if item is self._last:
            self._note_end()
        return commands

    def _note_end(self) -> None:
        """What was sent last is the last of its item, as far as is known."""
        item, self._last = self._last, None
        if item is not None:
            item.ended_at = self._playhead.sent
            self._moments.append((item.ended_at, item, True))

    # ---- What was heard ---------------------------------------------------------------------------------------------

    def reached(self, name: str, now: float) -> Echo:
        """Take the echo of a mark."""
        echo = self._playhead.reached(name, now)
        if echo == "heard":
            self._advance(self._playhead.confirmed)
            self._settle(self._playhead.confirmed)
        return echo

    def heard(self, now: float) -> float:
        """Milliseconds of audio that the ear has had in the whole call, as far as can be known by now."""
        self._advance(self._playhead.position(self._playhead.clock.read(now)))
        return self._heard / BYTES_PER_MS

    @property
    def sent(self) -> float:
        """Milliseconds of audio that the ear has had or is still to have."""
        return self._playhead.sent / BYTES_PER_MS

    def playing(self, now: float) -> bool:
        """Whether anything that was sent is unheard; false once the last mark is back, and from ``idle_at`` on."""
        return self._playhead.confirmed < self._playhead.sent and now < self.idle_at()

    def idle_at(self) -> float:
        """The time (clock of ``now``) at which all that was sent will have been heard; -inf if nothing ever was.

        While marks work and the last one is outstanding this leaves it some time, so that no last word is cut off.
        """
        playhead = self._playhead
        drained = playhead.drained()
        if drained is None:
            return self._quiet_at
        waits = playhead.echoes and playhead.confirmed < playhead.sent
        return playhead.clock.wall(drained) + (LAST_MARK_S if waits else 0.0)

    def state(self, now: float, session: int | None = None) -> PlaybackState:
        """What the SDK's tracker must say; ``session`` hides the items of other model sessions (design rule 3)."""
        if self._named and session in {None, self._named[0].session}:
            key, heard_ms = self._named
            return PlaybackState(key.item_id, key.content_index, heard_ms)
        self.heard(now)
        for item in (self._at_ear(), *(segment.item for segment in self._queue), self._open):
            if item is not None and session in {None, item.key.session}:
                return PlaybackState(item.key.item_id, item.key.content_index, item.heard / BYTES_PER_MS)
        return PlaybackState(None, 0, 0.0)

    def _at_ear(self) -> Item | None:
        """The item that is being heard, or that was heard so far as it was sent and goes on."""
        if self._queue:
            first = self._queue[0]
            if first.start < self._heard or (first.item is not None and first.item.heard):
                return first.item
        return self._open if self._open is not None and self._open.heard else None

    def _advance(self, position: float) -> None:
        """Move the playhead on, never back."""
        if position <= self._heard:
            return
        self._heard = heard = int(position)
        queue = self._queue
        while queue:
            queue[0].hear(heard)
            if queue[0].end > heard:
                break
            queue.popleft()
        if self._moments and self._moments[0][0] < heard - SETTLED:
            self._settle(heard - SETTLED)

    def _settle(self, position: int) -> None:
        """Fix the times at which items began and ended before a position."""
        moments = self._moments
        while moments and moments[0][0] <= position:
            at, item, ending = moments[0]
            if at == position and not ending:
                break
            moments.popleft()
            moment = self._moment(self._playhead.time(at, ending=ending))
            if not ending:
                item.began = moment
            elif item.ended_at == at:
                item.ended = moment
        self._playhead.forget(position)

    def _moment(self, carrier_ms: float) -> Moment:
        playhead = self._playhead
        at = playhead.clock.wall(carrier_ms) - playhead.round_trip / 2000.0  # half of it is the way back
        return Moment(playhead.stream, carrier_ms, at)

    # ---- Cuts -------------------------------------------------------------------------------------------------------

    def clear(self, now: float) -> Cut:
        """Forget what is queued. The caller sends ``Clear``; echoes of older marks count for nothing from now on."""
        self._cut = self._cut_at(self._playhead.clock.read(now) + self._playhead.round_trip)
        return self._cut

    def truncated(self) -> None:
        """The truncation of the last cut has left: stop naming it, and forget the audio kept for ``resend``."""
        self._named = self._cut = None
        self._give_up()

    def _give_up(self) -> None:
        """No more is wanted of the items that were cut and not sent again."""
        for item in self._paused:
            if item.paused:
                item.framer, item.done, item.paused = None, True, False
        self._paused.clear()

    def _cut_at(self, carrier_ms: float) -> Cut:
        playhead = self._playhead
        self._give_up()
        self._note_end()
        self._advance(playhead.position(carrier_ms))
        self._settle(self._heard)
        drained = playhead.drained()
        at = self._moment(carrier_ms if drained is None else min(carrier_ms, drained))
        ear = self._at_ear()
        lost = list(dict.fromkeys(segment.item for segment in self._queue if segment.item is not None))
        responses = [segment.response_id for segment in self._queue]
        if self._open is not None and self._open not in lost:
            lost.append(self._open)
            responses.append(self._open.response_id)
        unheard = tuple(item.key for item in lost if not item.heard)
        cut = Cut(
            key=ear.key if ear else None,
            heard_ms=ear.heard / BYTES_PER_MS if ear else 0.0,
            unheard=unheard,
            responses=tuple(filter(None, dict.fromkeys(responses))),
            tail=tuple(segment.tail(self._heard) for segment in self._queue),
            at=at,
        )
        for item in lost:
            item.paused = True
            item.ended_at = -1
            if item.heard:
                item.ended = at
            else:
                item.began_at = -1
        if ear is not None:
            self._named = (ear.key, cut.heard_ms)
        elif unheard:
            self._named = (unheard[0], 0.0)
        if drained is not None:
            self._quiet_at = at.at
        self._paused = lost
        self._open = None
        self._queue.clear()
        self._moments.clear()
        playhead.empty(self._heard, at.carrier_ms)
        return cut

    # ---- Afterwards -------------------------------------------------------------------------------------------------

    def heard_ms(self, key: ItemKey) -> float:
        """Milliseconds of this item that were heard, as of the last time anything was asked or told."""
        return self._items[key].heard / BYTES_PER_MS if key in self._items else 0.0

    def sent_ms(self, key: ItemKey) -> float:
        """Milliseconds of this item that were ever sent."""
        item = self._items.get(key)
        return min(item.queued, item.generated) / BYTES_PER_MS if item else 0.0

    def generated_ms(self, key: ItemKey) -> float:
        """Milliseconds of this item that the agent made."""
        return self._items[key].generated / BYTES_PER_MS if key in self._items else 0.0

    def began(self, key: ItemKey) -> Moment | None:
        """When the ear got the first of this item; None if it has not. Final once a mark behind it was echoed."""
        item = self._items.get(key)
        if item is None or item.began is not None or not 0 <= item.began_at < self._heard:
            return item.began if item else None
        return self._moment(self._playhead.time(item.began_at))

    def ended(self, key: ItemKey) -> Moment | None:
        """When the ear got the last of this item, or it was cut; None before that."""
        item = self._items.get(key)
        if item is None or item is self._open or not (item.ended or 0 <= item.ended_at <= self._heard):
            return None
        ended = item.ended or self._moment(self._playhead.time(item.ended_at, ending=True))
        began = self.began(key)
        if began and ended.stream == began.stream and ended.carrier_ms < began.carrier_ms:
            return began  # what is learned of the line in between may differ by more than a syllable lasts
        return ended

    def is_final(self, key: ItemKey) -> bool:
        """Whether nothing that is still to come changes when the ear got this item: no echo, for one."""
        item = self._items.get(key)
        if item is None:
            return True
        if item is self._open or item.paused:
            return False
        unheard = item.done and item.began_at < 0  # cut before anything of it was heard, and given up
        return unheard or (item.began is not None and item.ended is not None)

    def _forget_final(self) -> None:
        """Let go of the oldest items that will not change any more: a call of hours has thousands."""
        for key in [*self._items][: 1 - KEPT]:
            if self.is_final(key):
                del self._items[key]

    @property
    def placed(self) -> deque[Placed]:
        """What was learned of where audio is on the carrier's clock: always the same queue, for somebody to empty."""
        return self._playhead.placed

    @property
    def stray_marks(self) -> int:
        """Echoes that were unknown, doubled or out of order."""
        return self._playhead.stray

    @property
    def cleared_marks(self) -> int:
        """Echoes of marks from before a clear."""
        return self._playhead.cleared
