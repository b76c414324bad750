"""Media sockets of a gateway process: who may stream, and what a bad peer can do."""

import json
import re
import time

import pytest

from gateway.testing import PUBLIC_URL, VOICE_URL
from gateway.testing.twilio import StreamError

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
DESK = "+15550100"
MEDIA_URL = "wss://gw.example/twilio/media"


@pytest.fixture
async def offered(world):
    """A call whose webhook was answered: the call, and the parameters for its stream."""
    call = world.twilio.ring(DESK, caller=world.new_caller())
    twiml = (await world.twilio.deliver(VOICE_URL, call)).text
    yield call, dict(re.findall('<Parameter name="([^"]+)" value="([^"]+)"', twiml))
    await world.twilio.deliver(PUBLIC_URL + "/twilio/status", call, {"CallStatus": "completed"})


async def test_an_unsigned_socket_is_refused_before_it_opens(world):
    attempts = world.model.attempts
    for path in ("", "/"):
        with pytest.raises(StreamError) as refused:
            async with world.twilio.raw_stream(MEDIA_URL + path, {}, signed=False):
                pass
        assert (refused.value.code, refused.value.status) == (31920, 403)
    assert world.model.attempts == attempts


async def test_a_token_is_spent_once(world, offered):
    call, parameters = offered
    async with world.twilio.raw_stream(MEDIA_URL, parameters, call_sid=call.sid) as first:
        await first.start()
        await first.media(b"\xff" * 160, 1)
        await first.receive_event("media")
        async with world.twilio.raw_stream(MEDIA_URL, parameters, call_sid=call.sid) as second:
            await second.start()
            assert await second.closed() == 1008
        await first.media(b"\xff" * 160, 2)
        await first.receive_event("media")  # the first goes on as if nothing had been


@pytest.mark.parametrize("change", ["another call", "tampered", "none", "empty"])
async def test_a_token_is_for_its_own_call(world, offered, change):
    call, parameters = offered
    call_sid = "CA" + "0" * 32 if change == "another call" else call.sid
    token = parameters["token"]
    token = {"tampered": token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), "empty": ""}.get(change, token)
    parameters = {} if change == "none" else {"token": token}
    async with world.twilio.raw_stream(MEDIA_URL, parameters, call_sid=call_sid) as stream:
        await stream.start()
        assert await stream.closed() == 1008


async def test_a_silent_socket_is_closed_after_five_seconds(world):
    """Design rule 14, as the next test."""
    began = time.monotonic()
    async with world.twilio.raw_stream(MEDIA_URL, {}) as stream:
        assert await stream.closed() == 1008
    assert 4.5 < time.monotonic() - began < 9


async def test_an_oversized_message_closes_its_socket_only(world, offered):
    call, parameters = offered
    async with (
        world.twilio.raw_stream(MEDIA_URL, {}) as bad,
        world.twilio.raw_stream(MEDIA_URL, parameters, call_sid=call.sid) as good,
    ):
        await good.start()
        await bad.send("x" * 70_000)
        assert await bad.closed() == 1009
        await good.media(b"\xff" * 160, 1)
        await good.receive_event("media")


async def test_forty_nine_malformed_messages_are_survived_and_the_fiftieth_is_not(world, offered):
    call, parameters = offered
    async with world.twilio.raw_stream(MEDIA_URL, parameters, call_sid=call.sid) as stream:
        await stream.start()
        bad = ["{", "[]", '{"event":7}', "null", b"\x00\x01", '{"event":"media","streamSid":"x"}', "\u2028"]
        for number in range(49):
            await stream.send(bad[number % len(bad)])
        await stream.send(json.dumps({"event": "something-new", "streamSid": stream.stream_sid}))
        await stream.media(b"\xff" * 160, 1)
        await stream.receive_event("media")
        await stream.send("{")
        assert await stream.closed() in {1003, 1008}
