"""The WebSocket endpoint of Media Streams: from the upgrade to a call that carries the stream."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

import anyio
import anyio.abc
import structlog
from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from gateway.carriers.carrier import Exchange, StreamSide, StreamStart
from gateway.carriers.twilio.connection import MediaConnection
from gateway.carriers.twilio.diagnosis import Arrival, Refusals
from gateway.carriers.twilio.signature import SIGNATURE_HEADER, SIGNATURE_SETTINGS_HEADER, Verifier
from gateway.carriers.twilio.stream import GOING_AWAY, INTERNAL, NORMAL, POLICY, TwilioStream
from gateway.carriers.twilio.twiml import MEDIA_PATH
from gateway.errors import TokenError

log = structlog.get_logger()

START_SECONDS: Final = 5.0
MAX_WAITING: Final = 100
"""Sockets of one process that have not said ``start`` yet; they are signed, but have shown no token."""


class StreamSocket(ABC):
    """Checks upgrades, waits for ``start``, and gives streams to the exchange; :meth:`run` owns them.

    Which upgrades are let in, and what is done around a stream, is for each carrier to say.
    """

    paths: tuple[str, ...]
    """Where it is reached."""

    def __init__(
        self, exchange: Exchange, *, start_seconds: float = START_SECONDS, max_waiting: int = MAX_WAITING
    ) -> None:
        self._exchange = exchange
        self._start_seconds = start_seconds
        self._max_waiting = max_waiting
        self._waiting: set[MediaConnection] = set()
        self._begun: asyncio.Queue[tuple[StreamStart, TwilioStream, MediaConnection]] = asyncio.Queue()
        self._running = False

    @abstractmethod
    def may_open(self, request: WSUpgradeRequest, peer: str, account_sid: str = "") -> bool:
        """Judge an upgrade from the address ``peer``; asked again once the stream has said whose it is."""

    async def carry(self, start: StreamStart, stream: StreamSide) -> None:
        """Run a stream that has started.

        Raises:
            TokenError: it may not be part of its call.
        """
        await self._exchange.carry(start, stream)

    @property
    def waiting(self) -> int:
        """How many accepted sockets have not started a stream yet."""
        return len(self._waiting)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own all streams until cancelled; then they are closed."""
        async with anyio.create_task_group() as tasks:
            self._running = True
            task_status.started()
            try:
                while True:
                    tasks.start_soon(self._carry, *await self._begun.get())
            finally:
                self._running = False
                for connection in tuple(self._waiting):
                    connection.close(GOING_AWAY)

    def accept(self, request: WSUpgradeRequest, peer: str = "") -> WSListener | WSUpgradeResponseWithListener:
        """Judge an upgrade before it is answered; what comes back is for picows."""
        if not self.may_open(request, peer):
            return _refusal(HTTPStatus.FORBIDDEN)
        if not self._running or len(self._waiting) >= self._max_waiting:
            log.warning("streams-waiting", waiting=len(self._waiting))
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE)
        begin = partial(self._begin, request, peer)
        return MediaConnection(begin, start_seconds=self._start_seconds, waiting=self._waiting)

    def _begin(
        self,
        request: WSUpgradeRequest,
        peer: str,
        start: StreamStart,
        stream: TwilioStream,
        connection: MediaConnection,
    ) -> None:
        if self.may_open(request, peer, start.account_sid):
            self._begun.put_nowait((start, stream, connection))
        else:
            connection.close(POLICY)

    async def _carry(self, start: StreamStart, stream: TwilioStream, connection: MediaConnection) -> None:
        code = GOING_AWAY
        try:
            await self.carry(start, stream)
            code = NORMAL
        except TokenError as error:
            log.warning("stream-refused", why=str(error), call_sid=start.call_sid)
            code = POLICY
        except Exception:  # one call's fault must not reach the server, and the carrier then asks what is next
            log.exception("stream-failed", call_sid=start.call_sid)
            code = INTERNAL
        finally:
            connection.close(code)


class MediaSocket(StreamSocket):
    """Takes the streams of Twilio, which signs its upgrades."""

    paths = (MEDIA_PATH, f"{MEDIA_PATH}/")
    """With and without a slash at the end: there are no redirects for WebSockets."""

    def __init__(
        self,
        exchange: Exchange,
        verifier: Verifier,
        refusals: Refusals | None = None,
        *,
        start_seconds: float = START_SECONDS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        super().__init__(exchange, start_seconds=start_seconds, max_waiting=max_waiting)
        self._verifier = verifier
        self._refusals = refusals or Refusals(verifier)

    def may_open(self, request: WSUpgradeRequest, peer: str, account_sid: str = "") -> bool:
        """Check the signature; once the stream has said whose it is, by the tokens of that account alone."""
        del peer
        raw_path, _, query = request.path.decode("latin-1").partition("?")
        headers: Mapping[str, str] = request.headers
        signature = headers.get(SIGNATURE_HEADER)
        verdict = self._verifier.websocket(raw_path, signature, headers.get(SIGNATURE_SETTINGS_HEADER), account_sid)
        if not verdict:
            arrival = Arrival("websocket", raw_path, signature or "", query, headers=headers)
            self._refusals.note(verdict.why, arrival)
        return bool(verdict)


def _refusal(status: HTTPStatus) -> WSUpgradeResponseWithListener:
    """An answer without a word more: what we found is for the log."""
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, b""), None)
