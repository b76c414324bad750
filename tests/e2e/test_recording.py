"""A recorded call over real sockets, its waveform against what the carrier's double played."""

import anyio
import pytest

from gateway.audio.wav import read_channels
from gateway.testing.model import say
from gateway.testing.twilio import tone

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone]
TOLERANCE_MS = 40
SPOKEN = 0x10
QUESTION = tone(500, 300.0, 1000.0)
LINE = """
number: "+15550100"
greeting: Hello.
instructions: You answer the phone.
recording: {mode: dual, consent: This call may be recorded.}
"""


def stretches(channel: bytes) -> list[tuple[float, float]]:
    """Where the agent is heard, in milliseconds."""
    found: list[list[float]] = []
    for at, sample in enumerate(channel):
        if sample != SPOKEN:
            continue
        if found and at / 8 - found[-1][1] < 20:
            found[-1][1] = (at + 1) / 8
        else:
            found.append([at / 8, (at + 1) / 8])
    return [(begin, end) for begin, end in found]


async def test_five_barge_ins(begin):
    """Each of the agent's segments begins and ends within 40 ms of where the caller heard it."""
    script = [say("Word " * 20, audio=bytes([SPOKEN]) * seconds * 8000) for seconds in (2, 8, 8, 8, 8, 8, 1)]
    async with begin(script, lines={"desk.yaml": LINE}, seed=2) as world:
        caller = await world.twilio.dial("+15550100")
        await caller.wait_for_speech()
        await caller.wait_for_silence()
        await caller.say(QUESTION)
        for number in range(5):
            await caller.wait_for_answer()
            await caller.barge_in(QUESTION, after_ms=700 + 200 * number)
        await caller.wait_for_answer()
        await caller.wait_for_silence()
        caller.hang_up()
        await caller.wait_for_end()
        ended = await world.gateway.wait_until_logged("call-ended")
        await anyio.sleep(0.6)
        [path] = world.gateway.data.glob("recordings/*.wav")
        assert path.stem == ended["call_id"]
        spoken, agent = read_channels(path.read_bytes())

        log = caller.call.log
        assert log.verbs[0].verb == "Say"
        assert log.verbs[0].text == "This call may be recorded."
        zero = log.frames[0].at_ms - 20 - log.frames[0].timestamp_ms
        truth: list[list[float]] = []
        for piece in log.played:
            if truth and piece.from_ms - zero - truth[-1][1] < 20:
                truth[-1][1] = piece.to_ms - zero
            else:
                truth.append([piece.from_ms - zero, piece.to_ms - zero])
        written = stretches(agent)
        assert len(log.clears) == 5
        assert len(written) == len(truth) == 7, (written, truth)
        errors = [
            abs(a - b) for one, other in zip(truth, written, strict=True) for a, b in zip(one, other, strict=True)
        ]
        print(f"segments of a call with 5 barge-ins: n={len(errors)} max={max(errors):.0f} ms")  # noqa: T201
        assert max(errors) <= TOLERANCE_MS
        assert abs(len(spoken) / 8 - (log.frames[-1].timestamp_ms + 20)) <= 20
