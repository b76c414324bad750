"""What bad traffic leaves behind in a gateway process: counts and log lines, and nothing that lives on."""

import json
import re

import anyio
import pytest
from websockets.exceptions import ConnectionClosed

from gateway.testing import PUBLIC_URL, VOICE_URL
from gateway.testing.twilio import StreamError

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone]
DESK = "+15550100"
MEDIA_URL = "wss://gw.example/twilio/media"
ROUNDS, AT_ONCE = 6, 20
"""Of all kinds of bad traffic below; the first rounds fill caches and pools."""
QUIET_FRAME = b"\xff" * 160


async def unsigned(world):
    with pytest.raises(StreamError):
        async with world.twilio.raw_stream(MEDIA_URL, {}, signed=False):
            pass
    await world.twilio.deliver(VOICE_URL, world.twilio.ring(DESK), signature="AAAA")


async def garbage(world):
    async with world.twilio.raw_stream(MEDIA_URL, {}) as stream:
        await stream.send("{")
        assert await stream.closed() == 1008


async def oversized(world):
    async with world.twilio.raw_stream(MEDIA_URL, {}) as stream:
        await stream.send("x" * 70_000)
        assert await stream.closed() == 1009


async def without_token(world):
    async with world.twilio.raw_stream(MEDIA_URL, {"token": "x"}) as stream:
        await stream.start()
        assert await stream.closed() == 1008


async def left_before_start(world):
    async with world.twilio.raw_stream(MEDIA_URL, {}):
        pass


async def cut_in_the_middle(world):
    """A call whose webhook was answered and whose stream says fifty things that are none."""
    call = world.twilio.ring(DESK, caller=world.new_caller())
    twiml = (await world.twilio.deliver(VOICE_URL, call)).text
    parameters = dict(re.findall('<Parameter name="([^"]+)" value="([^"]+)"', twiml))
    async with world.twilio.raw_stream(MEDIA_URL, parameters, call_sid=call.sid) as stream:
        await stream.start()
        await stream.media(QUIET_FRAME, 1)
        try:
            for number in range(60):
                await stream.send(("{", "[]", b"\x00", json.dumps({"event": "media"}))[number % 4])
        except ConnectionClosed:
            pass
        assert await stream.closed() in {1003, 1008}
    await world.twilio.deliver(PUBLIC_URL + "/twilio/status", call, {"CallStatus": "completed"})


async def hung_up(world):
    caller = await world.dial()
    caller.hang_up()
    await caller.wait_for_end()


KINDS = (unsigned, garbage, oversized, without_token, left_before_start, cut_in_the_middle, hung_up)


async def figures(world):
    """What the process itself says of what it holds, once its calls are over."""
    with anyio.fail_after(30):
        while True:
            text = (await world.gateway.get("/metrics")).text
            found = {
                name: float(value) for name, value in re.findall(r"^([a-z_]+(?:{[^}]*})?) (\S+)$", text, re.MULTILINE)
            }
            if not any(value for name, value in found.items() if name.startswith("gateway_calls_live")):
                return found
            await anyio.sleep(0.1)


def held(found):
    """Tasks, open files, and megabytes of memory."""
    (tasks,) = (value for name, value in found.items() if name.startswith("gateway_tasks"))
    return tasks, found["process_open_fds"], found["process_resident_memory_bytes"] / 1e6


def count(found, metric, label):
    return found[f"gateway_{metric}_total{{{label}}}"]


async def test_bad_traffic_is_counted_and_leaves_nothing_behind(begin):
    async with begin(environment={"GATEWAY_MAX_CALLS": "200"}) as world:
        seen = []
        for _ in range(ROUNDS):
            async with anyio.create_task_group() as tasks:
                for number in range(AT_ONCE):
                    tasks.start_soon(KINDS[number % len(KINDS)], world)
            await anyio.sleep(1.5)  # what ends with a call has a moment: logs, files, closes that wait for a peer
            seen.append(await figures(world))
        (tasks, files, _), (*_, settled), (*_, last) = held(seen[0]), held(seen[2]), held(seen[-1])
        assert [held(each)[0] for each in seen] == [tasks] * ROUNDS
        assert held(seen[-1])[1] <= files
        assert last - settled < 3, "60 bad peers more, 17 of them with a call and a model, and nothing is kept of them"

        each = ROUNDS * AT_ONCE // len(KINDS) - 1  # at least: of some kinds there is one more in each round
        assert count(seen[-1], "signatures_refused", 'kind="webhook"') >= each
        assert count(seen[-1], "signatures_refused", 'kind="websocket"') >= each
        assert count(seen[-1], "warnings", 'event="stream-refused"') >= 3 * each
        assert count(seen[-1], "warnings", 'event="stream-malformed"') >= each
