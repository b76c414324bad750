"""A call of six hundred turns: a turn costs the same at its end as at its beginning, and leaves nothing behind."""

import gc
import sys
import time
from collections.abc import Callable
from statistics import median

import pytest

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.commands import Mark
from gateway.call.policy import Policy
from gateway.call.turns import KEPT, MOST, WORDS, Turn

TURNS, BLOCK = 600, 50
PIECE = "/" * 640


def turn(call: Call, number: int, now: float) -> list[Turn]:
    """The caller speaks; the agent answers with a second of audio, word by word, all of which is heard.

    Returns the turns that settled.
    """
    caller, item, response = f"u{number}", f"a{number}", f"r{number}"
    call.handle(e.SpeechStarted(caller, 0), now)
    call.handle(e.SpeechStopped(caller, 500), now + 0.5)
    call.handle(e.CallerTranscribed(caller, "Where is it?", final=True), now + 0.6)
    call.handle(e.ResponseStarted(response), now + 0.6)
    marks: list[str] = []
    for piece in range(17):
        at = now + 0.7 + piece / 100
        call.handle(e.AgentTranscribed(1, item, 0, "so the order "), at)
        said = call.handle(e.AgentAudio(1, response, item, 0, PIECE, 480), at)
        marks += [command.name for command in said if isinstance(command, Mark)]
    marks += [each.name for each in call.handle(e.AgentAudioDone(1, item, 0), now + 0.9) if isinstance(each, Mark)]
    call.handle(e.ResponseDone(response, "completed"), now + 0.9)
    for place, name in enumerate(marks):
        call.handle(e.MarkReached(name), now + 0.9 + place / 5)
    call.playout.placed.clear()
    return call.turns.take_settled()


def cut_turn(call: Call, number: int, now: float) -> list[Turn]:
    """The caller speaks and is not transcribed; of the agent's answer nothing is heard, for the caller speaks again."""
    caller, item, response = f"u{number}", f"a{number}", f"r{number}"
    call.handle(e.SpeechStarted(caller, 0), now)
    call.handle(e.Interrupted(), now)
    call.handle(e.SpeechStopped(caller, 500), now + 0.5)
    call.handle(e.ResponseStarted(response), now + 0.6)
    call.handle(e.AgentTranscribed(1, item, 0, "so the order "), now + 0.7)
    call.handle(e.AgentAudio(1, response, item, 0, PIECE * 10, 4800), now + 0.7)
    call.handle(e.SpeechStarted(f"{caller}b", 700), now + 0.71)
    call.handle(e.Interrupted(), now + 0.71)
    call.handle(e.SpeechStopped(f"{caller}b", 900), now + 0.9)
    call.handle(e.ResponseDone(response, "cancelled"), now + 0.9)
    call.playout.placed.clear()
    return call.turns.take_settled()


def begun() -> Call:
    call = Call(Policy("desk"), 0.0)
    call.handle(e.StreamStarted("MZ1", 1), 0.0)
    call.handle(e.AgentReady(1), 0.1)
    return call


def test_the_last_turns_cost_what_the_first_ones_did():
    """A factor of two is room for a machine with other work: what grows with the call would be far beyond it."""
    call = begun()
    took: list[float] = []
    turns: dict[str, Turn] = {}
    for number in range(TURNS):
        began = time.thread_time()
        settled = turn(call, number, 1.0 + 4.0 * number)
        took.append(time.thread_time() - began)
        turns |= {each.item_id: each for each in settled}
    assert sum(1 for each in turns.values() if each.speaker == "agent" and each.heard == each.generated) == TURNS
    assert median(took[-BLOCK:]) < 2 * median(took[:BLOCK])


def left_behind(some: Callable[[Call, int, float], list[Turn]]) -> float:
    """Pieces of memory that a turn of the second half of a call leaves behind."""
    call = begun()
    before = 0
    for number in range(TURNS):
        some(call, number, 1.0 + 4.0 * number)
        if number + 1 in {TURNS // 2, TURNS}:
            gc.collect()
            before, after = sys.getallocatedblocks(), before
    return (before - after) / (TURNS // 2)


@pytest.mark.parametrize("some", [turn, cut_turn])
def test_turns_that_are_over_leave_nothing_behind(some):
    """An object, its number and its place in a list are three pieces; Python's own caches still take one or two."""
    assert left_behind(some) < 3


def test_a_transcription_that_is_late_finds_its_turn():
    call = begun()
    call.handle(e.SpeechStarted("late", 0), 1.0)
    call.handle(e.SpeechStopped("late", 500), 1.5)
    for number in range(2 * KEPT):
        turn(call, number, 2.0 + 4.0 * number)
    call.handle(e.CallerTranscribed("late", "Hello?", final=True), 200.0)
    [late] = call.turns.take_settled()
    assert (late.item_id, late.began, late.heard) == ("late", call.turns.held[0].began, "Hello?")
    assert late.began < 2.0
    turn(call, 2 * KEPT, 201.0)
    assert "late" not in {each.item_id for each in call.turns.held}


def test_a_turn_that_never_ends_is_on_the_record_as_it_stands():
    call = begun()
    call.handle(e.AgentTranscribed(1, "unsent", 0, "This is never sent."), 1.0)
    settled: list[Turn] = []
    for number in range(MOST):
        settled += turn(call, number, 2.0 + 4.0 * number)
        assert len(call.turns.held) <= KEPT + 1
    for number in range(MOST):
        call.handle(e.SpeechStarted(f"open{number}", 0), 1000.0 + number)
        settled += call.turns.take_settled()
        assert len(call.turns.held) <= MOST
    assert [each.generated for each in settled if each.item_id == "unsent"] == ["This is never sent."]


def test_a_model_that_is_told_of_the_conversation_is_told_its_end():
    call = begun()
    for number in range(TURNS):
        turn(call, number, 1.0 + 4.0 * number)
    told = call.turns.so_far()
    assert WORDS < len(told) < 2 * WORDS
    assert told.splitlines()[-2:] == ["caller: Where is it?", f"agent: {'so the order ' * 17}"]
    assert {line.partition(":")[0] for line in told.splitlines()} == {"caller", "agent"}
