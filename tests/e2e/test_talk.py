"""``gateway talk`` with recordings for a microphone, and what the browser's carrier does around a stream."""

import asyncio
import json
import sys
import wave
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.audio.g711 import from_pcm, level
from gateway.testing import FakeTwilio, GatewayProcess, ScriptedModel
from gateway.testing.model import call_tool, fail, say
from tests.e2e.chromium import RATE, silence, speech

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(180)]

ALONE = {"TWILIO_ACCOUNT_SID": "", "TWILIO_AUTH_TOKEN": "", "GATEWAY_PUBLIC_URL": ""}
DESK = """
number: "+14155550100"
greeting: Hello.
instructions: You answer the phone.
tools: [hang_up, transfer]
transfer: {sales: {to: "+14155550111"}}
on_failure: {say: "Sorry, call again."}
limits: {calls_per_caller: 100}
"""
LONG = "This is long, " + "and it goes on " * 12 + "to an end that nobody hears."


@pytest.fixture
async def world(tmp_path):
    """A gateway without Twilio's token, and its model."""
    (tmp_path / "agents_config").mkdir()
    (tmp_path / "agents_config" / "desk.yaml").write_text(DESK)
    async with (
        ScriptedModel() as model,
        FakeTwilio(voice_url="https://gw.example/twilio/voice") as twilio,
        GatewayProcess(tmp_path / "agents_config", twilio=twilio, model_url=model.url, environment=ALONE) as gateway,
    ):
        yield gateway, model


def record(path, *parts):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(parts))


async def test_a_terminal_talks_hears_and_cuts_in(world, tmp_path):
    gateway, model = world
    model.script = [say("Hello, how can I help?", 1.5), say(LONG, 20.0), say("Of course.", 1.0)]
    record(tmp_path / "in.wav", silence(4), speech("cmu_goforward"), silence(4), speech("cmu_something"), silence(5))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "talk", "desk", "--url", gateway.base_url,
        "--microphone", "in.wav", "--speaker", "out.wav",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, err = (text.decode() for text in await process.communicate())
    assert process.returncode == 0, err
    said = out.splitlines()
    assert any(line.endswith(": Hello, how can I help?") for line in said)
    assert "  (you cut in)" in said
    assert any("This is long" in line and "[never heard: " in line for line in said)
    assert any(line.endswith(": Of course.") for line in said)
    assert said[-1] == "The call is over: caller-hung-up (success)."
    with wave.open(str(tmp_path / "out.wav"), "rb") as file:
        heard = from_pcm(file.readframes(file.getnframes()))
    assert level(heard[: RATE * 4]) > -50
    assert model.session().events("conversation.item.truncate")


# ---- The browser as a carrier ---------------------------------------------------------------------------------------


class Page:
    """What a page does, by hand."""

    def __init__(self, gateway):
        self.base_url = gateway.base_url
        self.client = httpx2.AsyncClient(base_url=gateway.base_url, headers={"Origin": gateway.base_url})

    async def offer(self, **body):
        return await self.client.post("/console/softphone/calls", json=body or {"line": "desk"})

    def open(self, **more):
        return connect(
            self.base_url.replace("http", "ws") + "/browser/media", proxy=None, **{"origin": self.base_url} | more
        )

    @staticmethod
    def start(offer, account="browser"):
        body = {
            "accountSid": account, "callSid": offer["call_sid"], "streamSid": "MZ1", "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": offer["parameters"],
        }  # fmt: skip
        return json.dumps({"event": "start", "streamSid": "MZ1", "start": body})

    async def carry(self, offer):
        """Be a stream that plays at once what comes, until the gateway closes it; gives the code."""
        async with self.open() as socket:
            await socket.send(self.start(offer))
            number = 0
            try:
                while True:
                    body = {"track": "inbound", "timestamp": str(20 * number), "payload": "/" * 212 + "/w=="}
                    await socket.send(json.dumps({"event": "media", "streamSid": "MZ1", "media": body}))
                    number += 1
                    try:
                        async with asyncio.timeout(0.02):
                            message = json.loads(await socket.recv())
                            if message["event"] == "mark":
                                await socket.send(json.dumps(message))
                    except TimeoutError:
                        pass
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else None

    async def news(self, offer):
        told: list[tuple[str, Any]] = []
        path = f"/console/softphone/calls/{offer['call_id']}/events"
        async with self.client.stream("GET", path, timeout=30) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    told.append((value, {}))
                elif name == "data":
                    told[-1] = (told[-1][0], json.loads(value))
        return told


