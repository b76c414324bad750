"""The WebSocket endpoint of Media Streams: from the upgrade to a call that carries the stream."""

from __future__ import annotations

from typing import Final

import anyio
import structlog
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway.carriers.carrier import Exchange, StreamStart
from gateway.carriers.twilio import media
from gateway.carriers.twilio.diagnosis import Arrival, Refusals
from gateway.carriers.twilio.signature import SIGNATURE_HEADER, SIGNATURE_SETTINGS_HEADER, Verifier
from gateway.carriers.twilio.stream import GOING_AWAY, INTERNAL, NORMAL, POLICY, UNSUPPORTED, Socket, TwilioStream
from gateway.carriers.twilio.twiml import MEDIA_PATH
from gateway.errors import TokenError, WireError

log = structlog.get_logger()

START_SECONDS: Final = 5.0
MAX_WAITING: Final = 100
"""Sockets of one process that have not said ``start`` yet; they are signed, but have shown no token."""
MAX_BEFORE_START: Final = 10
MAX_SHOWN: Final = 200

_FORMAT: Final = media.MediaFormat(encoding="audio/x-mulaw", sample_rate=8000, channels=1)


class MediaSocket:
    """An ASGI application: checks the upgrade, waits for ``start``, and gives the stream to the exchange."""

    def __init__(
        self,
        exchange: Exchange,
        verifier: Verifier,
        refusals: Refusals | None = None,
        *,
        start_seconds: float = START_SECONDS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._exchange = exchange
        self._verifier = verifier
        self._refusals = refusals or Refusals(verifier)
        self._start_seconds = start_seconds
        self._max_waiting = max_waiting
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many accepted sockets have not started a stream yet."""
        return self._waiting

    def routes(self) -> list[BaseRoute]:
        """With and without a slash at the end: there are no redirects for WebSockets."""
        return [WebSocketRoute(MEDIA_PATH + slash, self, name=f"twilio{MEDIA_PATH}{slash}") for slash in ("", "/")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        await receive()  # "websocket.connect", which is always first
        if not self._is_signed(scope):
            # Closing before accepting makes the server answer 403, with an empty body.
            await send({"type": "websocket.close", "code": POLICY, "reason": ""})
            return
        if self._waiting >= self._max_waiting:
            log.warning("streams-waiting", waiting=self._waiting)
            await _deny(scope, send, 503)
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        socket = Socket(receive, send)
        start = await self._wait_for_start(socket)
        if start is None:
            return
        if not self._is_signed(scope, start.account_sid):
            await socket.close(POLICY)
            return
        await self._carry(start, socket)

    def _is_signed(self, scope: Scope, account_sid: str = "") -> bool:
        """Judge the upgrade; once the stream has said whose it is, by the tokens of that account alone."""
        headers = Headers(scope=scope)
        raw_path = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else scope["path"]
        signature = headers.get(SIGNATURE_HEADER)
        verdict = self._verifier.websocket(raw_path, signature, headers.get(SIGNATURE_SETTINGS_HEADER), account_sid)
        if not verdict:
            query = scope.get("query_string", b"").decode("latin-1")
            arrival = Arrival("websocket", raw_path, signature or "", query, headers=headers)
            self._refusals.note(verdict.why, arrival)
        return bool(verdict)

    async def _wait_for_start(self, socket: Socket) -> StreamStart | None:
        """Read up to a valid ``start``, for a few seconds and messages; without it, the socket is closed."""
        self._waiting += 1
        try:
            with anyio.move_on_after(self._start_seconds):
                message = await _first(socket)
                if message is not None and message.start.media_format != _FORMAT:
                    # Twilio's page: the encoding is "always audio/x-mulaw". Anything else would be static on the line.
                    log.error("stream-format", call_sid=message.start.call_sid, format=repr(message.start.media_format))
                    await socket.close(UNSUPPORTED)
                    return None
                return None if message is None else _described(message)
            log.warning("stream-refused", why="no start in time")
            await socket.close(POLICY)
        except WireError as error:
            log.warning("stream-refused", why=str(error)[:MAX_SHOWN])
            await socket.close(POLICY)
        finally:
            self._waiting -= 1
        return None

    async def _carry(self, start: StreamStart, socket: Socket) -> None:
        code = GOING_AWAY
        try:
            await self._exchange.carry(start, TwilioStream(start.stream_sid, socket))
            code = NORMAL
        except TokenError as error:
            log.warning("stream-refused", why=str(error), call_sid=start.call_sid)
            code = POLICY
        except Exception:  # one call's fault must not reach the server, and Twilio then asks what is next
            log.exception("stream-failed", call_sid=start.call_sid)
            code = INTERNAL
        finally:
            await socket.close(code)


async def _first(socket: Socket) -> media.Start | None:
    """The stream's ``start``, or None if the peer left before."""
    for _ in range(MAX_BEFORE_START):
        received = await socket.receive()
        if received["type"] == "websocket.disconnect":
            return None
        text = received.get("text")
        if text is None:
            raise WireError("a binary message before start")
        match media.decode(text):
            case media.Start() as start:
                return start
            case media.Connected() | media.Unknown():
                continue
            case _:
                raise WireError("a message before start")
    raise WireError("no start among the first messages")


def _described(message: media.Start) -> StreamStart:
    start = message.start
    return StreamStart(start.stream_sid, start.call_sid, start.account_sid, start.custom_parameters)


async def _deny(scope: Scope, send: Send, status: int) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY, "reason": ""})
        return
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b""})
