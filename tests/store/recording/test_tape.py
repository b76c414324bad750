from base64 import b64encode

from gateway.call.playout import Placed
from gateway.store.recording.tape import LAG, Tape


def sound(number: int, size: int = 160) -> str:
    return b64encode(bytes([number]) * size).decode()


def started() -> Tape:
    tape = Tape()
    tape.stream_started(1, 10.0)
    return tape


def hear(tape: Tape, first_ms: int, last_ms: int, number: int = 1) -> None:
    for at in range(first_ms, last_ms, 20):
        tape.caller(at, sound(number), 160, 10.0 + at / 1000)


def test_a_frame_that_is_missing_stays_silence() -> None:
    tape = started()
    hear(tape, 0, 40)
    hear(tape, 60, 80)
    assert tape.window() == (b"\1" * 320 + b"\xff" * 160 + b"\1" * 160, b"\xff" * 640)


def test_frames_out_of_order_find_their_place() -> None:
    tape = started()
    for at, number in ((0, 1), (40, 3), (20, 2), (20, 2)):
        tape.caller(at, sound(number), 160, 10.1)
    assert tape.window()[0] == b"\1" * 160 + b"\2" * 160 + b"\3" * 160


def test_a_timestamp_that_makes_no_sense_is_left_out() -> None:
    tape = started()
    hear(tape, 0, 20)
    tape.caller(10**12, sound(2), 160, 10.02)
    assert tape.end == 160


def test_the_agent_stands_where_it_is_heard_once_that_is_known() -> None:
    tape = started()
    tape.agent(sound(5, 320), 320)
    tape.placed(Placed(1, 0, 100.0))
    hear(tape, 0, 100)
    assert tape.window()[1] == b"\xff" * 800
    tape.placed(Placed(1, 0, 60.0))  # an echo teaches better
    hear(tape, 100, 120)
    assert tape.window()[1] == b"\xff" * 480 + b"\5" * 320 + b"\xff" * 160


def test_what_was_cut_is_not_there() -> None:
    tape = started()
    tape.placed(Placed(1, 0, 0.0))
    tape.agent(sound(5, 1600), 1600)
    tape.placed(Placed(1, 400, 50.0, cut=True))
    tape.placed(Placed(1, 400, 80.0))
    tape.agent(sound(6, 80), 80)
    hear(tape, 0, 200)
    assert tape.window()[1] == b"\5" * 400 + b"\xff" * 240 + b"\6" * 80 + b"\xff" * 880


def test_what_is_settled_does_not_move_any_more() -> None:
    tape = started()
    tape.placed(Placed(1, 0, 0.0))
    for number in range(100):
        tape.agent(sound(number), 160)
    hear(tape, 0, 1000)
    tape.window()
    tape.settle()
    assert tape.start == 8000 - LAG
    tape.placed(Placed(1, 0, -5.0))  # less than what would be worth a click
    assert tape.window()[1] == b"".join(bytes([20 + n]) * 160 for n in range(LAG // 160))
    tape.placed(Placed(1, 0, -20.0))
    assert tape.window()[1].startswith(bytes([21]) * 160)


def test_without_frames_the_tape_goes_on_by_our_clock() -> None:
    tape = started()
    tape.placed(Placed(1, 0, 0.0))
    tape.agent(sound(5, 8000), 8000)
    tape.passed(12.5)
    assert tape.end == 1.5 * 8000
    assert tape.window()[1] == b"\5" * 8000 + b"\xff" * 4000


def test_a_second_stream_begins_where_it_began() -> None:
    tape = started()
    hear(tape, 0, 100)
    tape.stream_stopped()
    tape.passed(12.0)
    assert tape.end == 800
    tape.stream_started(2, 13.0)
    tape.caller(0, sound(2), 160, 13.02)
    tape.agent(sound(7), 160)
    tape.placed(Placed(2, 0, 0.0))
    assert (tape.start, tape.end) == (24000, 24160)
    assert tape.window() == (b"\2" * 160, b"\7" * 160)


def test_what_is_said_in_a_pause_is_silence_on_both_sides() -> None:
    tape = started()
    tape.placed(Placed(1, 0, 0.0))
    tape.agent(sound(5, 1600), 1600)
    hear(tape, 0, 60)
    tape.pause()
    tape.pause()
    hear(tape, 60, 100)
    tape.resume()
    hear(tape, 100, 120)
    for channel, number in zip(tape.window(), (1, 5), strict=True):
        assert channel == bytes([number]) * 480 + b"\xff" * 320 + bytes([number]) * 160


def test_the_last_seconds_can_be_masked() -> None:
    tape = started()
    hear(tape, 0, 100)
    assert tape.mask(0.05) == (400, 800)
    hear(tape, 100, 120)
    assert tape.window()[0] == b"\1" * 400 + b"\xff" * 400 + b"\1" * 160


def test_garbage_is_silence() -> None:
    tape = started()
    tape.caller(0, "?" * 216, 160, 10.0)
    assert tape.window()[0] == b"\xff" * 160
