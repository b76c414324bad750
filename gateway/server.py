"""A uvicorn that lets callers finish: SIGTERM drains the live calls before any socket is closed.

uvicorn by itself closes every WebSocket within 10 ms of SIGTERM, whatever its graceful timeout says.
"""

from __future__ import annotations

import asyncio
import signal
from types import FrameType

import structlog
import uvicorn
from starlette.types import ASGIApp

from gateway.exchange import Exchange
from gateway.settings import Settings

MAX_MESSAGE = 64 * 1024
"""Bytes of the largest message that a socket may send; Twilio's are under 1 KiB."""
PING = 10.0

log = structlog.get_logger()


class GatewayServer(uvicorn.Server):
    """Serves one node until a signal, then drains it; a second signal ends at once."""

    def __init__(self, app: ASGIApp, exchange: Exchange, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal, and leave at the second."""
        if self._draining is None and sig in {signal.SIGTERM, signal.SIGINT} and self.started:
            self._draining = asyncio.get_running_loop().create_task(self._drain(sig, frame))
            return
        log.warning("leaving-at-once", calls=len(self._exchange.calls))
        super().handle_exit(sig, frame)

    async def _drain(self, sig: int, frame: FrameType | None) -> None:
        await self._exchange.drain(self._drain_timeout)
        super().handle_exit(sig, frame)
