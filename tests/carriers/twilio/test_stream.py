"""The stream between a scripted ASGI server and a core that takes notes; no sockets."""

import json
from collections import deque

import anyio
import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from gateway.call.commands import Clear, CloseStream, Mark, Play
from gateway.call.events import CallerAudio, DigitPressed, MarkReached, MessageRefused, StreamStopped
from gateway.carriers.twilio import stream as module
from gateway.carriers.twilio.stream import Socket, TwilioStream

pytestmark = pytest.mark.anyio

STREAM_SID = "MZ" + "b" * 32
PLAY = Play("f39/" * 160, 480)


class Server:
    """What an ASGI server does for one WebSocket."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.gate = anyio.Event()
        self.gate.set()
        self.broken: Exception | None = None
        self._inbox: deque[Message] = deque()
        self._came = anyio.Event()

    def says(self, *messages):
        for message in messages:
            self._inbox.append(message if isinstance(message, dict) else {"type": "websocket.receive", "text": message})
        self._came.set()

    async def receive(self):
        while not self._inbox:
            self._came = anyio.Event()
            await self._came.wait()
        return self._inbox.popleft()

    async def send(self, message):
        await self.gate.wait()
        if self.broken:
            raise self.broken
        self.sent.append(message)

    def events(self):
        return [json.loads(message["text"])["event"] for message in self.sent if message["type"] == "websocket.send"]

    @property
    def code(self):
        return self.sent[-1].get("code") if self.sent else None


GONE = {"type": "websocket.disconnect", "code": 1006}
BINARY = {"type": "websocket.receive", "bytes": b"\x00"}


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def stream(server):
    made = TwilioStream(STREAM_SID, Socket(server.receive, server.send))
    made.number = 3
    return made


@pytest.fixture
def events():
    return []


async def settled(rounds: int = 20) -> None:
    for _ in range(rounds):
        await anyio.sleep(0)


# ---- In ---------------------------------------------------------------------------------------------------------------


async def test_every_message_becomes_its_event(server, stream, events, wire):
    server.says(
        wire.media("AAAA" * 53 + "AA==", 40),
        wire.media(""),
        wire.dtmf("#"),
        wire.mark("3.1:7"),
        '{"event":"new","streamSid":"other"}',
        wire.stop(),
        wire.media(),
    )
    await stream.run(events.append)
    assert events == [
        CallerAudio("AAAA" * 53 + "AA==", 160, 40),
        DigitPressed("#"),
        MarkReached("3.1:7"),
        StreamStopped(3, "stop"),
    ]
    assert server.code == 1000


async def test_a_socket_that_breaks(server, stream, events, wire):
    server.says(wire.media(), GONE)
    await stream.run(events.append)
    assert events[1:] == [StreamStopped(3, "lost")]


async def test_malformed_messages_are_survived_and_counted(server, stream, events, wire):
    bad = ["{", BINARY, wire.dtmf("x"), wire.media(stream_sid="MZother"), wire.start(), wire.connected(), "[]"]
    server.says(*bad * 7, wire.media(), GONE)
    await stream.run(events.append)
    assert stream.malformed == 49
    assert sum(isinstance(event, MessageRefused) for event in events) == 49
    assert isinstance(events[-2], CallerAudio)
    assert events[-1] == StreamStopped(3, "lost")


@pytest.mark.parametrize(("bad", "code"), [("{", 1008), (BINARY, 1003)])
async def test_the_fiftieth_malformed_message_ends_the_stream(server, stream, events, wire, bad, code):
    server.says(*[bad] * 60, wire.media())
    await stream.run(events.append)
    assert len(events) == 51
    assert events[-1] == StreamStopped(3, "malformed")
    assert server.code == code


async def test_a_flood_ends_the_stream(server, stream, events, wire):
    server.says(*[wire.media()] * 1000)
    await stream.run(events.append)
    assert len(events) == 400
    assert events[-1] == StreamStopped(3, "malformed")
    assert server.code == 1008


async def test_a_backlog_after_a_stalled_network_is_no_flood(server, stream, events, wire, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stream._counted_since = now
    server.says(*[wire.media()] * 250)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run, events.append)
        for _ in range(40):
            await settled()
            now += 0.2
            server.says(*[wire.media()] * 10)
        await settled()
        server.says(wire.stop())
    assert events[-1] == StreamStopped(3, "stop")
    assert len(events) == 651


async def test_the_echoes_of_our_own_marks_are_no_flood(server, stream, events, wire):
    """A clear after a long answer sends more marks back at once than a flood has messages."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run, events.append)
        for number in range(1500):
            stream.perform(Mark(f"3.1:{number}"))
        await settled(5000)
        server.says(*[wire.mark(f"3.1:{number}") for number in range(1500)], wire.stop())
    assert events[-1] == StreamStopped(3, "stop")
    assert len(events) == 1501


