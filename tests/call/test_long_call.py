"""A call of six hundred turns: a turn costs the same at its end as at its beginning."""

import time
from statistics import median

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.commands import Mark
from gateway.call.policy import Policy

TURNS, BLOCK = 600, 50
PIECE = "/" * 640


def turn(call: Call, number: int, now: float) -> None:
    """The caller speaks; the agent answers with a second of audio, word by word, all of which is heard."""
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
    call.turns.take_settled()


def test_the_last_turns_cost_what_the_first_ones_did():
    """A factor of two is room for a machine with other work: what grows with the call would be far beyond it."""
    call = Call(Policy("desk"), 0.0)
    call.handle(e.StreamStarted("MZ1", 1), 0.0)
    call.handle(e.AgentReady(1), 0.1)
    took: list[float] = []
    for number in range(TURNS):
        began = time.thread_time()
        turn(call, number, 1.0 + 4.0 * number)
        took.append(time.thread_time() - began)
    assert sum(1 for each in call.turns.turns if each.speaker == "agent" and each.heard == each.generated) == TURNS
    assert median(took[-BLOCK:]) < 2 * median(took[:BLOCK])
