"""What the tests of the Twilio side share: an exchange that takes notes, and a real server on loopback."""

import base64
import contextlib
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.call.commands import StreamCommand
from gateway.call.events import CallerAudio, ContinuationAsked, Event, StreamStarted
from gateway.call.incoming import IncomingCall
from gateway.call.plan import Connect, HangUp, Plan, Reject, Say
from gateway.carriers.carrier import Emit, EmitAudio, StreamSide, StreamStart
from gateway.carriers.twilio.upgrade import MediaSocket
from gateway.errors import TokenError
from gateway.server import websockets_for

TOKEN = "12345678901234567890123456789012"
PUBLIC = "https://gw.example"
STREAM_SID = "MZ" + "b" * 32
CALL_SID = "CA" + "c" * 32
ACCOUNT_SID = "AC" + "a" * 32


def sign(url: str, fields: dict[str, str] | None = None, token: str = TOKEN) -> str:
    """A signature, computed from Twilio's description and not by its library."""
    text = url + "".join(name + value for name, value in sorted((fields or {}).items()))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def as_event(emit: Emit) -> EmitAudio:
    """Frames as the events that they stand for."""
    return lambda payload, size, timestamp_ms: emit(CallerAudio(payload, size, timestamp_ms))


@dataclass
class NotingExchange:
    """An exchange that writes down what it is asked, and answers as told."""

    draining: bool = False
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    offered: Plan = (Connect({"token": "t"}), HangUp())
    continued: Plan = (HangUp(),)
    sorry: Plan = (Say("Sorry."), HangUp())
    fails: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    commands: dict[type[Event], list[StreamCommand]] = field(default_factory=dict)
    streams: list[StreamSide] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    ended: anyio.Event = field(default_factory=anyio.Event)
    on_event: Callable[[Event, StreamSide], None] | None = None

    def _note(self, name: str, *arguments: Any) -> None:
        self.asked.append((name, *arguments))
        if name in self.fails:
            raise RuntimeError(f"{name} is broken")

    def offer(self, incoming: IncomingCall) -> Plan:
        self._note("offer", incoming)
        return (Reject("busy"),) if self.draining else self.offered

    async def on_record(self, call_sid: str) -> None:
        self.recorded.append(call_sid)

    def continuation(self, incoming: IncomingCall, asked: ContinuationAsked) -> Plan:
        self._note("continuation", incoming, asked)
        return self.continued

    def report(self, call_sid: str, status: str) -> None:
        self._note("report", call_sid, status)

    def apology(self, incoming: IncomingCall, error: str) -> Plan:
        self._note("apology", incoming, error)
        return self.sorry

    async def carry(self, start: StreamStart, stream: StreamSide) -> None:
        self.asked.append(("carry", start))
        try:
            if start.parameters.get("token") != "good":
                raise TokenError("forged")
            if "carry" in self.fails:
                raise RuntimeError("carry is broken")
            self.streams.append(stream)
            stream.number = len(self.streams)

            def emit(event: Event) -> None:
                self.events.append(event)
                for command in self.commands.get(type(event), []):
                    stream.perform(command)
                if self.on_event is not None:
                    self.on_event(event, stream)

            emit(StreamStarted(start.stream_sid, stream.number))
            await stream.run(emit, as_event(emit))
        finally:
            self.ended.set()


@pytest.fixture
def exchange() -> NotingExchange:
    return NotingExchange()


@pytest.fixture
def signed() -> Callable[..., str]:
    return sign


Serve = Callable[[Starlette | MediaSocket], AbstractAsyncContextManager[str]]


@pytest.fixture
def serve() -> Serve:
    """Start a real uvicorn on loopback, as the gateway runs it; gives its host and port."""

    @contextlib.asynccontextmanager
    async def start(served: Starlette | MediaSocket) -> AsyncIterator[str]:
        media = served if isinstance(served, MediaSocket) else None
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            config = uvicorn.Config(
                Starlette() if isinstance(served, MediaSocket) else served,
                log_level="critical",
                lifespan="off",
                ws=websockets_for(dict.fromkeys(media.paths, media.accept) if media else {}),
            )
            server = uvicorn.Server(config)
            async with anyio.create_task_group() as tasks:
                if media is not None:
                    await tasks.start(media.run)
                tasks.start_soon(server.serve, [listener])
                while not server.started:
                    await anyio.sleep(0.005)
                try:
                    yield f"127.0.0.1:{listener.getsockname()[1]}"
                finally:
                    server.should_exit = True
                    while server.started and server.servers and any(each.is_serving() for each in server.servers):
                        await anyio.sleep(0.005)
                    tasks.cancel_scope.cancel()

    return start


class Wire:
    """Messages as Twilio sends them."""

    @staticmethod
    def connected() -> str:
        return '{"event":"connected","protocol":"Call","version":"1.0.0"}'

    @staticmethod
    def start(token: str = "good", stream_sid: str = STREAM_SID, encoding: str = "audio/x-mulaw", **more: Any) -> str:
        body = {
            "accountSid": ACCOUNT_SID,
            "streamSid": stream_sid,
            "callSid": CALL_SID,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": encoding, "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token},
        }
        return json.dumps({"event": "start", "sequenceNumber": "1", "start": body | more, "streamSid": stream_sid})

    @staticmethod
    def media(payload: str = "f39/" * 53 + "fw==", timestamp: int = 20, stream_sid: str = STREAM_SID) -> str:
        body = {"track": "inbound", "chunk": "2", "timestamp": str(timestamp), "payload": payload}
        return json.dumps({"event": "media", "sequenceNumber": "4", "media": body, "streamSid": stream_sid})

    @staticmethod
    def dtmf(digit: str) -> str:
        body = {"track": "inbound_track", "digit": digit}
        return json.dumps({"event": "dtmf", "streamSid": STREAM_SID, "sequenceNumber": "5", "dtmf": body})

    @staticmethod
    def mark(name: str) -> str:
        return json.dumps({"event": "mark", "sequenceNumber": "4", "streamSid": STREAM_SID, "mark": {"name": name}})

    @staticmethod
    def stop() -> str:
        body = {"accountSid": ACCOUNT_SID, "callSid": CALL_SID}
        return json.dumps({"event": "stop", "sequenceNumber": "5", "stop": body, "streamSid": STREAM_SID})


@pytest.fixture
def wire() -> type[Wire]:
    return Wire
