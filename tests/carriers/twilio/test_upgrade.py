"""The WebSocket endpoint on a real uvicorn, called by a real WebSocket client."""

import asyncio
import contextlib
import json
from itertools import pairwise

import anyio
import pytest
import websockets
from picows.picows import _parse_http_request  # type: ignore[attr-defined]
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.call.commands import Clear, CloseStream, Mark, Play
from gateway.call.events import CallerAudio, DigitPressed, MarkReached, StreamStarted, StreamStopped
from gateway.carriers.twilio.signature import Verifier
from gateway.carriers.twilio.upgrade import MediaSocket

pytestmark = pytest.mark.anyio

TOKEN = "12345678901234567890123456789012"
PUBLIC = "https://gw.example"
STREAM_SID = "MZ" + "b" * 32
SIGNED = object()


@pytest.fixture
def endpoint(exchange):
    return MediaSocket(exchange, Verifier(PUBLIC, "", [TOKEN]), start_seconds=0.3, max_waiting=3)


@pytest.fixture
def connect(signed):
    def open_socket(address, path="/twilio/media", signature=SIGNED, url="wss://gw.example/twilio/media"):
        value = signed(url) if signature is SIGNED else signature
        headers = {} if value is None else {"X-Twilio-Signature": value}
        return websockets.connect(f"ws://{address}{path}", additional_headers=headers, compression=None, proxy=None)

    return open_socket


async def closed(socket: ClientConnection) -> int | None:
    """The code with which the gateway closed."""
    with anyio.fail_after(5):
        with contextlib.suppress(ConnectionClosed):
            async for _ in socket:
                pass
        await socket.wait_closed()
    return socket.close_code


@pytest.mark.parametrize("path", ["/twilio/media", "/twilio/media/"])
@pytest.mark.parametrize("signed_path", ["/twilio/media", "/twilio/media/"])
async def test_a_stream_from_start_to_stop(exchange, serve, endpoint, connect, wire, path, signed_path):
    exchange.commands = {StreamStarted: [Play("f39/" * 40, 120), Mark("1.0:0")], DigitPressed: [Clear()]}
    async with serve(endpoint) as address, connect(address, path, url=f"wss://gw.example{signed_path}") as socket:
        await socket.send(wire.connected())
        await socket.send(wire.start())
        assert json.loads(await socket.recv())["event"] == "media"
        assert json.loads(await socket.recv())["mark"] == {"name": "1.0:0"}
        await socket.send(wire.mark("1.0:0"))
        await socket.send(wire.media(timestamp=40))
        await socket.send(wire.dtmf("5"))
        assert json.loads(await socket.recv()) == {"event": "clear", "streamSid": STREAM_SID}
        await socket.send(wire.stop())
        assert await closed(socket) == 1000
    kinds = [type(event) for event in exchange.events]
    assert kinds == [StreamStarted, MarkReached, CallerAudio, DigitPressed, StreamStopped]
    assert exchange.events[-1] == StreamStopped(1, "stop")
    ((_, start),) = exchange.asked
    assert (start.stream_sid, start.call_sid, start.account_sid) == (STREAM_SID, "CA" + "c" * 32, "AC" + "a" * 32)


async def test_we_close(exchange, serve, endpoint, connect, wire):
    exchange.commands = {StreamStarted: [Play("f39/", 3), CloseStream()]}
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start())
        assert json.loads(await socket.recv())["event"] == "media"
        assert await closed(socket) == 1000
    assert exchange.events[-1] == StreamStopped(1, "closed")


async def test_a_socket_that_dies(exchange, serve, endpoint, connect, wire):
    async with serve(endpoint) as address:
        async with connect(address) as socket:
            await socket.send(wire.start())
            await socket.send(wire.media())
            with anyio.fail_after(5):
                while len(exchange.events) < 2:
                    await anyio.sleep(0.005)
            socket.transport.abort()
        with anyio.fail_after(5):
            await exchange.ended.wait()
    assert exchange.events[-1] == StreamStopped(1, "lost")


