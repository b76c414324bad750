"""What systemd hears of a gateway, and what SIGHUP does."""

import signal
import socket

import anyio
import pytest

from gateway.telemetry.systemd import Systemd
from gateway.testing import FakeTwilio, GatewayProcess, ScriptedModel

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_a_service_is_ready_alive_reloaded_and_stopping(tmp_path):
    folder = tmp_path / "agents_config"
    folder.mkdir()
    (folder / "desk.yaml").write_text("default: true\ninstructions: Be brief.\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.setblocking(False)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        async with (
            ScriptedModel() as model,
            FakeTwilio() as twilio,
            GatewayProcess(folder, twilio=twilio, model_url=model.url, environment=environment) as gateway,
        ):
            with anyio.fail_after(20):
                said = [await read(heard) for _ in range(4)]
                gateway.signal(signal.SIGHUP)
                await anyio.sleep(0.3)
                assert gateway.process.returncode is None
                gateway.signal(signal.SIGTERM)
                assert await gateway.stopped() in {0, -signal.SIGTERM}
                while said[-1] != "STOPPING=1":
                    said.append(await read(heard))
    assert said[:4] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]


async def read(heard):
    while True:
        try:
            return heard.recv(100).decode()
        except BlockingIOError:
            await anyio.sleep(0.01)


async def test_a_systemd_that_is_not_there_is_no_fault(tmp_path):
    Systemd("").ready()
    Systemd(str(tmp_path / "nobody")).ready()
