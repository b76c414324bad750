"""A whole conversation over real sockets: the carrier's double, a gateway process, a scripted model."""

import pytest

from gateway.testing.model import say
from gateway.testing.twilio import tone

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
QUESTION = tone(800, 300.0, 1000.0)


async def test_a_caller_is_answered_barges_in_and_hangs_up(begin):
    script = [say("Hello, how can I help?", 2.0), say("Your seat is twelve A.", 8.0), say("Goodbye.", 1.0)]
    async with begin(script) as world:
        caller = await world.twilio.dial("+15550100")
        await caller.wait_for_speech()
        await caller.wait_for_silence()
        await caller.say(QUESTION)
        await caller.wait_for_answer()
        await caller.barge_in(QUESTION, after_ms=1500)
        await caller.wait_for_answer()
        await caller.wait_for_silence()
        caller.hang_up()
        assert await caller.wait_for_end() == "caller"

        log = caller.call.log
        assert log.codes() == []
        assert len(log.clears) == 1
        (truncate,) = world.model.session().events("conversation.item.truncate")
        heard_ms = log.clears[0].played / 8 - 2000
        assert truncate["audio_end_ms"] == pytest.approx(heard_ms, abs=60)
        ended = await world.gateway.wait_until_logged("call-ended")
        assert (ended["result"], ended["reason"]) == ("success", "caller-hung-up")