@pytest.mark.parametrize(
    ("signature", "url"),
    [
        (None, ""),
        ("", ""),
        ("forged", ""),
        (SIGNED, "https://gw.example/twilio/media"),
        (SIGNED, "wss://evil.example/twilio/media"),
        (SIGNED, "wss://gw.example/twilio/media?a=1"),
    ],
)
async def test_a_bad_signature_is_refused_before_the_upgrade(exchange, serve, endpoint, connect, signature, url):
    async with serve(endpoint) as address:
        with pytest.raises(InvalidStatus) as caught:
            await connect(address, signature=signature, url=url)
    assert caught.value.response.status_code == 403
    assert not caught.value.response.body
    assert exchange.asked == []


async def test_a_thousand_forged_upgrades_reach_nothing(exchange, endpoint):
    """Asked as picows asks: a thousand sockets would say no more."""
    answers = []
    with capture_logs() as logs:
        for number in range(1000):
            signature = f"X-Twilio-Signature: {number:027d}=\r\n" if number % 10 else ""
            head = f"GET /twilio/media HTTP/1.1\r\nHost: gw.example\r\n{signature}"
            answers.append(endpoint.accept(_parse_http_request(head.strip().encode())))
    assert {answer.response.status for answer in answers} == {403}
    assert exchange.asked == []
    assert len(logs) < 50


async def test_without_a_token_no_socket_is_accepted(exchange, serve, connect):
    async with serve(MediaSocket(exchange, Verifier(PUBLIC, "", []))) as address:
        with pytest.raises(InvalidStatus), capture_logs() as logs:
            await connect(address)
    assert "TWILIO_AUTH_TOKEN" in logs[0]["hint"]


async def test_a_bad_token_is_closed_before_any_event(exchange, serve, endpoint, connect, wire):
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start(token="forged"))
        assert await closed(socket) == 1008
    assert exchange.events == []


async def test_a_fault_of_ours_closes_the_socket(exchange, serve, endpoint, connect, wire):
    exchange.fails = {"carry"}
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start())
        assert await closed(socket) == 1011


@pytest.mark.parametrize(
    "first",
    [
        "{",
        b"\x00",
        '{"event":"media","streamSid":"MZ1","media":{"payload":"","timestamp":"1"}}',
        '{"event":"start","streamSid":"MZ1","start":{}}',
    ],
)
async def test_anything_but_start_closes(exchange, serve, endpoint, connect, wire, first):
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.connected())
        await socket.send(first)
        assert await closed(socket) == 1008
    assert exchange.asked == []


async def test_a_chatty_socket_without_start_is_closed(exchange, serve, endpoint, connect, wire):
    async with serve(endpoint) as address, connect(address) as socket:
        for _ in range(10):
            await socket.send('{"event":"new"}')
        assert await closed(socket) == 1008
    assert exchange.asked == []


async def test_another_format_would_be_static(exchange, serve, endpoint, connect, wire):
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start(encoding="audio/x-l16"))
        assert await closed(socket) == 1003
    assert exchange.asked == []


async def test_a_silent_socket_is_closed_and_counts_no_longer(exchange, serve, connect, endpoint):
    async with serve(endpoint) as address, connect(address) as socket:
        assert await closed(socket) == 1008
        assert endpoint.waiting == 0
    assert exchange.asked == []


async def test_only_some_sockets_may_wait_to_start(exchange, serve, connect, wire):
    endpoint = MediaSocket(exchange, Verifier(PUBLIC, "", [TOKEN]), start_seconds=30, max_waiting=3)
    async with serve(endpoint) as address:
        sockets = [await connect(address) for _ in range(3)]
        with pytest.raises(InvalidStatus) as caught:
            await connect(address)
        assert caught.value.response.status_code == 503
        await sockets[0].send(wire.start())
        with anyio.fail_after(5):
            while endpoint.waiting == 3:
                await anyio.sleep(0.005)
        sockets.append(await connect(address))
        await asyncio.gather(*(socket.close() for socket in sockets))
        with anyio.fail_after(5):
            while endpoint.waiting:
                await anyio.sleep(0.005)


async def test_a_message_over_the_limit_ends_that_socket(exchange, serve, endpoint, connect, wire):
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start())
        with anyio.fail_after(5):
            while not exchange.events:
                await anyio.sleep(0.005)
        await socket.send(wire.media("A" * 70_000))
        assert await closed(socket) == 1009
        with anyio.fail_after(5):
            await exchange.ended.wait()
    assert exchange.events[-1] == StreamStopped(1, "lost")


