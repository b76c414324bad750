"""A hundred barge-ins at random moments: what the model is told of what was heard, beside the carrier's own log."""

from random import Random
from statistics import median

import anyio
import pytest

from gateway.testing import Behaviour
from gateway.testing.model import say
from gateway.testing.twilio import Marks

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone]

TIMES = 4
"""Barge-ins in each call."""
WITH_MARKS, WITHOUT = 20, 5
"""Calls; of the latter no mark comes back."""
AT_ONCE = 13
"""Calls at a time, as the carrier, who measures, has to keep its time on the same machine."""
BOUNDS = {True: 60, False: 250}
"""Milliseconds by which the model may be wrong, with marks and without."""
WORDS = "The way to the gate is long, and there is a lot to be said about each of its turns."


async def brain(session, asked):
    """Greet briefly; answer in one item, or in a short and a long one."""
    if asked.cause != "speech":
        return say("Hi.", 0.6)
    long = say(WORDS, 9.0)
    return long if (asked.number + session.number) % 2 else say("One moment.", 1.2) + long


async def interrupt(world, tag, behaviour):
    """Ask once, and interrupt each answer at a random moment: while it still comes, and long after."""
    chance = Random(tag)
    caller = await world.dial(behaviour=behaviour)
    await caller.wait_for_speech()
    await caller.wait_for_silence()
    await caller.say(world.speech(tag, 1.2))
    for _ in range(TIMES):
        await caller.wait_for_answer()
        await caller.barge_in(world.speech(tag, 1.2), after_ms=chance.uniform(200, 4500))
    await caller.wait_for_answer()
    caller.hang_up()
    await caller.wait_for_end()
    return caller


@pytest.mark.timeout(180)
async def test_a_hundred_barge_ins(world):
    world.model.script = brain
    callers, places = {}, anyio.Semaphore(AT_ONCE)

    async def one(tag):
        behaviour = Behaviour() if tag < WITH_MARKS else Behaviour(marks=Marks("never"))
        async with places:
            callers[tag] = await interrupt(world, tag, behaviour)

    async with anyio.create_task_group() as tasks:
        for tag in range(WITH_MARKS + WITHOUT):
            tasks.start_soon(one, tag)

    off: dict[bool, list[float]] = {True: [], False: []}
    unaided = []
    for tag, caller in callers.items():
        session, marks = world.session_of(tag), tag < WITH_MARKS
        assert len(caller.call.log.clears) == TIMES
        assert caller.call.log.codes() == []
        for clear in caller.call.log.clears:
            told, truth = world.truncation(caller, session, clear)
            off[marks].append(max(abs(told - truth) - world.lateness(caller, clear), 0.0))
            unaided.append(clear.received / 8 - clear.played / 8)
    for marks, errors in off.items():
        errors.sort()
        p99 = errors[round(0.99 * (len(errors) - 1))]
        name = f"barge-ins {'with' if marks else 'without'} marks"
        ok = sum(error <= BOUNDS[marks] for error in errors)
        print(f"{name}: n {len(errors)}, ok {ok}, p50 {median(errors):.0f}, p99 {p99:.0f}, max {errors[-1]:.0f} ms")  # noqa: T201
        assert ok == len(errors)
    assert len(unaided) == TIMES * (WITH_MARKS + WITHOUT)
    # The experiment can fail: to tell the model what was sent, which is what it believes by itself, would be wrong.
    assert sum(error > max(BOUNDS.values()) for error in unaided) > 0.9 * len(unaided)
