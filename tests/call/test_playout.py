"""The playout ledger, rule by rule. A small carrier without delays says what it plays; time is given by hand."""

from __future__ import annotations

import tracemalloc
from base64 import b64decode, b64encode
from itertools import pairwise

import pytest

from gateway.call.commands import Mark, Play
from gateway.call.playout import ItemKey, PlaybackState, Playout

A, B, C = ItemKey(1, "a", 0), ItemKey(1, "b", 0), ItemKey(1, "c", 0)
NOTHING = PlaybackState(None, 0, 0.0)


def payload(size: int, byte: int = 0) -> str:
    return b64encode(bytes([byte]) * size).decode()


def sizes(commands: list[Play | Mark]) -> list[int]:
    return [command.size for command in commands if isinstance(command, Play)]


def names(commands: list[Play | Mark]) -> list[str]:
    return [command.name for command in commands if isinstance(command, Mark)]


def played(commands: list[Play | Mark]) -> bytes:
    return b"".join(b64decode(command.payload, validate=True) for command in commands if isinstance(command, Play))


class Bench:
    """A ledger, a clock and a carrier that plays and echoes at once, with no delay of any kind."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ledger = Playout()
        self.ledger.stream_started(1, self.now)
        self.zero = self.now
        self.frames = 0
        self.end = 0.0
        self.marks: list[tuple[float, str]] = []

    def take(self, commands: list[Play | Mark]) -> list[Play | Mark]:
        for command in commands:
            self.end = max(self.end, self.now)
            if isinstance(command, Play):
                self.end += command.size / 8000
            else:
                self.marks.append((self.end, command.name))
        return commands

    def send(self, key: ItemKey | None, size: int, response: str = "r", byte: int = 0) -> list[Play | Mark]:
        return self.take(self.ledger.send(key, response, payload(size, byte), size, self.now))

    def done(self, key: ItemKey) -> list[Play | Mark]:
        return self.take(self.ledger.done(key, self.now))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            frame_at = self.zero + (self.frames + 1) * 0.02
            mark_at = self.marks[0][0] if self.marks else until + 1
            if min(frame_at, mark_at) > until:
                break
            if frame_at <= mark_at:
                self.now = frame_at
                self.ledger.frame(self.frames * 20, frame_at)
                self.frames += 1
            else:
                self.now = mark_at
                self.ledger.reached(self.marks.pop(0)[1], mark_at)
        self.now = until

    def clear(self) -> None:
        self.marks.clear()
        self.end = self.now


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.run(0.5)
    bench.send(None, 160)  # so that the start delay of this carrier, none, is known
    bench.run(0.5)
    return bench


# ---- Marks (design rule 1) ------------------------------------------------------------------------------------------


def test_a_mark_goes_before_the_first_audio_where_the_queue_is_empty(bench: Bench) -> None:
    assert isinstance(bench.send(A, 160)[0], Mark)
    assert isinstance(bench.send(A, 160)[0], Play)


def test_the_first_mark_is_within_100_ms_of_audio_then_about_every_200() -> None:
    for size in (160, 320, 800, 1600, 3200, 8000, 40000):
        bench = Bench()
        position, marks = 0, []
        for _ in range(80000 // size):
            for command in bench.send(A, size):
                assert not isinstance(command, Play) or command.size <= 1920
                if isinstance(command, Play):
                    position += command.size
                else:
                    marks.append(position)
        assert marks[0] == 0
        assert 0 < marks[1] <= 800
        assert all(480 <= after - before <= 1920 for before, after in pairwise(marks[1:]))


def test_names_are_stream_epoch_and_number(bench: Bench) -> None:
    assert [name.partition(":")[0] for name in names(bench.send(A, 1600))] == ["1.0", "1.0"]
    bench.ledger.clear(bench.now)
    assert names(bench.send(A, 160))[0].startswith("1.1:")
    bench.ledger.stream_started(2, bench.now)
    assert names(bench.send(A, 160))[0] == "2.0:1"


def test_an_item_ends_with_a_mark(bench: Bench) -> None:
    bench.send(A, 320)
    assert [type(command) for command in bench.done(A)] == [Mark]
    assert bench.done(A) == []


def test_an_echo_of_an_older_epoch_counts_for_nothing(bench: Bench) -> None:
    old = names(bench.send(A, 16000))
    bench.ledger.clear(bench.now)
    bench.clear()
    bench.send(B, 16000)
    before = bench.ledger.heard(bench.now)
    assert [bench.ledger.reached(name, bench.now) for name in old] == ["cleared"] * len(old)
    assert bench.ledger.heard(bench.now) == before
    assert bench.ledger.cleared_marks == len(old)


def test_unknown_doubled_and_late_marks_are_ignored_and_counted(bench: Bench) -> None:
    first, second, third, *_ = names(bench.send(A, 16000))
    reached = bench.ledger.reached
    assert reached(first, bench.now) == "heard"
    assert reached(first, bench.now) == "stray"  # doubled
    assert reached(third, bench.now + 0.3) == "heard"
    assert reached(second, bench.now + 0.3) == "stray"  # out of order
    for name in ("1.0:9999", "7.0:1", "1.9:1", "hello", "", "1.0:", "1.0:x", "1.0:-1", "..:"):
        assert reached(name, bench.now) == "stray"
    assert bench.ledger.stray_marks == 11


def test_a_mark_moves_the_playhead_to_its_place(bench: Bench) -> None:
    heard = bench.ledger.heard(bench.now)
    marks = names(bench.send(A, 8000))
    bench.ledger.reached(marks[0], bench.now)
    bench.ledger.reached(marks[1], bench.now)  # at once: this carrier is ahead of what anyone would guess
    assert bench.ledger.heard(bench.now) == heard + 60


def test_outstanding_marks_are_bounded_and_come_back_to_life() -> None:
    bench = Bench()
    sent = [name for _ in range(1000) for name in names(bench.send(A, 1440))]  # 180 s of audio, no echo
    assert len(sent) == 512
    assert [bench.ledger.reached(name, bench.now) for name in sent[:100]] == ["heard"] * 100
    assert len([name for _ in range(200) for name in names(bench.send(A, 1440))]) == 100
    bench.now += 3600
    assert names(bench.send(A, 1440)) != []


# ---- Audio (design rules 11 and 12) ---------------------------------------------------------------------------------


def test_frames_are_multiples_of_160_bytes_and_the_odd_rest_ends_in_silence(bench: Bench) -> None:
    commands = [*bench.send(A, 1001, byte=1), *bench.send(A, 5, byte=2), *bench.send(A, 333, byte=3), *bench.done(A)]
    assert all(size % 160 == 0 for size in sizes(commands))
    audio = bytes([1]) * 1001 + bytes([2]) * 5 + bytes([3]) * 333
    assert played(commands) == audio.ljust(1440, b"\xff")
    assert bench.ledger.generated_ms(A) == bench.ledger.sent_ms(A) == len(audio) / 8
    bench.run(1.0)
    assert bench.ledger.heard_ms(A) == len(audio) / 8  # the padding is not of the item


def test_long_deltas_are_cut_at_multiples_of_480_bytes(bench: Bench) -> None:
    commands = bench.send(A, 12000)
    assert all(size % 480 == 0 for size in sizes(commands))
    assert played(commands) == bytes(12000)


def test_a_clip_is_sent_whole_and_marked(bench: Bench) -> None:
    commands = bench.send(None, 1600)
    assert sum(sizes(commands)) == 1600
    assert isinstance(commands[-1], Mark)


# ---- What was heard -------------------------------------------------------------------------------------------------


def test_heard_goes_on_between_marks_and_stops_at_what_was_sent(bench: Bench) -> None:
    before = bench.ledger.heard(bench.now)
    bench.send(A, 800)
    bench.run(0.05)
    assert bench.ledger.heard(bench.now) - before == pytest.approx(50, abs=20)
    bench.run(10)
    assert bench.ledger.heard(bench.now) == before + 100 == bench.ledger.sent


def test_playback_starts_again_where_it_had_run_dry(bench: Bench) -> None:
    bench.send(A, 1600)
    bench.run(3.0)
    assert isinstance(bench.send(A, 1600)[0], Mark)
    bench.ledger.heard(bench.now)
    assert bench.ledger.heard_ms(A) == 200
    bench.run(0.1)
    bench.ledger.heard(bench.now)
    assert bench.ledger.heard_ms(A) == pytest.approx(300, abs=20)


def test_playing_until_the_last_word_was_heard(bench: Bench) -> None:
    assert not bench.ledger.playing(bench.now)
    bench.send(A, 4000)
    bench.done(A)
    assert bench.ledger.playing(bench.now)
    bench.run(0.45)
    assert bench.ledger.playing(bench.now)
    bench.run(0.1)
    assert not bench.ledger.playing(bench.now)
    assert bench.ledger.idle_at() == pytest.approx(bench.now - 0.05, abs=0.03)


def test_a_last_mark_that_stays_away_is_waited_for_but_not_for_ever(bench: Bench) -> None:
    bench.send(A, 4000)
    bench.done(A)
    bench.marks.pop()
    bench.run(0.6)
    assert bench.ledger.playing(bench.now)
    bench.now = bench.ledger.idle_at()
    assert not bench.ledger.playing(bench.now)
    assert bench.ledger.heard(bench.now) == bench.ledger.sent


def test_nothing_was_ever_said_before_anything_was() -> None:
    ledger = Playout()
    ledger.stream_started(1, 5.0)
    assert ledger.idle_at() == float("-inf")
    assert not ledger.playing(5.0)
    assert ledger.state(5.0) == NOTHING
    assert (ledger.heard_ms(A), ledger.sent_ms(A), ledger.generated_ms(A)) == (0, 0, 0)
    assert (ledger.began(A), ledger.ended(A)) == (None, None)
    assert ledger.done(A, 5.0) == []
    assert ledger.resend(5.0) == []


def test_when_an_item_began_and_ended_at_the_ear(bench: Bench) -> None:
    begin = bench.now
    bench.send(A, 4000)
    bench.done(A)
    bench.send(B, 4000)
    bench.run(0.2)
    began = bench.ledger.began(A)
    assert began is not None
    assert began.stream == 1
    assert began.at == pytest.approx(begin, abs=0.02)
    assert began.carrier_ms == pytest.approx((begin - bench.zero) * 1000, abs=20)
    assert bench.ledger.ended(A) is None
    assert bench.ledger.began(B) is None
    bench.run(0.5)
    ended, next_began = bench.ledger.ended(A), bench.ledger.began(B)
    assert ended is not None
    assert next_began is not None
    assert ended.at == pytest.approx(begin + 0.5, abs=0.02)
    assert next_began.at == pytest.approx(ended.at, abs=0.001)
    bench.run(3.0)
    assert bench.ledger.began(A) == pytest.approx(began, abs=0)
    assert bench.ledger.ended(B) is None  # more may come


# ---- The tracker (design rule 3) ------------------------------------------------------------------------------------


def test_the_tracker_names_the_item_at_the_ear(bench: Bench) -> None:
    bench.send(A, 1600)
    bench.done(A)
    bench.send(B, 1600)
    bench.done(B)
    assert bench.ledger.state(bench.now) == PlaybackState("a", 0, 0.0)
    bench.run(0.1)
    assert bench.ledger.state(bench.now).item_id == "a"
    assert bench.ledger.state(bench.now).heard_ms == pytest.approx(100, abs=20)
    bench.run(0.2)
    assert bench.ledger.state(bench.now).item_id == "b"
    bench.run(0.2)
    assert bench.ledger.state(bench.now) == NOTHING


def test_the_tracker_names_the_next_unheard_item_while_a_clip_plays(bench: Bench) -> None:
    bench.send(None, 1600)
    bench.send(A, 1600)
    bench.run(0.1)
    assert bench.ledger.state(bench.now) == PlaybackState("a", 0, 0.0)


def test_the_tracker_names_an_item_that_was_heard_as_far_as_it_came(bench: Bench) -> None:
    bench.send(A, 1600)
    bench.run(1.0)
    assert bench.ledger.state(bench.now) == PlaybackState("a", 0, 200.0)
    assert bench.ledger.clear(bench.now).key == A


def test_after_a_cut_the_tracker_names_the_cut_until_the_truncation_has_left(bench: Bench) -> None:
    bench.send(A, 8000, "r1")
    bench.run(0.5)
    cut = bench.ledger.clear(bench.now)
    bench.clear()
    assert cut.key == A
    bench.send(B, 1600, "r2")
    bench.run(0.1)
    assert bench.ledger.state(bench.now) == PlaybackState("a", 0, cut.heard_ms)
    bench.ledger.truncated()
    assert bench.ledger.state(bench.now).item_id == "b"


def test_items_of_another_model_session_can_be_hidden(bench: Bench) -> None:
    bench.send(A, 1600)
    bench.done(A)
    bench.send(ItemKey(2, "x", 0), 1600)
    bench.run(0.1)
    assert bench.ledger.state(bench.now, 1).item_id == "a"
    assert bench.ledger.state(bench.now, 2) == PlaybackState("x", 0, 0.0)
    assert bench.ledger.state(bench.now, 3) == NOTHING
    bench.ledger.clear(bench.now)
    assert bench.ledger.state(bench.now, 1).item_id == "a"
    assert bench.ledger.state(bench.now, 2) == NOTHING


# ---- Cuts (design rules 4 and 5) ------------------------------------------------------------------------------------


def test_a_cut_says_what_was_heard_and_what_was_not(bench: Bench) -> None:
    bench.send(A, 1600, "r1")
    bench.done(A)
    bench.send(B, 1600, "r1")
    bench.done(B)
    bench.send(C, 1600, "r2")
    bench.run(0.3)
    cut = bench.ledger.clear(bench.now)
    assert cut.key == B
    assert cut.heard_ms == pytest.approx(100, abs=20)
    assert cut.unheard == (C,)
    assert cut.responses == ("r1", "r2")
    assert [tail.key for tail in cut.tail] == [B, C]
    assert cut.at.at == pytest.approx(bench.now, abs=0.02)
    assert bench.ledger.heard_ms(A) == 200
    assert bench.ledger.heard_ms(B) == cut.heard_ms
    assert bench.ledger.heard_ms(C) == 0
    assert bench.ledger.ended(B) == cut.at
    assert bench.ledger.began(C) is None
    assert not bench.ledger.playing(bench.now)
    assert bench.ledger.idle_at() <= bench.now + 0.02


def test_a_cut_lies_where_the_clear_arrives() -> None:
    """A round trip of 200 ms: what is reported as heard now is not what will have been heard by then."""
    ledger = Playout()
    ledger.stream_started(1, 0.0)

    def frames(first: float, last: float) -> None:
        for number in range(round(first * 50), round(last * 50)):
            ledger.frame(number * 20, number * 0.02 + 0.12)

    frames(0, 1)
    idle, *rest = names(ledger.send(A, "r", payload(16000), 16000, 1.0))
    frames(1, 1.1)
    ledger.reached(idle, 1.2)  # it arrived at 1.1 of the carrier's clock
    frames(1.1, 1.16)
    ledger.reached(rest[0], 1.26)  # 60 ms were heard at once after that
    assert ledger.heard(1.5) == pytest.approx(300, abs=1)
    assert ledger.clear(1.5).heard_ms == pytest.approx(500, abs=1)


def test_a_cut_in_a_clip_names_no_item(bench: Bench) -> None:
    bench.send(None, 1600)
    bench.send(A, 1600)
    bench.run(0.1)
    cut = bench.ledger.clear(bench.now)
    assert (cut.key, cut.heard_ms, cut.unheard) == (None, 0.0, (A,))
    assert [tail.key for tail in cut.tail] == [None, A]
    assert bench.ledger.state(bench.now) == PlaybackState("a", 0, 0.0)


def test_a_cut_of_nothing(bench: Bench) -> None:
    bench.send(A, 1600)
    bench.done(A)
    bench.run(1.0)
    cut = bench.ledger.clear(bench.now)
    assert (cut.key, cut.unheard, cut.responses, cut.tail) == (None, (), (), ())
    assert bench.ledger.state(bench.now) == NOTHING


def test_an_item_that_was_too_short_to_send_is_unheard(bench: Bench) -> None:
    assert bench.send(A, 100) == []
    assert bench.ledger.clear(bench.now).unheard == (A,)
    assert bench.done(A) == []  # nothing of what was cut comes after it


def test_a_new_epoch_starts_on_an_empty_queue(bench: Bench) -> None:
    bench.send(A, 80000)
    bench.run(1.0)
    bench.ledger.clear(bench.now)
    bench.clear()
    heard = bench.ledger.heard(bench.now)
    assert isinstance(bench.send(B, 8000)[0], Mark)
    bench.run(0.5)
    assert bench.ledger.heard(bench.now) - heard == pytest.approx(500, abs=20)
    assert bench.ledger.heard_ms(B) == pytest.approx(500, abs=20)


def test_the_tail_of_an_innocent_item_is_sent_again(bench: Bench) -> None:
    """A guardrail trips over B while A is at the ear: what A still has to say is said."""
    for number in range(10):
        bench.send(A, 1600, "r1", byte=number)
    bench.done(A)
    bench.send(B, 8000, "r1")
    bench.run(1.03)
    cut = bench.ledger.clear(bench.now)
    bench.clear()
    audio = b"".join(bytes([number]) * 1600 for number in range(10))
    commands = bench.take(bench.ledger.resend(bench.now, frozenset({A})))
    start = int(cut.heard_ms * 8) // 160 * 160  # from the frame at the ear on
    assert played(commands) == audio[start:]
    assert all(size % 160 == 0 for size in sizes(commands))
    assert isinstance(commands[0], Mark)
    assert isinstance(commands[-1], Mark)
    assert bench.ledger.state(bench.now).item_id == "a"
    bench.run(0.5)
    bench.ledger.heard(bench.now)
    assert bench.ledger.heard_ms(A) == pytest.approx(cut.heard_ms + 500, abs=25)
    bench.run(5)
    assert bench.ledger.heard_ms(A) == bench.ledger.sent_ms(A) == bench.ledger.generated_ms(A) == 2000
    assert bench.ledger.heard_ms(B) == 0
    assert bench.ledger.ended(A) is not None
    assert bench.ledger.resend(bench.now) == []


def test_after_a_false_barge_in_all_goes_on(bench: Bench) -> None:
    bench.send(None, 1600)
    bench.send(A, 4001)
    bench.run(0.1)
    bench.ledger.clear(bench.now)
    bench.clear()
    commands = bench.take(bench.ledger.resend(bench.now))
    assert sum(sizes(commands)) >= 800 + 4000
    rest = [*bench.send(A, 479, byte=1), *bench.done(A)]
    assert played(rest) == b"\0" + bytes([1]) * 479
    bench.run(3)
    assert bench.ledger.heard_ms(A) == 560


def test_what_was_truncated_is_not_sent_again(bench: Bench) -> None:
    bench.send(A, 8000)
    bench.ledger.clear(bench.now)
    bench.ledger.truncated()
    assert bench.ledger.resend(bench.now) == []


def test_a_cut_twice_goes_on_where_it_was(bench: Bench) -> None:
    for number in range(10):
        bench.send(A, 800, byte=number)
    bench.done(A)
    for _ in range(3):
        bench.run(0.2)
        cut = bench.ledger.clear(bench.now)
        bench.clear()
        bench.take(bench.ledger.resend(bench.now))
    assert cut.key == A
    bench.run(0.2)
    cut = bench.ledger.clear(bench.now)
    assert cut.heard_ms == pytest.approx(800, abs=80)
    assert cut.tail[0].offset == int(cut.heard_ms * 8) // 160 * 160
    text = b"".join(b64decode(text) for text, _ in cut.tail[0].payloads)
    assert text == b"".join(bytes([number]) * 800 for number in range(10))[cut.tail[0].offset :]


# ---- Streams (design rule 6) ----------------------------------------------------------------------------------------


def test_a_lost_stream_stops_the_playhead_and_the_next_one_can_go_on(bench: Bench) -> None:
    bench.send(A, 16000)
    bench.done(A)
    bench.run(0.5)
    cut = bench.ledger.stream_stopped(bench.now)
    heard = bench.ledger.heard(bench.now)
    assert cut.heard_ms == pytest.approx(500, abs=20)
    bench.now += 3.0
    assert bench.ledger.heard(bench.now) == heard
    assert bench.ledger.stream_started(2, bench.now) == cut
    commands = bench.ledger.resend(bench.now)
    assert names(commands)[0] == "2.0:1"
    assert sum(sizes(commands)) == 16000 - int(cut.heard_ms * 8) // 160 * 160
    assert bench.ledger.reached("1.0:3", bench.now) == "cleared"


def test_a_stream_that_supersedes_another_cuts_what_that_had(bench: Bench) -> None:
    bench.send(A, 16000)
    bench.run(0.5)
    cut = bench.ledger.stream_started(2, bench.now)
    assert cut.key == A
    assert cut.heard_ms == pytest.approx(500, abs=20)


# ---- Long calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marks", [True, False])
def test_memory_does_not_grow_with_what_was_heard(marks: bool) -> None:
    def speak(bench: Bench, first: int, last: int) -> None:
        for number in range(first, last):
            key = ItemKey(1, f"item{number}", 0)
            for _ in range(10):
                bench.send(key, 3200)
            bench.done(key)
            if not marks:
                bench.marks.clear()
            bench.run(4.5)

    tracemalloc.start()
    bench = Bench()
    speak(bench, 0, 40)
    before, _ = tracemalloc.get_traced_memory()
    speak(bench, 40, 80)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 40 < 1500  # 4 s of audio are 43 KB
