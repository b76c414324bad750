"""Twenty calls at once: every frame arrives, once and in order, in both directions."""

import anyio
import pytest

from gateway.testing.model import compare_frames, encode_frame, say

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone]
CALLS = 20
SECONDS = 6


async def test_twenty_calls_lose_repeat_and_reorder_nothing(world):
    """The numbers are inside the audio; those of the callers are too quiet to be speech, so nobody is interrupted."""
    world.model.script = [say("A long greeting.", SECONDS)]
    first = len(world.model.sessions)
    callers = {}

    async def one(tag):
        caller = callers[tag] = await world.dial()
        await caller.wait_for_stream()
        quiet = (encode_frame(number, tag, loud=False) for number in range(SECONDS * 50))
        await caller.say(b"".join(quiet))
        await caller.wait_for_silence()
        caller.hang_up()
        await caller.wait_for_end()

    async with anyio.create_task_group() as tasks:
        for tag in range(1000, 1000 + CALLS):
            tasks.start_soon(one, tag)

    sessions = {session.number: session for session in world.model.sessions[first:]}
    assert len(sessions) == CALLS
    for tag, caller in callers.items():
        session = world.session_of(tag)
        sessions.pop(session.number)
        said = compare_frames(bytes(session.appended), range(SECONDS * 50), tag)
        heard = compare_frames(caller.heard, range(SECONDS * 50), session.number)
        assert said.perfect, f"to the model: {said}"
        assert heard.perfect, f"to the caller: {heard}"
        assert caller.call.log.codes() == []
    assert sessions == {}  # each call had its own
