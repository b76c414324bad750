"""Twenty kinds of healthy calls, of which the doctor says nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.call import events as e
from gateway.call.plan import Dial
from gateway.call.policy import BargeIn, Clip, Policy, Target
from tests.diagnosis.scenes import Scene, found, opened, start, talk
from tests.store.drama import sound

COST = {"total": 0.05, "usage": {"input_text_tokens": 0.01, "output_audio_tokens": 0.04}, "carrier": 0.0}
DESK = {"desk": Target("desk", "+14155550111")}


def short() -> Scene:
    return start()


def usual() -> Scene:
    return talk(start(), 3)


def long() -> Scene:
    scene = talk(start(), 25)
    scene.note("cost", **COST)
    return scene


def interrupted() -> Scene:
    """The caller cuts the agent short three times, and means it."""
    scene = start()
    for words in ("No, wait, that is the wrong order.", "Stop.", "Can you tell me the price instead?"):
        scene.run(0.6)
        scene.caller("Tell me about my order.", 1.5)
        scene.agent("Your order consists of many things that I will now read out to you.", 9.0, heard_out=False)
        scene.run(1.2)
        scene.caller(words, 1.1)
        scene.agent("All right, as you like.", 1.8)
    return scene


def yes_to_a_question() -> Scene:
    """A short yes cuts, but it is an answer."""
    scene = start()
    scene.run(0.5)
    scene.caller("I want a table for two.", 1.5)
    scene.agent("Shall I book the table at seven?", 2.4, heard_out=False)
    scene.run(1.6)
    scene.caller("Yes.", 0.4)
    scene.agent("It is booked.", 1.5)
    return scene


def tools() -> Scene:
    scene = start()
    scene.run(0.5)
    scene.caller("Where is my order?", 1.3)
    scene.tool("find_order", 0.4)
    scene.agent("It was shipped on Monday.", 2.0)
    scene.run(0.6)
    scene.caller("And the other one?", 1.0)
    scene.agent("One moment, I look it up.", 1.6, heard_out=False)
    scene.tool("find_order", 2.2)
    scene.agent("It arrives tomorrow.", 1.8)
    return scene


def handoffs() -> Scene:
    scene = talk(start(), 1)
    scene.run(0.5)
    scene.caller("I have a question about a bill.", 1.8)
    scene.tool("transfer_to_billing", 0.05, "billing has taken over")
    scene.do(e.AgentChanged("reception", "billing"))
    scene.agent("This is billing, which bill is it?", 2.2)
    talk(scene, 1)
    scene.caller("And now something else.", 1.5)
    scene.do(e.AgentChanged("billing", "reception"))
    scene.agent("Reception again, what is it?", 2.0)
    return scene


def transfer() -> Scene:
    """The agent says so, transfers, and the person picks up."""
    scene = talk(start(transfers=DESK), 1)
    scene.caller("I want to talk to a person.", 1.5)
    scene.do(e.TransferAsked("agent", "desk"))
    scene.agent("I put you through.", 1.2)
    scene.run(1.0)
    scene.do(e.StreamStopped(1, "closed"))
    commands = scene.do(e.ContinuationAsked("in-progress"))
    assert any(isinstance(verb, Dial) for command in commands for verb in getattr(command, "plan", ()))
    scene.frame_at = None
    scene.run(45.0)
    scene.do(e.ContinuationAsked("in-progress", "completed"))
    return scene


def goodbye() -> Scene:
    """The agent says goodbye and hangs up."""
    scene = talk(start(), 1)
    scene.caller("That was all, thank you.", 1.4)
    scene.do(e.HangUpAsked("agent", "done"))
    scene.agent("Goodbye, and have a nice day.", 2.0)
    return scene.leave()


def goodbye_by_rest() -> Scene:
    scene = talk(start(end_by="rest"), 1)
    scene.caller("Bye.", 0.5)
    scene.agent("Goodbye.", 1.0, heard_out=False)
    scene.do(e.HangUpAsked("agent", "caller-asked"))
    scene.run(3.0)
    scene.do(e.StreamStopped(1, "stop"))
    scene.do(e.StatusChanged("completed"))
    return scene


def hangs_up_in_the_middle() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Tell me everything.", 1.2)
    scene.agent("This will take quite some time to tell.", 9.0, heard_out=False)
    scene.run(1.0)
    return scene


def hangs_up_in_a_tool() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Where is my order?", 1.2)
    scene.tool("find_order", 1.0, ends=False)
    return scene


def keys() -> Scene:
    """The caller enters a number on the keypad."""
    scene = start()
    scene.run(0.4)
    scene.caller("I have a customer number.", 1.6)
    scene.agent("Please enter it now, and then the hash key.", 2.4)
    for digit in "4711":
        scene.run(1.3)
        scene.do(e.DigitPressed(digit))
    scene.run(1.0)
    scene.do(e.DigitPressed("#"))
    scene.agent("Thank you, I found you.", 1.6)
    return talk(scene, 1)


def digits_without_end() -> Scene:
    scene = start()
    scene.agent("Press 1 for sales, 2 for everything else.", 3.0, heard_out=False)
    scene.run(1.0)
    scene.do(e.DigitPressed("2"))
    scene.run(2.1)
    scene.agent("You chose everything else.", 1.6)
    return talk(scene, 1)


def hold() -> Scene:
    """The caller looks for something, for most of a minute."""
    scene = talk(start(), 1)
    scene.caller("Hold on, I have to find my papers.", 1.8)
    scene.agent("Take your time.", 0.9)
    scene.run(48.0)
    scene.caller("I have them.", 0.9)
    scene.agent("Wonderful, what is the number?", 1.6)
    return talk(scene, 1)


def approval() -> Scene:
    """A tool waits for the caller's yes, on the keypad."""
    scene = start()
    scene.run(0.4)
    scene.caller("Cancel my order, please.", 1.4)
    scene.do(e.ApprovalAsked("cancel_order", "{}", "call1"))
    scene.agent("I cancel order 12. Press 1 to confirm, or 2 to keep it.", 3.0)
    scene.run(4.0)
    scene.do(e.DigitPressed("1"))
    scene.do(e.ToolStarted("cancel_order", "{}", "call1"))
    scene.run(0.3)
    scene.do(e.ToolEnded("cancel_order", "cancelled", "call1"))
    scene.agent("It is cancelled.", 1.2)
    return scene


