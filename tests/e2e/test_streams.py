"""Streams come and go, the call lives on; and calls of which nothing is heard any more."""

import httpx2
import pytest

from gateway.testing import PUBLIC_URL, VOICE_URL
from gateway.testing.model import decode_frames, say

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone]
DESK = "+15550100"


async def test_a_lost_stream_is_resumed_with_the_same_agent(world):
    caller = await world.dial(script=[say("Hello, I will tell you a long story.", 20.0), say("As I said.", 1.0)])
    log = caller.call.log
    await caller.call.until(lambda: caller.call.ear.utterance_ms > 1000, "a second of the story was heard")
    sessions = len(world.model.sessions)
    caller.call.break_stream()
    await caller.call.until(lambda: log.played[-1].stream == 2, "the agent is heard on the second stream")
    await caller.wait_for_silence()
    assert len(world.model.sessions) == sessions  # the warm model was kept
    session = world.model.sessions[-1]
    assert any("connection to the caller was lost" in text for _, text in session.remembered())
    # The story was cut where the ear was, and nothing more of it was played on the new stream.
    frames = [frame.seq for frame in decode_frames(caller.heard)]
    story = [number for number in frames if number < frames[-1] - 50]
    assert story == list(range(len(story)))
    assert frames[len(story) :] == list(range(frames[-1] - 49, frames[-1] + 1))
    (told,) = (event["audio_end_ms"] for event in session.events("conversation.item.truncate"))
    print(f"lost stream: heard {len(story) * 20} ms, the model was told {told} ms")  # noqa: T201
    assert told == pytest.approx(len(story) * 20, abs=300)
    caller.hang_up()
    await caller.wait_for_end()
    assert log.codes() == [31903]
    assert await world.ended(caller) == ("success", "caller-hung-up")


async def test_a_redirect_stops_the_stream_and_not_the_call(world):
    """Somebody redirects the call through Twilio's API, and it comes back: one call, a second stream."""
    caller = await world.dial(script=[say("Hello.", 5.0), say("Welcome back.", 1.0)])
    await caller.wait_for_speech()
    account = world.twilio.account
    async with httpx2.AsyncClient(auth=(account.sid, account.auth_token), trust_env=False) as client:
        url = f"{world.twilio.api_base_url}/2010-04-01/Accounts/{account.sid}/Calls/{caller.call.sid}.json"
        assert (await client.post(url, data={"Url": VOICE_URL})).status_code == 200
    await caller.wait_for_stream(2)
    await caller.call.until(lambda: caller.call.log.played[-1].stream == 2, "the agent is heard again")
    began = [entry for entry in world.gateway.logged("call-began") if entry["call_sid"] == caller.call.sid]
    assert len(began) == 1
    caller.hang_up()
    await caller.wait_for_end()
    assert await world.ended(caller) == ("success", "caller-hung-up")


async def test_a_stream_that_is_lost_again_and_again_is_given_up_with_words(world):
    caller = await world.dial(script=[say("Hello.", 20.0)] + [say("Again.", 20.0)] * 5)
    for number in range(1, 5):
        await caller.wait_for_stream(number)
        await caller.call.until(lambda n=number: any(p.stream == n for p in caller.call.log.played), "it is heard")
        caller.call.break_stream()
    assert await caller.wait_for_end() == "twiml"
    assert caller.call.log.verb_names() == ["Connect"] * 4 + ["Say", "Hangup"]
    assert await world.ended(caller) == ("carrier", "stream-lost")


async def test_a_caller_who_hangs_up_at_once(world):
    caller = await world.dial(script=[say("Hello.", 1.0)])
    await caller.wait_for_stream()
    caller.hang_up()
    await caller.wait_for_end()
    assert await world.ended(caller) == ("success", "caller-hung-up")


async def test_a_caller_who_hangs_up_before_anything_is_heard(world):
    """Only the webhook and the last status ever come."""
    call = world.twilio.ring(DESK, caller=world.new_caller())
    await world.twilio.deliver(VOICE_URL, call)
    await world.twilio.deliver(PUBLIC_URL + "/twilio/status", call, {"CallStatus": "no-answer"})
    assert '"reason":"no-answer"' in (await world.record(call)).splitlines()[-1]
