"""The socket to the model, against a server of the package websockets, and against what no good server does."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from picows import WSTransport
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)

from gateway.realtime.socket import ModelSocket, Transport, connect

pytestmark = pytest.mark.anyio

Peer = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def served(peer: Peer, **options: Any) -> AsyncIterator[str]:
    async with serve(peer, "127.0.0.1", 0, compression=None, **options) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1/realtime?model=m"


async def echo(peer: ServerConnection) -> None:
    async for message in peer:
        await peer.send(message)


async def raw(first: bytes, port_of: list[int]) -> asyncio.Server:
    """A server that answers whatever it is sent with these bytes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port_of.append(server.sockets[0].getsockname()[1])
    return server


async def test_it_says_what_it_is_told_to_say_and_offers_no_compression() -> None:
    seen: dict[str, str] = {}

    async def peer(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.update(connection.request.headers.raw_items())
        await echo(connection)

    async with served(peer) as url:
        socket = await connect(url, {"Authorization": "Bearer k", "User-Agent": "us"}, Transport())
        await socket.send('{"a":"é"}')
        assert await socket.recv() == '{"a":"é"}'.encode()
        assert socket.send_soon(b'{"b":1}')
        assert await socket.recv() == b'{"b":1}'
        await socket.close()
    assert (seen["Authorization"], seen["User-Agent"]) == ("Bearer k", "us")
    assert "Sec-WebSocket-Extensions" not in seen


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [(1000, "", ConnectionClosedOK), (1001, "going", ConnectionClosedOK), (1011, "oops", ConnectionClosedError)],
)
async def test_how_the_peer_closed_is_known_and_what_came_before_is_read(
    code: int, reason: str, error: type[ConnectionClosed]
) -> None:
    async def peer(connection: ServerConnection) -> None:
        await connection.send("last")
        await connection.close(code, reason)

    async with served(peer) as url:
        socket = await connect(url, {}, Transport())
        assert await socket.recv() == b"last"
        with pytest.raises(error) as caught:
            await socket.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)
    assert (socket.close_code, socket.close_reason) == (code, reason)
    assert not socket.send_soon(b"x")
    with pytest.raises(error):
        await socket.send("x")


async def test_a_peer_that_breaks_off() -> None:
    async def peer(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with served(peer) as url:
        socket = await connect(url, {}, Transport())
        with pytest.raises(ConnectionClosedError) as caught:
            await socket.recv()
    assert caught.value.rcvd is None
    assert socket.close_code == 1006


async def test_our_own_close_says_1000() -> None:
    codes = []

    async def peer(connection: ServerConnection) -> None:
        await connection.wait_closed()
        codes.append(connection.close_code)

    async with served(peer) as url:
        socket = await connect(url, {}, Transport())
        await socket.close()
        with pytest.raises(ConnectionClosedOK):
            await socket.recv()
        with anyio.fail_after(5):
            while not codes:
                await anyio.sleep(0.005)
    assert codes == [1000]


@pytest.mark.parametrize("sizes", [[10], [70_000], [1, 0, 5], [30_000, 60_000, 7]])
async def test_messages_in_parts_are_put_together(sizes: list[int]) -> None:
    async def peer(connection: ServerConnection) -> None:
        async def parts() -> AsyncIterator[str]:
            for size in sizes:
                yield "x" * size

        await connection.send(parts())
        await connection.wait_closed()

    async with served(peer) as url:
        socket = await connect(url, {}, Transport())
        assert await socket.recv() == b"x" * sum(sizes)
        await socket.close()


@pytest.mark.parametrize("in_parts", [False, True])
async def test_a_message_over_the_limit_ends_it(in_parts: bool) -> None:
    async def peer(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosedError):
            await connection.send(["y" * 6000] * 2 if in_parts else "y" * 12_000)
            await connection.wait_closed()

    async with served(peer) as url:
        socket = await connect(url, {}, Transport(max_size=10_000))
        with anyio.fail_after(5), pytest.raises(ConnectionClosedError) as caught:
            await socket.recv()
    assert caught.value.sent is not None
    assert caught.value.sent.code == 1009


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno", InvalidStatus),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", InvalidStatus),
        (b"nonsense\r\n\r\n", InvalidMessage),
    ],
)
async def test_a_server_that_refuses(answer: bytes, error: type[Exception]) -> None:
    port: list[int] = []
    async with await raw(answer, port):
        with pytest.raises(error) as caught:
            await connect(f"ws://127.0.0.1:{port[0]}/", {}, Transport())
    if isinstance(caught.value, InvalidStatus):
        assert str(caught.value.response.status_code).encode() in answer


