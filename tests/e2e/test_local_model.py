"""Ten people call at once, and the model of this machine understands and answers every one of them."""

import json
from pathlib import Path

import anyio
import pytest

from gateway.local import LocalModel
from gateway.testing import VOICE_URL, FakeTwilio, GatewayProcess

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone, pytest.mark.local]
SPEECH = Path(__file__).parents[1] / "speech"
CALLS = 10
LINE = """
number: "+15550100"
greeting: Yes?
instructions: Go forward is what robots do.
tools: [hang_up]
"""


@pytest.mark.timeout(180)
async def test_ten_calls_at_once_are_recognised_and_answered(tmp_path):
    folder = tmp_path / "agents_config"
    folder.mkdir()
    (folder / "desk.yaml").write_text(LINE)
    data = tmp_path / "data"
    async with (
        LocalModel() as model,
        FakeTwilio(voice_url=VOICE_URL, seed=3) as twilio,
        GatewayProcess(
            folder, twilio=twilio, model_url=model.url, environment={"GATEWAY_DATA_DIR": str(data)}
        ) as gateway,
    ):
        answered = []

        async def talk(number):
            caller = await twilio.dial("+15550100", caller=f"+1555010{number:04d}")
            await caller.wait_for_speech(timeout=30)
            await caller.wait_for_silence()
            await caller.say(SPEECH / "cmu_goforward.wav")
            answered.append(await caller.wait_for_answer(timeout=30))
            await caller.wait_for_silence()
            caller.hang_up()
            assert await caller.wait_for_end() == "caller"
            assert caller.call.log.codes() == []

        async with anyio.create_task_group() as tasks:
            for number in range(CALLS):
                tasks.start_soon(talk, number)
        await gateway.wait_until_logged("call-ended", CALLS)
        await anyio.sleep(0.5)  # the logs are written a few times a second
    assert len(answered) == CALLS
    logs = [path.read_text() for path in (data / "calls").glob("*.jsonl")]
    assert len(logs) == CALLS
    for log in logs:
        heard = [line for line in log.splitlines() if '"CallerTranscribed"' in line and '"final":true' in line]
        assert any("forward ten meters" in json.loads(line)[3][1]["text"].lower() for line in heard), heard
        assert "robots" in log