async def a_stream_needs_a_token_of_the_page_and_each_token_is_good_once(gateway, model):
    model.script = [say("Hello.", 1.0)]
    page = Page(gateway)
    for origin in (None, "http://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            async with page.open(origin=origin):
                pass
        assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus):
        async with page.open(additional_headers={"X-Forwarded-For": "203.0.113.9"}):
            pass
    offer = (await page.offer()).json()
    for forged in (offer | {"parameters": {"token": "x" * 40}}, offer | {"call_sid": "BR1"}):
        assert await page.carry(forged) == 1008
    async with page.open() as first:
        await first.send(page.start(offer))
        assert json.loads(await first.recv())["event"] in {"media", "mark"}
        assert await page.carry(offer) == 1008  # spent
        async with page.open() as carriers:
            await carriers.send(page.start(offer, account="AC1"))
            with pytest.raises(ConnectionClosed):
                await carriers.recv()
    ended = await gateway.wait_until_logged("call-ended")  # the page went without a word
    assert ended["reason"] == "caller-hung-up"
    why = {entry["why"] for entry in gateway.logged("browser-refused")}
    assert why == {"no-origin", "foreign-origin", "through-a-proxy", "foreign-account"}

    wrong = await page.client.post("/console/softphone/calls", json={"line": "desk"}, headers={"Origin": "http://evil"})
    assert wrong.status_code == 403
    assert (await page.offer(line="nobody")).status_code == 404
    assert (await page.offer(line="desk", more=1)).status_code == 400
    plain = {"Content-Type": "text/plain"}
    assert (
        await page.client.post("/console/softphone/calls", content='{"line":"desk"}', headers=plain)
    ).status_code == 400
    assert (await page.client.get("/console/softphone/calls/nobody/events")).status_code == 404
    assert (await page.client.get("/console/softphone", headers={"Host": "gw.example"})).status_code == 403
    await page.client.aclose()


async def a_call_that_moves_on_is_told_and_ends_truthfully(gateway, model):
    page = Page(gateway)
    model.script = [say("Putting you through.", 0.5) + call_tool("transfer", {"target": "sales"})]
    offer = (await page.offer()).json()
    _, news = await asyncio.gather(page.carry(offer), page.news(offer))
    [plan] = [data for kind, data in news if kind == "plan"]
    assert plan["verbs"] == [{"verb": "dial", "to": "+14155550111"}]
    assert (news[-1][0], news[-1][1]["result"], news[-1][1]["reason"]) == ("ended", "carrier", "transfer-canceled")

    model.script = [say("Goodbye.", 0.5) + call_tool("hang_up")]
    offer = (await page.offer()).json()
    code, news = await asyncio.gather(page.carry(offer), page.news(offer))
    assert (code, news[-1][1]["result"]) == (1000, "success")

    model.script = [fail(), fail()]
    offer = (await page.offer()).json()
    _, news = await asyncio.gather(page.carry(offer), page.news(offer))
    [plan] = [data for kind, data in news if kind == "plan"]
    assert plan["verbs"][0] == {"verb": "say", "text": "Sorry, call again.", "language": "en-US"}
    assert news[-1][1]["result"] == "model"
    await page.client.aclose()


async def test_the_browser_is_a_carrier_that_takes_its_own_tokens_once_and_tells_how_calls_go_on(world):
    await a_stream_needs_a_token_of_the_page_and_each_token_is_good_once(*world)
    await a_call_that_moves_on_is_told_and_ends_truthfully(*world)
