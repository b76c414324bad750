"""A Realtime server that was not written here (aimock, from npm) stands behind the gateway.

It speaks the protocol's events without sound, so the call is one that needs none: the model calls a tool at once.
"""

import asyncio
import json
import shutil
import socket
import subprocess
from contextlib import asynccontextmanager

import httpx2
import pytest

from gateway.testing import VOICE_URL, FakeTwilio, GatewayProcess

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PACKAGE = "@copilotkit/aimock@1.43.0"
LINE = """
number: "+15550100"
greeting: Hello.
instructions: You answer the phone.
tools: [hang_up]
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The server's program, fetched from npm."""
    if shutil.which("npm") is None:
        pytest.skip("left out: npm is not installed, so the independent Realtime server can't be had")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)
    if done.returncode:
        pytest.skip(f"left out: npm could not install {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "node_modules/@copilotkit/aimock/dist/cli.js"


@asynccontextmanager
async def serving(program, folder, fixtures):
    """Run the server with these answers; yield its base URL."""
    answers = folder / "answers.json"
    answers.write_text(json.dumps({"fixtures": fixtures}))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "node", program, "--port", str(port), "--fixtures", answers, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            while b"listening" not in await process.stdout.readline():
                pass
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def test_an_independent_server_is_configured_answers_and_has_its_tool_run(program, tmp_path):
    folder = tmp_path / "agents_config"
    folder.mkdir()
    (folder / "desk.yaml").write_text(LINE)
    fixtures = [{"match": {}, "response": {"toolCalls": [{"name": "hang_up", "arguments": {"reason": "done"}}]}}]
    async with (
        serving(program, tmp_path, fixtures) as there,
        FakeTwilio(voice_url=VOICE_URL, seed=1) as twilio,
        GatewayProcess(folder, twilio=twilio, model_url=f"ws://{there}/v1/realtime") as gateway,
    ):
        caller = await twilio.dial("+15550100")
        await caller.wait_for_end()
        ended = await gateway.wait_until_logged("call-ended")
        assert ended["result"] == "success"
        assert caller.call.log.codes() == []
        assert caller.call.log.verb_names() == ["Connect", "Hangup"]
        async with httpx2.AsyncClient(trust_env=False) as client:
            journal = (await client.get(f"http://{there}/__aimock/journal")).json()
    (request,) = [entry for entry in journal if "realtime" in entry["path"]][:1]
    assert "hang_up" in json.dumps(request)
