"""A whole conversation, in each of the ways in which the carrier may behave where its documents leave it open."""

import anyio
import pytest

from gateway.testing import Behaviour
from gateway.testing.model import say
from gateway.testing.twilio import Gaps, Marks

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone]

MODES = {
    "as drawn": Behaviour(),
    "plain": Behaviour.plain(),
    "signature with slash": Behaviour(stream_signature_slash=True),
    "signature with port": Behaviour(stream_signature_port=True),
    "signature with both": Behaviour(stream_signature_slash=True, stream_signature_port=True),
    "webhook signature with port": Behaviour(webhook_signature_port=True),
    "action on redirect": Behaviour(action_on_redirect=True),
    "no action on hang-up": Behaviour(action_on_hang_up=False),
    "no action after a broken stream": Behaviour(action_on_broken_stream=False),
    "normal close is an error": Behaviour(normal_close_is_error=True),
    "marks never come back": Behaviour(marks=Marks("never")),
    "marks come late": Behaviour(marks=Marks("late", 400)),
    "marks come twice": Behaviour(marks=Marks("doubled")),
    "frames are missing": Behaviour(gaps=Gaps(every_ms=1000, missing_ms=60)),
    "keys leak into the audio": Behaviour(tones_leak=True),
    "webhooks come twice": Behaviour(duplicate_webhooks=True),
}


async def brain(_session, asked):
    """Answer speech at length, and anything else in a word."""
    return (
        say("Your seat is twelve A, at the window, in row twelve.", 8.0) if asked.cause == "speech" else say("Hi.", 1)
    )


async def converse(world, behaviour, tag):
    """Greeting, a key, question, answer, a barge-in, hang-up."""
    caller = await world.dial(behaviour=behaviour)
    await caller.wait_for_speech()
    await caller.wait_for_silence()
    await caller.press("7#")
    await caller.wait_for_answer()
    await caller.wait_for_silence()
    await caller.say(world.speech(tag))
    await caller.wait_for_answer()
    await caller.barge_in(world.speech(tag), after_ms=1500)
    await caller.wait_for_answer()
    caller.hang_up()
    assert await caller.wait_for_end() == "caller"
    return caller


def check(world, caller, tag, bound_ms):
    """A call is flawless, and the model knows where its caller's ear was when it spoke over the agent."""
    log, session = caller.call.log, world.session_of(tag)
    assert log.codes() == []
    assert log.refused == []
    clear = log.clears[-1]
    told, truth = world.truncation(caller, session, clear)
    assert told == pytest.approx(truth, abs=bound_ms + world.lateness(caller, clear))
    assert any("pressed these keys: 7" in text for _, text in session.remembered())


async def test_the_conversation_works_in_every_mode(world):
    """All modes at once: each is a call of its own."""
    world.model.script = brain
    callers = {}

    async def one(name, tag):
        callers[name] = await converse(world, MODES[name], tag)

    async with anyio.create_task_group() as tasks:
        for tag, name in enumerate(MODES):
            tasks.start_soon(one, name, tag)

    for tag, (name, behaviour) in enumerate(MODES.items()):
        print(f"{name}: {callers[name].call.truth}")  # noqa: T201
        check(world, callers[name], tag, 250 if behaviour.marks.mode in {"never", "late"} else 60)
        assert await world.ended(callers[name]) == ("success", "caller-hung-up")
