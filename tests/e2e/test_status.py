"""Status callbacks come late, twice and in the wrong order; each call is closed once, and rightly."""

import anyio
import pytest

from gateway.testing import PUBLIC_URL, Behaviour
from gateway.testing.model import say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_every_order_closes_each_call_once(world):
    world.model.script = [say("Hello.", 0.5)]
    callers = []

    async def one(order):
        caller = await world.dial(behaviour=Behaviour(status_order=order))
        callers.append(caller)
        await caller.wait_for_speech()
        caller.hang_up()
        await caller.wait_for_end()

    async with anyio.create_task_group() as tasks:
        for order in ("ordered", "reversed", "shuffled", "doubled"):
            tasks.start_soon(one, order)
    for caller in callers:
        statuses = caller.call.log.requested("status")
        assert {request.status for request in statuses} == {204}
        assert len(statuses) in {4, 8}
        assert await world.ended(caller) == ("success", "caller-hung-up")


@pytest.mark.parametrize("late", ["in-progress", "completed", "busy", "unheard-of", "ringing"])
async def test_what_comes_after_the_end_changes_nothing(world, late):
    caller = await world.dial(script=[say("Hello.", 0.5)])
    await caller.wait_for_speech()
    caller.hang_up()
    await caller.wait_for_end()
    outcome = await world.ended(caller)
    answer = await world.twilio.deliver(PUBLIC_URL + "/twilio/status", caller.call, {"CallStatus": late})
    assert answer.status_code == 204
    before = await world.record(caller.call)
    assert (await world.twilio.deliver(PUBLIC_URL + "/twilio/stream-ended", caller.call)).status_code == 200
    assert await world.record(caller.call) == before
    assert await world.ended(caller) == outcome


async def test_an_early_end_is_the_end(world):
    """``completed`` overtakes everything else: the call is closed, and its stream with it."""
    caller = await world.dial(script=[say("Hello.", 10.0)])
    await caller.wait_for_speech()
    await world.twilio.deliver(PUBLIC_URL + "/twilio/status", caller.call, {"CallStatus": "completed"})
    assert await caller.wait_for_end() == "twiml"
    assert await world.ended(caller) == ("success", "caller-hung-up")