async def test_nobody_there_and_nobody_answering() -> None:
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await connect("ws://127.0.0.1:9/", {}, Transport())

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(TimeoutError):
            await connect(url, {}, Transport(open_timeout=0.1))
        await asyncio.sleep(0.3)
    with pytest.raises(InvalidURI):
        await connect("https://example.com", {}, Transport())


async def test_a_slow_reader_is_waited_for_and_sending_at_once_says_no() -> None:
    """What the network does not take stays with us, where the oldest audio can be dropped."""
    go = asyncio.Event()
    counted = 0

    async def peer(connection: ServerConnection) -> None:
        nonlocal counted
        connection.transport.pause_reading()
        await go.wait()
        connection.transport.resume_reading()
        async for _ in connection:
            counted += 1

    async with served(peer, max_queue=None) as url:
        socket = await connect(url, {}, Transport(ping_interval=60, ping_timeout=60))
        taken = 0
        while taken < 100_000 and socket.send_soon(b"z" * 1000):
            taken += 1
            await asyncio.sleep(0)  # what was taken leaves at the end of the round
        assert 16 < taken < 100_000
        waiting = asyncio.create_task(socket.send("after"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        go.set()
        async with asyncio.timeout(10):
            await waiting
            while counted < taken + 1:
                await asyncio.sleep(0.01)
        await socket.close()


async def test_a_reader_of_ours_that_is_slow_stops_the_peer() -> None:
    sent = 0

    async def peer(connection: ServerConnection) -> None:
        nonlocal sent
        while sent < 20_000:
            await connection.send(b"w" * 4000, text=True)
            sent += 1
        await connection.wait_closed()

    async with served(peer) as url:
        socket = await connect(url, {}, Transport(ping_interval=60, ping_timeout=60))
        await asyncio.sleep(0.5)
        assert sent < 20_000
        async with asyncio.timeout(30):
            for _ in range(20_000):
                assert len(await socket.recv()) == 4000
        await socket.close()


async def test_a_frame_out_of_place_ends_it() -> None:
    async def peer(connection: ServerConnection) -> None:
        connection.transport.write(struct.pack("!BB", 0x80, 1) + b"x")  # a continuation of nothing
        await connection.wait_closed()

    async with served(peer) as url:
        socket: ModelSocket = await connect(url, {}, Transport())
        with anyio.fail_after(5), pytest.raises(ConnectionClosedError) as caught:
            await socket.recv()
    assert caught.value.sent is not None
    assert caught.value.sent.code == 1002


@pytest.mark.parametrize("opens", ["before it is given up", "after"])
async def test_a_connection_that_is_given_up_while_it_opens_does_not_stay(
    opens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller may hang up at any moment; the server must not be left with a session that nobody will ever end."""
    asked, may_open, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(_connection: ServerConnection, _request: Any) -> None:
        asked.set()
        await may_open.wait()

    async def peer(connection: ServerConnection) -> None:
        await connection.wait_closed()
        gone.set()

    async with served(peer, process_request=hold) as url:
        attempt = asyncio.create_task(connect(url, {}, Transport()))
        await asked.wait()
        if opens == "after":
            attempt.cancel()
            await asyncio.wait([attempt])
            may_open.set()
        else:
            may_open.set()
            connected = ModelSocket.on_ws_connected

            def cancel_at_once(self: ModelSocket, transport: WSTransport) -> None:
                connected(self, transport)
                attempt.cancel()

            monkeypatch.setattr(ModelSocket, "on_ws_connected", cancel_at_once)
            await asyncio.wait([attempt])
        assert attempt.cancelled()
        with anyio.fail_after(2):
            await gone.wait()
