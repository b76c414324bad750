"""A whole call through each proxy of deploy/proxy, as Debian has it, with the file as it is but for names and ports."""

import shutil
import socket
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from gateway.testing import VOICE_URL, FakeTwilio, GatewayProcess, ScriptedModel
from gateway.testing.model import say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "proxy"
UNPACKED = ROOT / ".venv" / "debian"
"""Where scripts/debian unpacks what is better not installed: a server would be started with it."""
NGINX = """
daemon off;
pid {folder}/pid;
error_log stderr warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/gateway.conf;
}}
"""


def program(name):
    path = shutil.which(name) or shutil.which(name, path=f"{UNPACKED}/usr/sbin:{UNPACKED}/usr/bin")
    return path or pytest.skip(f"LEFT OUT: {name} is not here (scripts/debian fetches it)")


def nginx(folder, port, gateway):
    text = (FILES / "nginx.conf").read_text()
    for written, here in (("listen 443 ssl", f"listen 127.0.0.1:{port}"), ("127.0.0.1:8080", gateway)):
        assert written in text
        text = text.replace(written, here)
    (folder / "gateway.conf").write_text("\n".join(each for each in text.splitlines() if "ssl_certificate" not in each))
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    command = [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    return command


def caddy(folder, port, gateway):
    text = (FILES / "Caddyfile").read_text()
    for written, here in (("gw.example {", f"http://:{port} {{\n\tbind 127.0.0.1"), ("127.0.0.1:8080", gateway)):
        assert written in text
        text = text.replace(written, here)
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
    command = [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    checked = [program("caddy"), "validate", "--adapter", "caddyfile", "--config", str(FILES / "Caddyfile")]
    subprocess.run(checked, check=True, capture_output=True)
    return command


@asynccontextmanager
async def running(command, port, folder):
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    async with await anyio.open_process(command, env=environment, stdout=None, stderr=None) as process:
        try:
            with anyio.fail_after(10):
                while True:
                    assert process.returncode is None
                    try:
                        await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                        break
                    except OSError:
                        await anyio.sleep(0.05)
            yield
        finally:
            process.terminate()
            await process.wait()


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents_config")
    (folder / "desk.yaml").write_text("default: true\ngreeting: Hello.\ninstructions: x\n")
    async with (
        ScriptedModel([say("Hello.", 0.6)]) as model,
        FakeTwilio(voice_url=VOICE_URL, seed=1) as twilio,
        GatewayProcess(folder, twilio=twilio, model_url=model.url) as gateway,
    ):
        yield twilio, gateway.base_url.removeprefix("http://")


@pytest.mark.parametrize("proxy", [nginx, caddy])
async def test_a_call_comes_through_and_the_softphone_does_not(world, tmp_path, proxy):
    twilio, behind = world
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    async with running(proxy(tmp_path, port, behind), port, tmp_path):
        twilio.connect_to = f"http://127.0.0.1:{port}"
        caller = await twilio.dial("+15550100")
        await caller.wait_for_speech()
        await caller.wait_for_silence()
        caller.hang_up()
        await caller.wait_for_end()
        assert caller.call.log.codes() == []
        async with httpx2.AsyncClient(base_url=twilio.connect_to, trust_env=False) as client:
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.post("/twilio/voice", data={"CallSid": "CA0"})).status_code == 403
            for private in ("/console/softphone", "/metrics"):
                assert (await client.get(private)).status_code == 404
