"""The server as a process of its own: it starts, says what it loaded, serves ten callers at once, and ends when told."""

import asyncio
import base64
import json
import signal
import sys
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.errors import ModelError
from gateway.local import LocalModel, spawn

pytestmark = [pytest.mark.anyio, pytest.mark.local, pytest.mark.slow]
CALLERS = ["cmu_goforward", "cmu_something", "librivox_austen_0880", "librivox_austen_0890", "cmu_cards_003"] * 2
WORDS = {
    "cmu_goforward": "forward",
    "cmu_something": "somewhere",
    "librivox_austen_0880": "young",
    "librivox_austen_0890": "selfish",
    "cmu_cards_003": "seven",
}


async def call(url: str, payload: bytes) -> tuple[str, int]:
    pcmu = {"format": {"type": "audio/pcmu"}}
    session = {"type": "realtime", "audio": {"input": {**pcmu, "transcription": {}}, "output": pcmu}}
    heard, sound = "", 0
    async with connect(url, compression=None) as socket, asyncio.timeout(40):
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        for start in range(0, len(payload), 160):
            audio = base64.b64encode(payload[start : start + 160]).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await asyncio.sleep(0.01)
        async for message in socket:
            event = json.loads(message)
            if event["type"].endswith("transcription.completed"):
                heard = event["transcript"]
            elif event["type"] == "response.output_audio.delta":
                sound += len(event["delta"])
            elif event["type"] == "response.done" and event["response"]["status"] == "completed":
                return heard, sound
    return heard, sound


async def test_ten_callers_at_once_are_all_understood_and_answered(engine, recorded):
    async with LocalModel() as model:
        assert model.pid is not None
        results = await asyncio.gather(*(call(model.url, recorded(name)) for name in CALLERS))
    for name, (heard, sound) in zip(CALLERS, results, strict=True):
        assert WORDS[name] in heard.lower(), (name, heard)
        assert sound > 4000


async def test_open_sessions_are_closed_as_going_away_when_it_ends(engine):
    model = await spawn()
    async with connect(model.url) as socket:
        await socket.recv()
        stopping = asyncio.create_task(model.stop())
        await socket.wait_closed()
        assert socket.close_code == 1001
        await stopping
    assert model.pid is None


async def test_only_the_realtime_path_is_served(engine):
    async with LocalModel() as model:
        with pytest.raises(InvalidStatus):
            await connect(model.url.replace("/v1/realtime", "/v1/other"))


async def test_port_that_is_taken_is_said_so(engine):
    async with LocalModel() as model:
        port = int(model.url.split(":")[2].split("/")[0])
        with pytest.raises(ModelError, match=f"port {port}"):
            await spawn(port=port)


async def test_program_shows_what_it_loaded_and_ends_with_status_0(engine):
    code = "from gateway.cli import main; main(['local', '--port', '0'])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(40):
        while not (lines and lines[-1].startswith("ready ws://127.0.0.1:")):
            line = await process.stdout.readline()
            assert line, lines
            lines.append(line.decode())
    assert {"voice activity", "recognition", "speech"} <= {line.split(": ")[0][7:] for line in lines}
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await process.wait() == 0


async def test_answers_can_come_from_a_chat_endpoint(engine):
    asked: list[dict[str, Any]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.partition("content-length:")[2].split()[0])
        asked.append(json.loads(await reader.readexactly(size)))
        body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "From the endpoint."}}]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as endpoint:
        port = endpoint.sockets[0].getsockname()[1]
        async with LocalModel(llm_url=f"http://127.0.0.1:{port}/v1") as model, connect(model.url) as socket:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who is there?"}]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await socket.send(json.dumps({"type": "response.create"}))
            async with asyncio.timeout(20):
                while (event := json.loads(await socket.recv()))["type"] != "response.done":
                    pass
    assert event["response"]["output"][0]["content"][0]["transcript"] == "From the endpoint."
    assert asked[0]["messages"][-1] == {"role": "user", "content": "Who is there?"}
