"""``gateway dev`` as a process: with a tunnel and Twilio's keys, and with no key at all."""

import asyncio
import os
import signal
import socket
import stat
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import expect

from gateway.testing import FakeTwilio, ScriptedModel
from tests.e2e.chromium import needs_chromium, page_with_microphone, recording, silence, speech

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(180)]

LINE = 'number: "+14155550100"\nlabel: Desk\ngreeting: Hello, this is Acme.\ninstructions: Be brief.\n'
OLD = "https://old.example/voice"
NGROK = '''#!{python}
"""Stands in for ngrok: its words, and a tunnel that ends on this machine."""
import asyncio, json, os, pathlib, sys

async def pass_on(reader, writer):
    while block := await reader.read(65536):
        writer.write(block)
        await writer.drain()
    writer.close()

async def serve(port):
    async def both(reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer), return_exceptions=True)
    server = await asyncio.start_server(both, "127.0.0.1", 0)
    url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    for said in ({{"lvl": "info", "msg": "open config file"}}, {{"msg": "started tunnel", "url": url}}):
        print(json.dumps(said), flush=True)
    await server.serve_forever()

if "unable" in os.environ.get("NGROK_AUTHTOKEN", ""):
    sys.exit("ERR_NGROK_105: authentication failed")
pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))
assert sys.argv[1] == "http" and "--log-format" in sys.argv
asyncio.run(serve(int(sys.argv[2])))
'''


class Dev:
    """A running ``gateway dev``, with what it says."""

    def __init__(self, process, port):
        self.process, self.base_url, self.said = process, f"http://127.0.0.1:{port}", ""

    async def until(self, words, timeout=60):
        async with asyncio.timeout(timeout):
            while words not in self.said:
                block = await self.process.stdout.read(4096)
                if not block:
                    raise AssertionError(f"it ended with {await self.process.wait()}:\n{self.said}")
                self.said += block.decode(errors="replace")

    async def ended(self, number=None):
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(40):
            self.said += (await self.process.stdout.read()).decode(errors="replace")
            return await self.process.wait()


@asynccontextmanager
async def dev(folder, *arguments, **environment):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    (folder / "agents_config").mkdir(exist_ok=True)
    (folder / "agents_config" / "desk.yaml").write_text(LINE)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "dev", "--no-open", *arguments,
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={"PATH": f"{folder / 'bin'}", "HOME": str(folder), "PORT": str(port), **environment},
    )  # fmt: skip
    try:
        yield Dev(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def ngrok(tmp_path):
    """Put a program called ngrok in the path; gives a function that says whether it still runs."""
    program = tmp_path / "bin" / "ngrok"
    program.parent.mkdir()
    program.write_text(NGROK.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    pid = program.with_name("pid")

    def runs() -> bool:
        try:
            os.kill(int(pid.read_text()), 0)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True

    yield runs
    if runs():
        os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_numbers_come_here_through_the_tunnel_and_are_put_back_whatever_happens(tmp_path, ngrok):
    async with ScriptedModel() as model, FakeTwilio() as twilio:
        number = twilio.add_number("+14155550100", OLD, voice_method="GET", status_callback="https://old.example/s")
        other = twilio.add_number("+14155550109", OLD)
        keys = {
            "TWILIO_ACCOUNT_SID": twilio.account.sid,
            "TWILIO_AUTH_TOKEN": twilio.account.auth_token,
            "TWILIO_API_BASE_URL": twilio.api_base_url,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_REALTIME_URL": model.url,
        }
        async with dev(tmp_path, **keys) as killed:
            await killed.until("come here, to line desk")
            assert number.voice_url.startswith("http://127.0.0.1:")
            assert number.voice_url.endswith("/twilio/voice")
            assert number.voice_method == "POST"
            assert other.voice_url == OLD
            await killed.ended(signal.SIGKILL)
        assert number.voice_url != OLD
        pid = Path(tmp_path / "bin" / "pid")
        os.kill(int(pid.read_text()), signal.SIGKILL)  # nobody was left to end it
        first = number.voice_url

        async with dev(tmp_path, **keys) as stopped:
            await stopped.until("come here, to line desk")
            assert number.voice_url not in {OLD, first}
            (tmp_path / "agents_config" / "desk.yaml").write_text(LINE.replace("Desk", "Front desk"))
            await stopped.until("config-swapped")
            assert await stopped.ended(signal.SIGINT) == 0
            assert "+14155550100 is as it was." in stopped.said
        assert (number.voice_url, number.voice_method) == (OLD, "GET")
        assert number.status_callback == "https://old.example/s"
        assert not ngrok()


async def test_numbers_are_left_alone_where_the_public_address_leads_elsewhere(tmp_path):
    async with FakeTwilio() as twilio:
        number = twilio.add_number("+14155550100", OLD)
        keys = {
            "TWILIO_ACCOUNT_SID": twilio.account.sid,
            "TWILIO_AUTH_TOKEN": twilio.account.auth_token,
            "TWILIO_API_BASE_URL": twilio.api_base_url,
            "OPENAI_API_KEY": "sk-test",
            "GATEWAY_PUBLIC_URL": twilio.api_base_url,
        }
        async with dev(tmp_path, **keys) as lost:
            assert await lost.ended() == 1
            assert "does not lead to this gateway: somebody else answers there" in lost.said
            assert "Traceback" not in lost.said
        assert number.voice_url == OLD


async def test_a_tunnel_that_is_missing_or_fails_is_said_in_words(tmp_path, ngrok):
    async with dev(tmp_path, "--tunnel", "cloudflared", OPENAI_API_KEY="sk-test") as missing:
        assert await missing.ended() == 1
        assert "cloudflared is not installed" in missing.said
        assert "Traceback" not in missing.said
    async with dev(tmp_path, "--tunnel", "ngrok", OPENAI_API_KEY="sk-test", NGROK_AUTHTOKEN="unable") as failing:
        assert await failing.ended() == 1
        assert "ERR_NGROK_105: authentication failed" in failing.said
        assert "Traceback" not in failing.said
    assert not ngrok()


@needs_chromium
@pytest.mark.local
async def test_without_any_key_the_model_of_this_machine_answers_a_recorded_person(tmp_path):
    heard = recording(tmp_path / "caller.wav", silence(5), speech("cmu_goforward"))
    async with dev(tmp_path) as here, page_with_microphone(heard) as page:
        await here.until("Softphone: ")
        assert "starting the model of this machine" in here.said
        async with httpx2.AsyncClient() as client:
            assert (await client.post(f"{here.base_url}/twilio/voice")).status_code == 403
        await page.goto(f"{here.base_url}/console/softphone")
        await page.get_by_role("button", name="Call").click()
        await expect(page.locator(".turn.agent .heard").first).to_contain_text("Hello, this is Acme.")
        assert int(await page.locator("#agent-level").get_attribute("data-voiced") or 0) > 500
        await expect(page.locator(".turn.caller .heard").first).to_contain_text("forward", ignore_case=True)
        await expect(page.locator(".turn.agent .heard").nth(1)).not_to_be_empty()
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.locator(".note.end")).to_contain_text("caller-hung-up")
        assert await here.ended(signal.SIGTERM) == 0
