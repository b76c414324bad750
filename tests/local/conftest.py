"""A conversation with the scripted brain by hand, without sound; and a server with a client that checks every event."""

from __future__ import annotations

import asyncio
import base64
import json
import platform
import sys
import wave
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect

from gateway.errors import ModelError
from gateway.local.brain.scripted import ScriptedBrain
from gateway.local.brain.turn import Brain, Line, Question, Reply

if TYPE_CHECKING:
    from gateway.local.engine import Engine

SPEECH = Path(__file__).parents[1] / "speech"
SILENCE = b"\xff"
SERVER_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
TODAY = date(2026, 11, 24)  # a Tuesday


def make_tool(
    name: str, description: str, required: tuple[str, ...] | None = None, /, **parameters: Any
) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": parameters,
            "required": list(parameters if required is None else required),
        },
    }


def make_handoff(agent: str, description: str = "") -> dict[str, Any]:
    name = "transfer_to_" + agent.lower().replace(" ", "_")
    return make_tool(name, f"Handoff to the {agent} agent to handle the request. {description}")


class Talk:
    """One agent or several; ``agents`` maps an agent's name to its tools, the first one begins."""

    def __init__(
        self,
        agents: Mapping[str, list[dict[str, Any]]],
        outputs: Mapping[str, str | Callable[[dict[str, Any]], str]] | None = None,
        instructions: str = "You are brief.",
    ) -> None:
        self.agents = agents
        self.agent = next(iter(agents))
        self.instructions = instructions
        self.outputs = outputs or {}
        self.lines: list[Line] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.brain = ScriptedBrain()

    def ask(self, directive: str = "", tool_choice: str = "auto") -> Reply:
        question = Question(
            instructions=self.instructions,
            tools=tuple(self.agents[self.agent]),
            lines=tuple(self.lines),
            today=TODAY,
            directive=directive,
            tool_choice=tool_choice,
        )
        return asyncio.run(self.brain.reply(question))

    def hear(self, text: str) -> None:
        self.lines.append(Line("message", role="user", text=text))

    def say(self, text: str) -> str:
        """Speak as the caller; gives all that is answered until the agent is silent again."""
        self.hear(text)
        return self.answer()

    def answer(self, directive: str = "") -> str:
        spoken: list[str] = []
        for _ in range(6):
            reply = self.ask(directive)
            if reply.text:
                spoken.append(reply.text)
                self.lines.append(Line("message", role="assistant", text=reply.text, note=reply.note))
            if not reply.calls:
                return " ".join(spoken)
            for call in reply.calls:
                self.run(call.name, dict(call.arguments))
        raise AssertionError("the brain calls tools for ever")

    def run(self, name: str, arguments: dict[str, Any]) -> None:
        self.calls.append((name, arguments))
        call_id = f"call_{len(self.calls)}"
        self.lines.append(Line("function_call", name=name, call_id=call_id, arguments=json.dumps(arguments)))
        output = self.outputs.get(name, "ok")
        if name.startswith("transfer_to_"):
            self.agent = next(one for one in self.agents if name == "transfer_to_" + one.lower().replace(" ", "_"))
            output = json.dumps({"assistant": self.agent})
        elif callable(output):
            output = output(arguments)
        self.lines.append(Line("function_call_output", call_id=call_id, output=output))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def talk() -> type[Talk]:
    return Talk


@pytest.fixture
def tool() -> Callable[..., dict[str, Any]]:
    return make_tool


@pytest.fixture
def handoff() -> Callable[..., dict[str, Any]]:
    return make_handoff


INSTALLABLE = (sys.platform == "linux" and platform.machine() in {"x86_64", "aarch64"}) or (
    sys.platform == "darwin" and platform.machine() == "arm64"
)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The speech parts, loaded once; without them tests fail where they could be installed, and are left out elsewhere."""
    try:
        loaded: Engine = import_module("gateway.local.engine").load(threads=2)
    except (ModelError, ImportError) as error:
        if INSTALLABLE:
            pytest.fail(f"the extra 'local' is not installed: {error}")
        pytest.skip(str(error))
    yield loaded
    loaded.close()


@pytest.fixture
def answers() -> Brain:
    """What answers; tests replace what they don't want to be the rules."""
    return ScriptedBrain()


@pytest.fixture
async def url(engine: Engine, answers: Brain) -> AsyncIterator[str]:
    """A server in this process that sends audio fifty times faster than real time."""
    serving = import_module("gateway.local.server")
    server = await serving.listen(engine, answers, "127.0.0.1", 0, pace=50.0)
    yield serving.place_of(server).url
    server.close()
    await server.wait_closed()


@pytest.fixture
def sound(engine: Engine) -> Any:
    """The module gateway.local.sound, which can't be imported where the extra is missing."""
    return import_module("gateway.local.sound")


@pytest.fixture
def recorded() -> Callable[[str], bytes]:
    """A function that reads a recording as mu-law, half a second of silence before it and a whole one after it."""
    audioop = pytest.importorskip("audioop")

    def read(name: str) -> bytes:
        with wave.open(str(SPEECH / f"{name}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
            heard: bytes = audioop.lin2ulaw(file.readframes(file.getnframes()), 2)
        return SILENCE * 4000 + heard + SILENCE * 8000

    return read


class Wire:
    """A client of the protocol without any SDK: every event that comes must be one that the documents know."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.seen: list[dict[str, Any]] = []

    async def send(self, event_type: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": event_type, **fields}))

    async def send_text(self, text: str) -> None:
        await self._socket.send(text)

    async def hear(self, payload: bytes) -> None:
        """Append audio in frames of 20 ms, faster than real time."""
        for start in range(0, len(payload), 160):
            audio = base64.b64encode(payload[start : start + 160]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            event: dict[str, Any] = json.loads(await self._socket.recv())
        validated = SERVER_EVENTS.validate_python(event, strict=True)
        assert validated.type == event["type"]
        assert event["event_id"]
        self.seen.append(event)
        return event

    async def until(self, event_type: str) -> dict[str, Any]:
        while True:
            event = await self.next()
            if event["type"] == event_type:
                return event
            if event["type"] == "error":
                raise AssertionError(event["error"])

    async def error(self) -> dict[str, Any]:
        while True:
            event = await self.next()
            if event["type"] == "error":
                error: dict[str, Any] = event["error"]
                return error

    async def done(self) -> dict[str, Any]:
        response: dict[str, Any] = (await self.until("response.done"))["response"]
        return response

    async def configure(self, **session: Any) -> dict[str, Any]:
        """Set the session up for a phone line, and as asked."""
        audio = session.pop("audio", {})
        pcmu = {"type": "audio/pcmu"}
        sides = {
            "input": {"format": pcmu, "transcription": {"model": "whisper-1"}, **audio.get("input", {})},
            "output": {"format": pcmu, **audio.get("output", {})},
        }
        await self.send("session.update", session={"type": "realtime", "audio": sides, **session})
        updated: dict[str, Any] = (await self.until("session.updated"))["session"]
        return updated

    async def say(self, text: str) -> None:
        """Write as the caller, and ask for an answer."""
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await self.send("response.create")

    def types(self) -> list[str]:
        return [event["type"] for event in self.seen]

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.seen if event["type"] == event_type]

    def sound(self) -> bytes:
        return b"".join(base64.b64decode(one["delta"]) for one in self.of("response.output_audio.delta"))


@pytest.fixture
async def wire(url: str) -> AsyncIterator[Wire]:
    async with connect(url + "?model=tiny", compression=None) as socket:
        yield Wire(socket)
