"""The end of a process: SIGTERM lets callers finish, a second signal does not; and how many calls there may be."""

import signal
import time

import pytest

from gateway.testing.model import say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def brain(_session, asked):
    return say("Hello.", 1.0) if asked.cause == "client" else say("Certainly.", 1.5)


async def test_a_full_process_is_busy_and_a_drained_one_lets_calls_finish(begin):
    async with begin(environment={"GATEWAY_MAX_CALLS": "2"}, script=brain) as world:
        first, second = await world.dial(), await world.dial()
        for caller in (first, second):
            await caller.wait_for_speech()
        assert (await world.gateway.get("/readyz")).json()["reasons"] == ["full"]
        third = await world.dial()
        await third.wait_for_end()
        assert third.call.status == "busy"
        second.hang_up()
        await second.wait_for_end()
        assert (await world.gateway.get("/readyz")).status_code == 200

        world.gateway.signal()
        await world.gateway.wait_until_logged("draining")
        ready = await world.gateway.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["draining"])
        assert (await world.gateway.get("/healthz")).status_code == 200
        late = await world.dial()
        await late.wait_for_end()
        assert (late.call.status, late.call.log.verb_names()) == ("busy", ["Reject"])

        await first.wait_for_silence()
        await first.say(world.speech(7))
        await first.wait_for_answer()
        await first.wait_for_silence()
        assert world.gateway.process.returncode is None
        first.hang_up()
        assert await first.wait_for_end() == "caller"
        assert await world.gateway.stopped() == 0
        assert first.call.log.codes() == []
        assert [entry["reason"] for entry in world.gateway.logged("call-ended")] == ["caller-hung-up"] * 2


async def test_a_second_signal_ends_at_once(begin):
    async with begin(script=brain) as world:
        caller = await world.dial()
        await caller.wait_for_speech()
        world.gateway.signal()
        await world.gateway.wait_until_logged("draining")
        began = time.monotonic()
        world.gateway.signal(signal.SIGINT)
        await world.gateway.stopped()
        assert time.monotonic() - began < 8
        caller.hang_up()
        await caller.wait_for_end()


async def test_the_drain_has_an_end(begin):
    """After GATEWAY_DRAIN_TIMEOUT the calls that are left are ended, after their agent's last word."""
    async with begin(environment={"GATEWAY_DRAIN_TIMEOUT": "1s"}, script=[say("Hello, and so on.", 4.0)]) as world:
        caller = await world.dial()
        await caller.wait_for_speech()
        world.gateway.signal()
        assert await caller.wait_for_end() == "twiml"
        assert await world.gateway.stopped() == 0
        assert world.gateway.logged("call-ended")[0]["reason"] == "drained"
        assert caller.call.ear.last_word / 8 > 3900  # all of it was heard
