"""The stream between a socket and a core that both take notes; no network."""

import contextlib
import json

import anyio
import pytest
from structlog.testing import capture_logs

from gateway.call.commands import Clear, CloseStream, Mark, Play
from gateway.call.events import CallerAudio, DigitPressed, MarkReached, MessageRefused, StreamStopped
from gateway.carriers.twilio import stream as module
from gateway.carriers.twilio.stream import TwilioStream
from tests.carriers.twilio.conftest import as_event

pytestmark = pytest.mark.anyio

STREAM_SID = "MZ" + "b" * 32
PLAY = Play("f39/" * 160, 480)


class FakeSocket:
    """A WebSocket that notes what it is told to send."""

    def __init__(self):
        self.sent = []
        self.congested = False
        self.code = None

    def send(self, text):
        self.sent.append(json.loads(text))

    def close(self, code):
        self.code = code if self.code is None else self.code

    def events(self):
        return [message["event"] for message in self.sent]


GONE, BINARY = object(), object()


def feed(stream, *messages):
    for message in messages:
        if message is GONE:
            stream.lost()
        elif message is BINARY:
            stream.feed_binary()
        else:
            stream.feed(message.encode())


@pytest.fixture
def socket():
    return FakeSocket()


@pytest.fixture
def stream(socket):
    made = TwilioStream(STREAM_SID, socket)
    made.number = 3
    return made


@pytest.fixture
def events():
    return []


