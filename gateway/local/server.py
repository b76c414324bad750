"""The server: WebSocket connections in, one Session each, until a signal says that it is over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from gateway.local.brain.turn import Brain
from gateway.local.engine import Engine
from gateway.local.protocol import Json, encode
from gateway.local.session import Session

_LARGEST = 24 * 1024 * 1024
_OUTBOX = 20_000
_MODEL = "local"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for ``OPENAI_REALTIME_URL``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}/v1/realtime"


async def connection(socket: ServerConnection, engine: Engine, brain: Brain, pace: float) -> None:
    """Serve one client until its socket closes."""
    outbox: asyncio.Queue[Json] = asyncio.Queue(_OUTBOX)
    query = parse_qs(urlsplit(socket.request.path if socket.request else "").query)
    model = (query.get("model") or [_MODEL])[0]
    async with asyncio.TaskGroup() as tasks:
        session = Session(engine, brain, tasks, outbox.put_nowait, model=model, pace=pace)
        writer = tasks.create_task(_write(socket, outbox))
        log.info("session-opened", session=session.id, model=model)
        session.open()
        try:
            async for message in socket:
                await session.receive(message)
        except ConnectionClosed as closed:
            log.info("session-lost", session=session.id, reason=str(closed))
        finally:
            session.close()
            writer.cancel()
    log.info("session-closed", session=session.id)


async def _write(socket: ServerConnection, outbox: asyncio.Queue[Json]) -> None:
    try:
        while True:
            await socket.send(encode(await outbox.get()))
    except ConnectionClosed:
        return  # the reader sees it too, and ends the session


def _route(socket: ServerConnection, request: Request) -> Response | None:
    path = urlsplit(request.path).path
    if path in {"/healthz", "/readyz"}:
        return socket.respond(HTTPStatus.OK, "ok\n")
    if path.rstrip("/").endswith("/realtime"):
        return None
    return socket.respond(HTTPStatus.NOT_FOUND, "The Realtime API is at /v1/realtime.\n")


async def listen(engine: Engine, brain: Brain, host: str, port: int, pace: float) -> Server:
    """Begin to take connections; port 0 takes a free one."""

    async def take(socket: ServerConnection) -> None:
        await connection(socket, engine, brain, pace)

    return await serve(
        take, host, port, process_request=_route, compression=None, max_size=_LARGEST, ping_interval=20, ping_timeout=20
    )


def place_of(server: Server) -> Place:
    """Tell where a server listens."""
    host, port = next(iter(server.sockets)).getsockname()[:2]
    return Place(host, port)


async def run(
    engine: Engine, brain: Brain, *, host: str, port: int, pace: float, ready: Callable[[Place], None]
) -> None:
    """Serve until SIGTERM or SIGINT; then open sessions are closed with 1001, and it returns."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await listen(engine, brain, host, port, pace)
    ready(place_of(server))
    await stop.wait()
    server.close()
    await server.wait_closed()
    engine.close()
