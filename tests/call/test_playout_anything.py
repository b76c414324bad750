"""What stays true of the ledger, whatever comes in whatever order."""

from __future__ import annotations

from base64 import b64decode, b64encode

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.call.commands import Mark, Play
from gateway.call.playout import Cut, ItemKey, Playout

KEYS = [ItemKey(1, "a", 0), ItemKey(1, "b", 0), ItemKey(2, "a", 1)]


class Interleavings(RuleBasedStateMachine):
    """Sends, echoes, frames, cuts and streams in any order, at any distance in time."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Playout()
        self.now = 10.0
        self.stream = 0
        self.names: list[str] = ["1.0:1", "hello"]
        self.heard = 0.0
        self.items_heard: dict[ItemKey, float] = {}
        self.given: dict[ItemKey, int] = {}
        self.began = self.now

    def sent(self, commands: list[Play | Mark]) -> None:
        for command in commands:
            if isinstance(command, Play):
                assert command.size % 160 == 0
                assert len(b64decode(command.payload, validate=True)) == command.size
            else:
                assert command.name not in self.names[2:]
                self.names.append(command.name)

    def was_cut(self, cut: Cut) -> None:
        assert cut.key not in cut.unheard
        for key in cut.unheard:
            assert self.ledger.heard_ms(key) == 0
        if cut.key:
            assert 0 < cut.heard_ms == self.ledger.heard_ms(cut.key) <= self.ledger.sent_ms(cut.key)
        for tail in cut.tail:
            assert all(size and size % 160 == 0 for _, size in tail.payloads)
            assert tail.offset % 160 == 0
            assert tail.offset >= 0
        assert not self.ledger.playing(self.now)
        named = self.ledger.state(self.now)
        if cut.key:
            assert (named.item_id, named.content_index, named.heard_ms) == (*cut.key[1:], cut.heard_ms)

    @initialize()
    def a_stream(self) -> None:
        self.new_stream()

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.02, 0.3, 2.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=st.sampled_from(KEYS), size=st.sampled_from([1, 159, 160, 161, 480, 1001, 3200, 20000]))
    def agent_speaks(self, key: ItemKey, size: int) -> None:
        payload = b64encode(bytes(size)).decode()
        self.given[key] = self.given.get(key, 0) + size
        self.sent(self.ledger.send(key, f"r{key.session}", payload, size, self.now))

    @rule(size=st.sampled_from([160, 8000]))
    def a_clip_plays(self, size: int) -> None:
        self.sent(self.ledger.send(None, "", b64encode(bytes(size)).decode(), size, self.now))

    @rule(key=st.sampled_from(KEYS))
    def item_done(self, key: ItemKey) -> None:
        self.sent(self.ledger.done(key, self.now))

    @rule(delay_ms=st.sampled_from([20, 30, 100, 300]))
    def frame(self, delay_ms: int) -> None:
        self.ledger.frame(int((self.now - self.began) * 1000) - delay_ms, self.now)

    @rule(data=st.data())
    def echo(self, data: st.DataObject) -> None:
        self.ledger.reached(data.draw(st.sampled_from(self.names)), self.now)

    @rule()
    def next_echo(self) -> None:
        for name in self.names:
            if self.ledger.reached(name, self.now) == "heard":
                break

    @rule()
    def clear(self) -> None:
        self.was_cut(self.ledger.clear(self.now))

    @rule()
    def truncated(self) -> None:
        self.ledger.truncated()

    @rule(keys=st.none() | st.frozensets(st.none() | st.sampled_from(KEYS)))
    def resend(self, keys: frozenset[ItemKey | None] | None) -> None:
        self.sent(self.ledger.resend(self.now, keys))

    @rule()
    def new_stream(self) -> None:
        self.stream += 1
        self.began = self.now
        self.ledger.stream_started(self.stream, self.now)

    @rule()
    def stream_stops(self) -> None:
        self.ledger.stream_stopped(self.now)

    @invariant()
    def heard_is_no_more_than_sent_and_never_less_than_before(self) -> None:
        heard = self.ledger.heard(self.now)
        assert self.heard <= heard <= self.ledger.sent
        self.heard = heard
        for key in KEYS:
            heard = self.ledger.heard_ms(key)
            assert self.items_heard.get(key, 0) <= heard <= self.ledger.sent_ms(key) <= self.ledger.generated_ms(key)
            assert self.ledger.generated_ms(key) == self.given.get(key, 0) / 8
            self.items_heard[key] = heard

    @invariant()
    def playing_ends_when_it_says(self) -> None:
        idle_at = self.ledger.idle_at()
        assert not self.ledger.playing(idle_at)
        assert not (self.ledger.playing(self.now) and self.now >= idle_at)

    @invariant()
    def what_was_heard_has_begun(self) -> None:
        for key in KEYS:
            began, ended = self.ledger.began(key), self.ledger.ended(key)
            assert (began is not None) == (self.ledger.heard_ms(key) > 0)
            if began and ended and began.stream == ended.stream:
                assert ended.carrier_ms >= began.carrier_ms

    @invariant()
    def the_tracker_names_no_more_than_was_sent(self) -> None:
        state = self.ledger.state(self.now)
        if state.item_id is not None:
            keys = [key for key in KEYS if key[1:] == (state.item_id, state.content_index)]
            assert 0 <= state.heard_ms <= max(self.ledger.sent_ms(key) for key in keys)


Interleavings.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestInterleavings = Interleavings.TestCase
