"""A uvicorn that lets callers finish: SIGTERM drains the live calls before any socket is closed.

uvicorn by itself closes every WebSocket within 10 ms of SIGTERM, whatever its graceful timeout says.

Some WebSockets leave ASGI at their upgrade, for picows (:class:`Upgraded`): those of media streams.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import Any, TypeAlias, cast

import structlog
import uvicorn
from picows import WSAutoPingStrategy, WSListener, WSUpgradeRequest, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs, and used by its own api.py
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.exchange import Exchange
from gateway.garbage import spare_the_calls
from gateway.settings import Settings
from gateway.telemetry.systemd import Systemd

MAX_MESSAGE = 64 * 1024
"""Bytes of the largest message that a socket may send; Twilio's are under 1 KiB."""
PING = 10.0
HAND_OVER = 0.0005
"""Seconds after which a thread that computes lets the event loop go on; Python's own 5 ms are a quarter of a frame."""

Accept: TypeAlias = Callable[[WSUpgradeRequest, str], WSListener | WSUpgradeResponseWithListener]
"""Judges an upgrade from a peer's address before it is answered, and makes its listener."""

log = structlog.get_logger()


class GatewayServer(uvicorn.Server):
    """Serves one node until a signal, then drains it; a second signal ends at once.

    Args:
        app: what is served over ASGI.
        sockets: WebSockets that leave ASGI, by their paths.
        exchange: whose calls are drained.
        settings: where to listen, and how long a drain may take.
        reload: has the lines read again, at SIGHUP.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: Mapping[str, Accept],
        exchange: Exchange,
        settings: Settings,
        reload: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                ws=websockets_for(sockets),
                ws_per_message_deflate=False,
                ws_max_size=MAX_MESSAGE,
                ws_ping_interval=PING,
                ws_ping_timeout=PING,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=3,
            )
        )
        self._exchange = exchange
        self._drain_timeout = settings.drain_timeout
        self._draining: asyncio.Task[None] | None = None
        self._reload = reload
        self._once_started: Callable[[], None] | None = None
        self._systemd = Systemd(settings.notify_socket, settings.watchdog_usec / 1_000_000)

    def once_started(self, act: Callable[[], None]) -> None:
        """Do something as soon as requests are answered here."""
        self._once_started = act

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Start, and then see to it that nothing of this process stalls calls."""
        await super().startup(sockets)
        if self._once_started is not None:
            self._once_started()
        sys.setswitchinterval(HAND_OVER)
        spare_the_calls()
        if self._reload is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        if self.started:
            self._systemd.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal, and leave at the second."""
        if self._draining is None and sig in {signal.SIGTERM, signal.SIGINT} and self.started:
            self._draining = asyncio.get_running_loop().create_task(self._drain(sig))
            return
        log.warning("leaving-at-once", calls=len(self._exchange.calls))
        super().handle_exit(sig, frame)

    async def _drain(self, sig: int) -> None:
        self._systemd.tell("STOPPING=1")
        await self._exchange.drain(self._drain_timeout)
        log.info("drained", signal=signal.Signals(sig).name)
        # Not uvicorn's own way out, which raises the signal again: who was told to end and did so has not failed.
        self.should_exit = True


def websockets_for(sockets: Mapping[str, Accept]) -> type[asyncio.Protocol]:
    """What uvicorn is to use for WebSockets; it calls it like a class."""
    return cast("type[asyncio.Protocol]", partial(Upgraded, sockets))


class Upgraded(asyncio.Protocol):
    """A connection that uvicorn has found to be a WebSocket: for picows where its path is ours, else for ASGI."""

    def __init__(self, sockets: Mapping[str, Accept], **uvicorns: Any) -> None:
        self._sockets = sockets
        self._uvicorns = uvicorns
        self._transport: asyncio.Transport | None = None
        self._protocol: WSProtocol | WebSocketsSansIOProtocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request, which uvicorn says again."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Find out who it is for, and give it to them; from the loop's next round on they have the connection."""
        if self._transport is None:
            return
        if self._protocol is None:
            path = data.split(b" ", 2)[1].partition(b"?")[0].decode("latin-1")
            accept = self._sockets.get(path)
            self._protocol = (
                WebSocketsSansIOProtocol(**self._uvicorns)
                if accept is None
                else _picows(accept, _peer(self._transport))
            )
            self._protocol.connection_made(self._transport)
            # Later, as uvicorn makes this the transport's protocol once more when this returns.
            asyncio.get_running_loop().call_soon(_hand_over, self._transport, self._protocol)
        if isinstance(self._protocol, WebSocketsSansIOProtocol):
            self._protocol.data_received(data)
        else:
            _feed(self._protocol, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on what came before the connection was handed over."""
        if self._protocol is not None:
            self._protocol.connection_lost(exc)


def _hand_over(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    if not transport.is_closing():
        transport.pause_reading()  # uvloop looks at what kind of protocol it reads for when it begins to read
        transport.set_protocol(protocol)
        transport.resume_reading()


def _peer(transport: asyncio.Transport) -> str:
    """The address of the other end; empty where it has none (a socket of the file system)."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""


def _picows(accept: Accept, peer: str) -> WSProtocol:
    return WSProtocol(
        None,  # host and path are a client's
        None,
        False,  # noqa: FBT003 - positional is all there is: not a client
        lambda request: accept(request, peer),
        logging.getLogger("picows.server"),
        True,  # noqa: FBT003 - a listener that raises ends its connection
        None,  # the request is there already
        True,  # noqa: FBT003 - pings, to a peer that has been silent
        PING,
        PING,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        True,  # noqa: FBT003 - pongs
        MAX_MESSAGE,
        None,
        2048,  # bytes of the read buffer, five frames; it grows as it has to
    )


def _feed(protocol: WSProtocol, data: bytes) -> None:
    while data:
        buffer = protocol.get_buffer(len(data))
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        protocol.buffer_updated(count)
        data = data[count:]