async def test_echoes_of_marks_that_were_never_sent_are_a_flood(server, stream, events, wire):
    server.says(*[wire.mark("x")] * 1000)
    await stream.run(events.append)
    assert events[-1] == StreamStopped(3, "malformed")


async def test_unknown_messages_are_logged_once_for_each_kind(server, stream, events):
    server.says(*['{"event":"a"}', '{"event":"b"}'] * 20, GONE)
    with capture_logs() as logs:
        await stream.run(events.append)
    assert [entry["kind"] for entry in logs] == ["a", "b"]
    assert events == [StreamStopped(3, "lost")]


# ---- Out --------------------------------------------------------------------------------------------------------------


async def test_commands_leave_in_order_and_exactly_shaped(server, stream, events):
    for command in (PLAY, Mark("3.0:1"), PLAY, Mark("3.0:2"), CloseStream(), PLAY):
        stream.perform(command)
    await stream.run(events.append)
    assert [json.loads(message["text"]) for message in server.sent[:-1]] == [
        {"event": "media", "streamSid": STREAM_SID, "media": {"payload": PLAY.payload}},
        {"event": "mark", "streamSid": STREAM_SID, "mark": {"name": "3.0:1"}},
        {"event": "media", "streamSid": STREAM_SID, "media": {"payload": PLAY.payload}},
        {"event": "mark", "streamSid": STREAM_SID, "mark": {"name": "3.0:2"}},
    ]
    assert server.sent[-1] == {"type": "websocket.close", "code": 1000, "reason": ""}
    assert events == [StreamStopped(3, "closed")]


async def test_a_clear_overtakes_what_waits_and_takes_its_marks_along(server, stream, events, wire):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run, events.append)
        await settled()
        server.gate = anyio.Event()
        for number in range(100):
            stream.perform(PLAY)
            stream.perform(Mark(f"3.0:{number}"))
        await settled()
        assert stream.unsent_ms == 99 * 60  # the first is on its way
        stream.perform(Clear())
        stream.perform(Clear())
        assert stream.unsent_ms == 0
        stream.perform(PLAY)
        stream.perform(Mark("3.1:0"))
        server.gate.set()
        await settled()
        server.says(wire.stop())
    assert server.events() == ["media", "clear", "media", "mark"]


async def test_a_clear_keeps_a_close_that_waits(server, stream, events):
    for command in (PLAY, CloseStream(), Clear()):
        stream.perform(command)
    await stream.run(events.append)
    assert server.events() == ["clear"]
    assert events == [StreamStopped(3, "closed")]


async def test_a_minute_of_unsent_audio_is_reported_and_kept(server, stream, events, wire):
    server.gate = anyio.Event()
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.run, events.append)
            for _ in range(1100):
                stream.perform(PLAY)
            await settled()
            assert stream.unsent_ms == 1099 * 60
            assert stream.overruns == 1
            server.gate.set()
            await settled(5000)
            server.says(wire.stop())
    assert server.events() == ["media"] * 1100
    assert [entry["event"] for entry in logs] == ["carrier-reads-too-slowly"]


async def test_two_minutes_of_unsent_audio_end_the_stream(server, stream, events):
    server.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run, events.append)
        await settled()
        for _ in range(2100):
            stream.perform(PLAY)
    assert events == [StreamStopped(3, "lost")]
    assert len(stream._outbox) <= 2001


@pytest.mark.parametrize("error", [OSError(), RuntimeError("after close")])
async def test_a_socket_that_can_not_be_written_to(server, stream, events, error):
    server.broken = error
    stream.perform(PLAY)
    await stream.run(events.append)
    assert events == [StreamStopped(3, "lost")]


async def test_a_peer_that_reads_nothing_does_not_hold_up_the_close(server, stream, events, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    server.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run, events.append)
        await settled()
        stream.perform(PLAY)
        stream.perform(CloseStream())
        with anyio.fail_after(5):
            while not events:
                await anyio.sleep(0.01)
    assert events == [StreamStopped(3, "closed")]


async def test_it_can_be_superseded(server, stream, events, wire):
    def emit(event):
        events.append(event)
        stream.end("superseded")
        stream.end("lost")

    server.says(wire.media(), wire.media())
    await stream.run(emit)
    assert events[1:] == [StreamStopped(3, "superseded")]
    assert server.code == 1008


async def test_ended_before_it_ran(server, stream, events, wire):
    server.says(wire.media())
    stream.end("superseded")
    await stream.run(events.append)
    assert events == [StreamStopped(3, "superseded")]


async def test_cancelled_from_outside_it_leaves_nothing_behind(server, stream, events):
    with anyio.move_on_after(0.02):
        await stream.run(events.append)
    assert events == []