def greeted_by_a_clip() -> Scene:
    """A recording greets while the model is still being connected."""
    clip = Clip(sound(16000), 16000, "Welcome.")
    scene = Scene(Policy("desk", greeting="Welcome.", greeting_clip=clip))
    scene.begin(ready=1.2)
    scene.run(1.5)
    return talk(scene, 2)


def own_rules() -> Scene:
    """A line that asks for half a second of speech: a cough does not cut, words do."""
    scene = start(barge_in=BargeIn(min_speech=0.5))
    scene.run(0.5)
    scene.caller("Read me the list.", 1.2)
    scene.agent("First there are apples, and then there are pears, and many more.", 7.0, heard_out=False)
    scene.run(0.8)
    scene.caller("", 0.1, detection=0.3)
    scene.run(0.5)
    scene.caller("That is enough, thank you.", 1.5)
    scene.agent("All right.", 0.9)
    return scene


def protected_greeting() -> Scene:
    """The caller speaks into a greeting that is heard out, and is answered then."""
    scene = opened(barge_in=BargeIn(protect_greeting=True))
    scene.agent("Welcome to Acme, this call may be recorded for training.", 4.0, heard_out=False)
    scene.run(1.0)
    scene.caller("Hello, I have a question.", 1.2)
    scene.run(max(scene.idle_at - scene.now, 0) + 0.2)
    scene.agent("What is your question?", 1.4)
    return talk(scene, 1)


def in_german() -> Scene:
    scene = opened(language="de-CH")
    scene.agent("Grüezi, wie kann ich helfen?", 1.8)
    scene.run(0.7)
    scene.caller("Ich hätte gern einen Termin.", 1.6)
    scene.agent("Passt Ihnen Dienstag um neun?", 1.9)
    scene.run(0.5)
    scene.caller("Ja, genau.", 0.7)
    scene.agent("Dann bis Dienstag.", 1.2)
    return scene


def given_back() -> Scene:
    """The call goes back to the Studio flow that sent it here."""
    scene = talk(start(return_to="https://webhooks.twilio.com/v1/Accounts/AC1/Flows/FW1?FlowEvent=return"), 1)
    scene.caller("That was all.", 0.9)
    scene.do(e.HangUpAsked("agent", "done"))
    scene.agent("One moment, please.", 1.0)
    return scene.leave()


def late_words() -> Scene:
    """Transcriptions come late and out of order."""
    scene = start()
    for number in range(2):
        scene.run(0.6)
        item = scene.caller("", 1.2, detection=0.5)
        scene.agent(f"This is answer {number}.", 1.6)
        scene.do(e.CallerTranscribed(item, f"This was question {number}.", final=True))
    return scene


def listens_and_leaves() -> Scene:
    """A caller who says nothing, and hangs up after a while."""
    scene = start()
    scene.run(7.0)
    return scene


CALLS: tuple[Callable[[], Scene], ...] = (
    short, usual, long, interrupted, yes_to_a_question, tools, handoffs, transfer, goodbye, goodbye_by_rest,
    hangs_up_in_the_middle, hangs_up_in_a_tool, keys, digits_without_end, hold, approval, greeted_by_a_clip, own_rules,
    protected_greeting, in_german, given_back, late_words, listens_and_leaves,
)  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_nothing_is_said_of_a_healthy_call(call: Callable[[], Scene], tmp_path: Path) -> None:
    scene = call()
    if not scene.over:
        scene.hang_up()
    assert scene.over
    assert found(scene, tmp_path, record=True) == []


def test_there_are_twenty_kinds() -> None:
    assert len(CALLS) >= 20
