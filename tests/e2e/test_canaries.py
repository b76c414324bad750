"""What is personal stays on the record of its call: fifty calls, and nothing of them in logs, metrics or traces.

The same calls, as the real program recorded them, are decided again as they were.
"""

import anyio
import httpx2
import pytest

from gateway.store.log_lines import read_log
from gateway.store.replay import replay
from gateway.testing.model import call_tool, say
from tests import canaries as shared
from tests.collector import Collector

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(120)]
CALLS, AT_ONCE = 50, 13
LINE = """
number: "+15550100"
greeting: Hello.
instructions: You answer the phone.
tools: ["records:find", hang_up]
model: {transcription: {model: whisper-1}}
"""


def canaries(number: int) -> dict[str, str]:
    """What one call has that is nobody else's business."""
    return shared.canaries(number) | {"argument": f"argumentcanary{number:06}"}


async def brain(session, asked):
    own = canaries(session.number)
    match asked.number:
        case 1:
            session.ears.transcripts.append(f"I am {own['caller']}.")
            return say(f"Hello {own['agent']}.", 0.5)
        case 2:
            return call_tool("find", {"customer": own["argument"]})
        case 3:
            return say("Press your number.", 0.5)
        case _:
            return call_tool("hang_up")


async def test_nothing_personal_leaves_the_record(begin, tmp_path):
    shared.add_tool(tmp_path / "agents_config")
    limit = anyio.CapacityLimiter(AT_ONCE)
    with Collector() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with begin(brain, lines={"desk.yaml": LINE}, environment=environment) as world:

            async def one(number: int) -> None:
                async with limit:
                    await shared.call(world, canaries(number))

            async with anyio.create_task_group() as tasks:
                for number in range(CALLS):
                    tasks.start_soon(one, number)
            async with httpx2.AsyncClient(trust_env=False) as stranger:
                refused = await stranger.post(
                    world.gateway.base_url + "/twilio/voice",
                    data={"From": "+" + canaries(0)["phone"], "CallSid": "CA1"},
                )
            assert refused.status_code == 403
            await world.gateway.wait_until_logged("call-ended", CALLS)
            metrics = (await world.gateway.get("/metrics")).text
            world.gateway.signal()
            await world.gateway.process.wait()
            logs, data = world.gateway.output, world.gateway.data
            ended = {entry["call_id"] for entry in world.gateway.logged("call-ended")}
            failed = world.gateway.logged("tool-failed")

            # The canaries were there: the records have them all.
            records = {path.stem: path.read_text() for path in (data / "calls").glob("*.jsonl")}
            everything = "".join(records.values())
            absent = [each for number in range(CALLS) for each in canaries(number).values() if each not in everything]
            assert absent == [canaries(number)["result"] for number in range(7, CALLS, 10)]  # tools that failed
            lines = [[*read_log(data / "calls" / f"{name}.jsonl")] for name in records]
            assert len(lines) == CALLS
            assert [difference for log in lines for difference in replay(log)] == []

    spans = collector.spans
    assert ended == {*records}
    assert len(failed) == CALLS // 10
    assert {entry["call_id"] for entry in failed} <= ended
    assert {span.trace for span in spans} == {name.replace("-", "") for name in records}
    assert {"call desk", "turn agent", "turn caller", "execute_tool find"} <= {span.name for span in spans}
    assert 'gateway_tool_seconds_count{outcome="failed",tool="find"}' in metrics
    exported = b"".join(collector.raw).decode("latin-1")
    for name, text in (("logs", logs), ("metrics", metrics), ("traces", exported)):
        leaked = [each for number in range(CALLS) for each in canaries(number).values() if each in text]
        assert leaked == [], name