@contextlib.asynccontextmanager
async def running(stream, emit):
    """The stream runs in the block, and is over after it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run, emit, as_event(emit))
        await settled()
        yield
        with anyio.fail_after(5):
            await stream._over.wait()


async def settled(rounds: int = 20) -> None:
    for _ in range(rounds):
        await anyio.sleep(0)


# ---- In ---------------------------------------------------------------------------------------------------------------


async def test_every_message_becomes_its_event_at_once(socket, stream, events, wire):
    async with running(stream, events.append):
        feed(
            stream,
            wire.media("AAAA" * 53 + "AA==", 40),
            wire.media(""),
            wire.dtmf("#"),
            wire.mark("3.1:7"),
            '{"event":"new","streamSid":"other"}',
        )
        assert len(events) == 3
        feed(stream, wire.stop(), wire.media())
    assert events == [
        CallerAudio("AAAA" * 53 + "AA==", 160, 40),
        DigitPressed("#"),
        MarkReached("3.1:7"),
        StreamStopped(3, "stop"),
    ]
    assert socket.code == 1000


async def test_what_comes_before_it_runs_is_kept_in_order(stream, events, wire):
    feed(stream, wire.media(timestamp=20), wire.dtmf("1"), BINARY, wire.media(timestamp=40), wire.stop())
    await stream.run(events.append, as_event(events.append))
    assert [type(event) for event in events] == [CallerAudio, DigitPressed, MessageRefused, CallerAudio, StreamStopped]


async def test_a_socket_that_breaks(stream, events, wire):
    async with running(stream, events.append):
        feed(stream, wire.media(), GONE)
    assert events[1:] == [StreamStopped(3, "lost")]


async def test_malformed_messages_are_survived_and_counted(stream, events, wire):
    bad = ["{", BINARY, wire.dtmf("x"), wire.media(stream_sid="MZother"), wire.start(), wire.connected(), "[]"]
    async with running(stream, events.append):
        feed(stream, *bad * 7, wire.media(), GONE)
    assert stream.malformed == 49
    assert sum(isinstance(event, MessageRefused) for event in events) == 49
    assert isinstance(events[-2], CallerAudio)
    assert events[-1] == StreamStopped(3, "lost")


async def test_bytes_that_are_no_utf_8_are_malformed(stream, events, wire):
    async with running(stream, events.append):
        stream.feed(wire.dtmf("5").encode().replace(b"5", b"\xff"))
        feed(stream, GONE)
    assert [type(event) for event in events] == [MessageRefused, StreamStopped]


@pytest.mark.parametrize(("bad", "code"), [("{", 1008), (BINARY, 1003)])
async def test_the_fiftieth_malformed_message_ends_the_stream(socket, stream, events, wire, bad, code):
    async with running(stream, events.append):
        feed(stream, *[bad] * 60, wire.media())
    assert len(events) == 51
    assert events[-1] == StreamStopped(3, "malformed")
    assert socket.code == code


async def test_a_flood_ends_the_stream(socket, stream, events, wire):
    async with running(stream, events.append):
        feed(stream, *[wire.media()] * 1000)
    assert len(events) == 400
    assert events[-1] == StreamStopped(3, "malformed")
    assert socket.code == 1008


async def test_a_backlog_after_a_stalled_network_is_no_flood(stream, events, wire, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stream._counted_since = now
    async with running(stream, events.append):
        feed(stream, *[wire.media()] * 250)
        for _ in range(40):
            now += 0.2
            feed(stream, *[wire.media()] * 10)
        feed(stream, wire.stop())
    assert events[-1] == StreamStopped(3, "stop")
    assert len(events) == 651


async def test_the_echoes_of_our_own_marks_are_no_flood(stream, events, wire):
    """A clear after a long answer sends more marks back at once than a flood has messages."""
    async with running(stream, events.append):
        for number in range(1500):
            stream.perform(Mark(f"3.1:{number}"))
        feed(stream, *[wire.mark(f"3.1:{number}") for number in range(1500)], wire.stop())
    assert events[-1] == StreamStopped(3, "stop")
    assert len(events) == 1501


async def test_echoes_of_marks_that_were_never_sent_are_a_flood(stream, events, wire):
    async with running(stream, events.append):
        feed(stream, *[wire.mark("x")] * 1000)
    assert events[-1] == StreamStopped(3, "malformed")


async def test_unknown_messages_are_logged_once_for_each_kind(stream, events):
    with capture_logs() as logs:
        async with running(stream, events.append):
            feed(stream, *['{"event":"a"}', '{"event":"b"}'] * 20, GONE)
    assert [entry["kind"] for entry in logs] == ["a", "b"]
    assert events == [StreamStopped(3, "lost")]


# ---- Out --------------------------------------------------------------------------------------------------------------


async def test_commands_leave_at_once_in_order_and_exactly_shaped(socket, stream, events):
    for command in (PLAY, Mark("3.0:1"), PLAY, Mark("3.0:2"), CloseStream(), PLAY):
        stream.perform(command)
    assert socket.sent == [
        {"event": "media", "streamSid": STREAM_SID, "media": {"payload": PLAY.payload}},
        {"event": "mark", "streamSid": STREAM_SID, "mark": {"name": "3.0:1"}},
        {"event": "media", "streamSid": STREAM_SID, "media": {"payload": PLAY.payload}},
        {"event": "mark", "streamSid": STREAM_SID, "mark": {"name": "3.0:2"}},
    ]
    await stream.run(events.append, as_event(events.append))
    assert socket.code == 1000
    assert events == [StreamStopped(3, "closed")]


async def test_a_clear_overtakes_what_waits_and_takes_its_marks_along(socket, stream, events, wire):
    async with running(stream, events.append):
        stream.perform(PLAY)
        socket.congested = True
        for number in range(99):
            stream.perform(PLAY)
            stream.perform(Mark(f"3.0:{number}"))
        assert stream.unsent_ms == 99 * 60
        stream.perform(Clear())
        stream.perform(Clear())
        assert stream.unsent_ms == 0
        stream.perform(PLAY)
        stream.perform(Mark("3.1:0"))
        assert socket.events() == ["media"]
        socket.congested = False
        stream.resume()
        feed(stream, wire.stop())
    assert socket.events() == ["media", "clear", "media", "mark"]
    assert stream.unsent_ms == 0


async def test_what_waits_leaves_in_order_and_before_what_comes_then(socket, stream, events, wire):
    async with running(stream, events.append):
        socket.congested = True
        for number in range(3):
            stream.perform(Mark(str(number)))
        socket.congested = False  # nobody has told the stream yet
        stream.perform(Mark("3"))
        assert socket.sent == []
        stream.resume()
        stream.perform(Mark("4"))
        feed(stream, wire.stop())
    assert [message["mark"]["name"] for message in socket.sent] == ["0", "1", "2", "3", "4"]


async def test_a_socket_that_is_congested_again_stops_what_waits(socket, stream, wire):
    socket.congested = True
    for number in range(5):
        stream.perform(Mark(str(number)))
    send = socket.send

    def send_two(text):
        send(text)
        socket.congested = len(socket.sent) == 2

    socket.send, socket.congested = send_two, False
    stream.resume()
    assert len(socket.sent) == 2
    socket.congested = False
    stream.resume()
    assert len(socket.sent) == 5


async def test_a_clear_keeps_a_close_that_waits(socket, stream, events):
    socket.congested = True
    for command in (PLAY, CloseStream(), Clear()):
        stream.perform(command)
    socket.congested = False
    stream.resume()
    await stream.run(events.append, as_event(events.append))
    assert socket.events() == ["clear"]
    assert events == [StreamStopped(3, "closed")]


async def test_a_minute_of_unsent_audio_is_reported_and_kept(socket, stream, events, wire):
    with capture_logs() as logs:
        async with running(stream, events.append):
            socket.congested = True
            for _ in range(1100):
                stream.perform(PLAY)
            assert stream.unsent_ms == 1100 * 60
            assert stream.overruns == 1
            socket.congested = False
            stream.resume()
            feed(stream, wire.stop())
    assert socket.events() == ["media"] * 1100
    assert [entry["event"] for entry in logs] == ["carrier-reads-too-slowly"]


async def test_two_minutes_of_unsent_audio_end_the_stream(socket, stream, events):
    async with running(stream, events.append):
        socket.congested = True
        for _ in range(2100):
            stream.perform(PLAY)
    assert events == [StreamStopped(3, "lost")]
    assert len(stream._outbox) <= 2001


async def test_a_peer_that_reads_nothing_does_not_hold_up_the_close(socket, stream, events, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    async with running(stream, events.append):
        socket.congested = True
        stream.perform(PLAY)
        stream.perform(CloseStream())
    assert events == [StreamStopped(3, "closed")]


async def test_it_can_be_superseded(socket, stream, events, wire):
    def emit(event):
        events.append(event)
        stream.end("superseded")
        stream.end("lost")

    async with running(stream, emit):
        feed(stream, wire.media(), wire.media())
    assert events[1:] == [StreamStopped(3, "superseded")]
    assert socket.code == 1008


async def test_ended_before_it_ran(stream, events, wire):
    feed(stream, wire.media())
    stream.end("superseded")
    await stream.run(events.append, as_event(events.append))
    assert events == [StreamStopped(3, "superseded")]


async def test_cancelled_from_outside_it_leaves_nothing_behind(stream, events):
    with anyio.move_on_after(0.02):
        await stream.run(events.append, as_event(events.append))
    assert events == []
