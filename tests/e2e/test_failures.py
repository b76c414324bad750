"""The model can't be had, or is lost: the caller hears the line's on_failure, and never silence or static."""

import anyio
import pytest

from gateway.testing import PUBLIC_URL, DialOutcome
from gateway.testing.model import Fault, decode_frames, fail, say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
DESK, HELPED, SALES = "+15550100", "+15550102", "+15550199"


async def both(world, script, then=None):
    """Call the line that says sorry and the one that dials for help, at once; give both calls when they are over."""
    callers = [await world.dial(DESK, script=script), await world.dial(HELPED)]
    if then is not None:
        await then(callers)
    for caller in callers:
        await caller.wait_for_end(timeout=25)
    return callers


def check(callers):
    sorry, helped = (caller.call.log for caller in callers)
    assert sorry.verb_names()[-2:] == ["Say", "Hangup"]
    assert sorry.verbs[-2].text == "Sorry."
    assert helped.verb_names()[-2:] == ["Say", "Dial"] or helped.verb_names()[-3:] == ["Say", "Dial", "Hangup"]
    dial = next(verb for verb in helped.verbs if verb.verb == "Dial")
    assert [noun[2] for noun in dial.nouns] == [SALES]
    for log in (sorry, helped):
        assert log.codes() == []
    for caller in callers:
        assert caller.call.ear.utterances >= 1


@pytest.mark.parametrize("fault", [Fault.HTTP_401, Fault.HTTP_429, Fault.SLOW_HANDSHAKE, Fault.NO_SESSION_UPDATED])
async def test_the_model_does_not_connect(world, fault):
    world.model.faults.on(fault)
    callers = await both(world, ())
    check(callers)
    for caller in callers:
        result, _reason = await world.ended(caller)
        assert result == "model"
        first_words = caller.call.ear.began / 8
        print(f"{fault}: first words after {first_words:.0f} ms")  # noqa: T201
        assert first_words < 6000


async def test_nobody_listens_where_the_model_should_be(world):
    await world.model.refuse_connections()
    try:
        check(await both(world, ()))
    finally:
        await world.model.accept_connections()


async def test_the_wrong_format_is_never_heard(world):
    """The model insists on 24 kHz PCM: not a byte of it may reach the ear (static)."""
    world.model.faults.on(Fault.FORMAT_IGNORED)
    callers = await both(world, [say("Hello.", 2.0)])
    check(callers)
    for caller in callers:
        assert caller.call.log.received == []


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.EXPIRED, Fault.EXPIRED_SILENTLY])
async def test_the_model_is_lost_in_the_middle(world, fault):
    """Model audio stops, and the carrier's voice goes on at once: no late audio, no gap of more than 3 s."""

    async def lose(callers):
        for caller in callers:
            await caller.wait_for_speech()
        for session in world.model.sessions[-2:]:
            await session.strike(fault)

    callers = await both(world, [say("Hello, this is a long sentence.", 20.0)], lose)
    check(callers)
    for caller in callers:
        assert (await world.ended(caller))[0] == "model"


async def test_a_response_that_fails_twice(world):
    """One failed response is asked for again; the second one is a failure (response.done says it, nothing else)."""
    callers = await both(world, [fail(), fail()])
    check(callers)
    for caller in callers:
        result, reason = await world.ended(caller)
        assert (result, reason.startswith("response-failed")) == ("model", True)


async def test_a_response_that_fails_once_is_not_noticed(world):
    caller = await world.dial(script=[fail("rate_limit_exceeded"), say("Hello.", 1.0)])
    await caller.wait_for_speech()
    await caller.wait_for_silence()
    caller.hang_up()
    await caller.wait_for_end()
    assert [frame.seq for frame in decode_frames(caller.heard)] == list(range(50))


async def test_help_that_does_not_come_is_not_silence(world):
    world.model.faults.on(Fault.HTTP_500)
    caller = await world.dial(HELPED, dials={SALES: DialOutcome("busy", rings=0.2)})
    assert await caller.wait_for_end() == "twiml"
    assert caller.call.log.verb_names()[-4:] == ["Say", "Dial", "Say", "Hangup"]


async def test_the_fallback_answers_when_the_voice_webhook_is_gone(world):
    number = world.twilio.add_number(
        "+15550180", PUBLIC_URL + "/twilio/gone", voice_fallback_url=PUBLIC_URL + "/twilio/fallback"
    )
    caller = await world.dial(number.phone_number)
    with anyio.fail_after(15):
        await caller.wait_for_end()
    log = caller.call.log
    assert log.codes() == [11200]
    assert [request.status for request in log.requested("fallback")] == [200]
    assert log.verb_names() == ["Say", "Hangup"]
    assert caller.call.ear.utterances == 1
