"""How calls end and move: after the last heard word, by both routes, and by the line's limits."""

import anyio
import pytest

from gateway.testing import DialOutcome
from gateway.testing.model import call_tool, decode_frames, nothing, say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
DESK, REST, LIMITED, SPARING, SALES = "+15550100", "+15550101", "+15550103", "+15550104", "+15550199"
GOODBYE = say("Thank you for calling, and have a very nice day.", 3.0)
PUT_THROUGH = say("I put you through to sales, just a moment please.", 3.0)


def last_words(world, caller):
    """The numbers of the frames of the model that the caller heard; all of them tell of the same session."""
    frames = decode_frames(caller.heard)
    assert len({frame.tag for frame in frames}) == 1
    return [frame.seq for frame in frames]


@pytest.mark.parametrize("number", [DESK, REST])
async def test_the_agent_hangs_up_after_its_last_heard_word(world, number):
    """The tool is called seconds before the caller has heard the goodbye: audio comes four times as fast."""
    script = [GOODBYE + call_tool("hang_up", {"reason": "done"}), nothing()]
    caller = await world.dial(number, script=script)
    ended_by = await caller.wait_for_end()
    assert ended_by == ("twiml" if number == DESK else "api")
    assert last_words(world, caller) == list(range(150))
    assert await world.ended(caller) == ("success", "done")
    silence_ms = caller.call.ear.quiet_ms
    print(f"{number}: dead air after the last word: {silence_ms:.0f} ms")  # noqa: T201
    assert silence_ms < 3000
    assert caller.call.log.codes() == []


@pytest.mark.parametrize("number", [DESK, REST])
async def test_a_goodbye_that_follows_the_tool_is_heard(world, number):
    """Many models call hang_up first, and say goodbye in the response after the tool's output."""
    caller = await world.dial(number, script=[call_tool("hang_up", {"reason": "done"}), GOODBYE])
    await caller.wait_for_end()
    assert last_words(world, caller) == list(range(150))


@pytest.mark.parametrize("number", [DESK, REST])
async def test_a_transfer_waits_for_the_last_heard_word(world, number):
    caller = await world.dial(number, script=[PUT_THROUGH + call_tool("transfer", {"target": "sales"}), nothing()])
    await caller.wait_for_end()
    log = caller.call.log
    assert last_words(world, caller) == list(range(150))
    dial = next(verb for verb in log.verbs if verb.verb == "Dial")
    assert [noun[2] for noun in dial.nouns] == [SALES]
    heard_until = max(piece.to_ms for piece in log.played)
    print(f"{number}: from the last word to the dial: {dial.at_ms - heard_until:.0f} ms")  # noqa: T201
    assert 0 <= dial.at_ms - heard_until < 3000
    assert await world.ended(caller) == ("success", "transferred")
    assert log.codes() == []


@pytest.mark.parametrize("number", [DESK, REST])
async def test_a_transfer_that_fails_brings_the_agent_back(world, number):
    script = [
        PUT_THROUGH + call_tool("transfer", {"target": "sales"}),
        nothing(),
        say("Nobody answered. What else?", 1.0),
    ]
    caller = await world.dial(number, script=script, dials={SALES: DialOutcome("no-answer", rings=0.3)})
    await caller.wait_for_stream(2, timeout=15)
    await caller.wait_for_silence(1500)
    texts = [text for _, text in world.model.sessions[-1].remembered()]
    assert any("transfer failed (no-answer)" in text for text in texts)
    caller.hang_up()
    await caller.wait_for_end()
    assert caller.call.log.verb_names()[:3] == ["Connect", "Dial", "Connect"]
    assert (await world.ended(caller))[0] == "success"


async def test_limits_end_calls(world):
    """Silence on both sides for 5 s, and a call of 10 s that talks all the time."""
    quiet = await world.dial(LIMITED, script=[say("Hello.", 0.5)])
    await quiet.wait_for_speech()
    talker = await world.dial(LIMITED, script=[say("I talk and talk.", 11.0)])
    assert await quiet.wait_for_end() == "twiml"
    assert await world.ended(quiet) == ("caller", "silence")
    assert 5.0 <= quiet.call.ear.quiet_ms / 1000 < 8.0
    assert await talker.wait_for_end() == "twiml"
    assert await world.ended(talker) == ("gateway", "max-duration")
    assert last_words(world, talker) == list(range(550))


async def test_a_caller_may_call_so_often(world):
    number = world.new_caller()
    for _ in range(2):
        caller = await world.dial(SPARING, caller=number, script=[say("Hello.", 0.5)])
        await caller.wait_for_speech()
        caller.hang_up()
        await caller.wait_for_end()
    refused = await world.dial(SPARING, caller=number)
    await refused.wait_for_end()
    assert (refused.call.status, refused.call.log.verb_names()) == ("busy", ["Reject"])
    other = await world.dial(SPARING, script=[say("Hello.", 0.5)])
    await other.wait_for_speech()
    other.hang_up()
    await other.wait_for_end()


async def test_the_api_fails_and_the_call_ends_all_the_same(world):
    """Route ``rest``, and Twilio's API is down for good: the stream is closed instead."""
    world.twilio.rest.fail_next(500, times=20)
    try:
        caller = await world.dial(REST, script=[say("Goodbye.", 0.5) + call_tool("hang_up", {"reason": "done"})])
        with anyio.fail_after(30):
            assert await caller.wait_for_end() == "twiml"
    finally:
        world.twilio.rest.clear_failures()