async def test_a_thousand_frames_each_way_arrive_in_order(exchange, serve, endpoint, connect, wire):
    """Fifty a second would take twenty seconds; a burst of 350 is just under what counts as a flood."""
    exchange.on_event = lambda event, stream: (
        stream.perform(Play(event.payload, event.size)) if isinstance(event, CallerAudio) else None
    )
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start())
        payloads = [f"{number:04d}" * 54 for number in range(350)]
        for payload in payloads:
            await socket.send(wire.media(payload))
        with anyio.fail_after(10):
            echoed = [json.loads(await socket.recv())["media"]["payload"] for _ in payloads]
        assert echoed == payloads
        await socket.send(wire.stop())
        await closed(socket)


@pytest.mark.parametrize("sizes", [[50, 50], [1, 0, 1000]])
async def test_a_message_in_parts_is_put_together(exchange, serve, endpoint, connect, wire, sizes):
    message = wire.start()
    cuts = [0, *(sum(sizes[: n + 1]) for n in range(len(sizes))), len(message)]
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send([message[a:b] for a, b in pairwise(cuts)])
        await socket.send([wire.stop()[:9], wire.stop()[9:]])
        assert await closed(socket) == 1000
    assert exchange.events[-1] == StreamStopped(1, "stop")


async def test_parts_of_more_than_the_limit_together_end_that_socket(exchange, serve, endpoint, connect, wire):
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start())
        with contextlib.suppress(ConnectionClosed):
            await socket.send(["x" * 40_000] * 2)
        assert await closed(socket) == 1009


@pytest.mark.parametrize("frame", [b"\x80\x81\0\0\0\0x", b"\xc1\x81\0\0\0\0x", b"\x81\x01x", b"\x83\x81\0\0\0\0x"])
async def test_frames_that_break_the_protocol_end_that_socket(exchange, serve, endpoint, connect, wire, frame):
    """A continuation of nothing, a compressed message, an unmasked one, an unknown opcode."""
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start())
        with anyio.fail_after(5):
            while not exchange.events:
                await anyio.sleep(0.005)
        socket.transport.write(frame)
        assert await closed(socket) == 1002
        with anyio.fail_after(5):
            await exchange.ended.wait()
    assert exchange.events[-1] == StreamStopped(1, "lost")


async def test_nothing_that_follows_a_message_over_the_limit_is_believed(exchange, serve, endpoint, connect, wire):
    """picows would go on and hand over the message that it refused, had the connection time enough."""
    async with serve(endpoint) as address, connect(address) as socket:
        await socket.send(wire.start())
        with anyio.fail_after(5):
            while not exchange.events:
                await anyio.sleep(0.005)
        await socket.send(wire.media("A" * 70_000))
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100):
                await socket.send(wire.dtmf("5"))
        assert await closed(socket) == 1009
        with anyio.fail_after(5):
            await exchange.ended.wait()
    assert [type(event) for event in exchange.events] == [StreamStarted, StreamStopped]


@pytest.mark.parametrize("missing", ["sec-websocket-key", "sec-websocket-version"])
async def test_an_upgrade_that_is_none_leaves_nothing_behind(exchange, serve, endpoint, signed, missing):
    headers = {
        "Host": "gw.example",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "X-Twilio-Signature": signed("wss://gw.example/twilio/media"),
    }
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() != missing]
    async with serve(endpoint) as address:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /twilio/media HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
    assert endpoint.waiting == 0


async def test_at_the_end_of_the_node_sockets_are_told_that_it_goes(exchange, serve, endpoint, connect, wire):
    async with serve(endpoint) as address:
        waiting, started = await connect(address), await connect(address)
        await started.send(wire.start())
        with anyio.fail_after(5):
            while not exchange.events:
                await anyio.sleep(0.005)
    assert [await closed(socket) for socket in (waiting, started)] == [1001, 1001]


async def test_other_sockets_are_served_over_asgi(serve):
    async def echo(socket):
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    app = Starlette(routes=[WebSocketRoute("/other", echo)])
    async with serve(app) as address, websockets.connect(f"ws://{address}/other", proxy=None) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
