"""The WebSocket to the model, on picows: what the SDK's model class needs of one, and sending without waiting.

Its errors are those of the package websockets, so that whoever knows these knows how a connection ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import encodings.idna  # noqa: F401 - looking up a host imports it, and no call is to wait for an import
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport
from websockets.datastructures import Headers
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import Close
from websockets.http11 import Response

_TEXT = WSMsgType.TEXT
_NORMAL, _ABNORMAL, _PROTOCOL, _TOO_BIG = 1000, 1006, 1002, 1009
_OK = frozenset({1000, 1001})
_WRITE_BUFFER = 16 * 1024
"""Bytes that may wait in the transport, a second of audio; what comes then waits where it can still be dropped."""
_ROUND = 256
"""Messages that leave together at most."""
_UNREAD_MOST, _UNREAD_LEAST = 256, 64
"""With so many messages unread nothing more is taken from the network, until no more than so many are left."""


class Outflow:
    """Sends what many connections have to send in one go, at the end of a round of the event loop.

    Each message that goes out by itself wakes up whoever waits for it on another core, and that costs the sender more
    than all else about a frame; of messages sent right behind each other only the first one does.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[WSTransport, bytes]] = []

    def put(self, transport: WSTransport, message: bytes) -> None:
        """Send a text message with the others of this round."""
        waiting = self._waiting
        waiting.append((transport, message))
        if len(waiting) == 1:
            asyncio.get_running_loop().call_soon(self.flush)
        elif len(waiting) >= _ROUND:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        waiting, self._waiting = self._waiting, []
        for transport, message in waiting:
            transport.send(_TEXT, message)


@dataclass(frozen=True, slots=True)
class Transport:
    """Settings of the WebSocket to the model. Times are seconds, sizes bytes.

    With these a peer that went silent is noticed within 5 s, and a close that it does not answer takes at most 1 s.
    There is no compression: no peer wins by it what it costs here.
    """

    open_timeout: float = 3.0
    ping_interval: float = 2.0
    ping_timeout: float = 2.0
    close_timeout: float = 1.0
    max_size: int = 4 * 1024 * 1024
    proxy: str | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """To be shared by connections: without it, each reads the system's certificates, for tens of milliseconds."""
    outflow: Outflow = field(default_factory=Outflow, repr=False)
    """To be shared by connections, too."""


async def connect(url: str, headers: Mapping[str, str], settings: Transport) -> ModelSocket:
    """Connect.

    Raises:
        OSError: the server can't be reached in time.
        InvalidURI: the URL is none of a WebSocket.
        InvalidHandshake: the server answered, but not with a WebSocket.
    """
    socket = ModelSocket(settings)
    try:
        async with asyncio.timeout(settings.open_timeout):
            await picows.ws_connect(
                lambda: socket,
                url,
                ssl_context=settings.tls,
                websocket_handshake_timeout=settings.open_timeout,  # it frees what a cancelled attempt leaves
                enable_auto_ping=True,
                auto_ping_idle_timeout=settings.ping_interval,
                auto_ping_reply_timeout=settings.ping_timeout,
                max_frame_size=settings.max_size,
                extra_headers=dict(headers),
                max_redirects=0,
                read_buffer_init_size=4096,
                proxy=settings.proxy,
            )
    except picows.WSInvalidURL as error:
        raise InvalidURI(url, str(error)) from error
    except picows.WSHandshakeError as error:
        raise _refused(error) from error
    except BaseException:  # the caller hung up meanwhile: a connection that opens all the same would stay for ever
        socket.abort()
        raise
    return socket


def _refused(error: picows.WSHandshakeError) -> InvalidHandshake:
    response = error.response
    if response is None:
        return InvalidMessage(str(error))
    if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
        return InvalidHandshake(str(error))
    headers = Headers(response.headers.items())
    return InvalidStatus(
        Response(int(response.status), HTTPStatus(response.status).phrase, headers, error.raw_body or b"")
    )


class ModelSocket(WSListener):
    """One connection, once it is open."""

    def __init__(self, settings: Transport) -> None:
        self._settings = settings
        self._put = settings.outflow.put
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._at_once: WSTransport | None = None
        """The transport as long as it can be written to without waiting."""
        self._unread: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._reading = True
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._aborted = False
        self._parts: bytearray | None = None
        self._sent: Close | None = None
        self._received: Close | None = None
        self._received_first = False

    # ---- What the SDK's model uses ----------------------------------------------------------------------------------

    async def send(self, message: str | bytes) -> None:
        """Send a text message, when the network takes it.

        Raises:
            ConnectionClosed: the connection is gone.
        """
        if not self._writable.is_set():
            await self._writable.wait()
        if not self._open:
            raise self._closed()
        self._settings.outflow.flush()
        if self._transport is not None:
            self._transport.send(_TEXT, message)

    def send_soon(self, message: bytes) -> bool:
        """Send a text message in this round of the event loop if that needs no waiting; else return False."""
        transport = self._at_once
        if transport is None:
            return False
        self._put(transport, message)
        return True

    async def recv(self) -> bytes:
        """Wait for the next text message.

        Raises:
            ConnectionClosed: there is none any more.
        """
        while not self._unread:
            if self._gone.is_set():
                raise self._closed()
            self._reader = self._loop.create_future()
            await self._reader
        if not self._reading and len(self._unread) <= _UNREAD_LEAST:
            self._read_on()
        return self._unread.popleft()

    async def close(self) -> None:
        """Close; a peer that does not answer is cut off after ``close_timeout``."""
        if self._open and self._transport is not None:
            self._close_with(_NORMAL)
        try:
            async with asyncio.timeout(self._settings.close_timeout):
                await self._gone.wait()
        except TimeoutError:
            self.abort()
            await self._gone.wait()
        if self._transport is not None:
            # Where picows ended it, this raises why; whoever read has heard of the end already.
            with contextlib.suppress(Exception):
                await self._transport.wait_disconnected()

    def abort(self) -> None:
        """Cut the connection at once, or as soon as it opens. Idempotent."""
        self._aborted = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    @property
    def close_code(self) -> int | None:
        """The peer's close code, 1006 where it left without one; None while the connection is there."""
        if not self._gone.is_set():
            return None
        return _ABNORMAL if self._received is None else self._received.code

    @property
    def close_reason(self) -> str:
        """What the peer said about its close."""
        return "" if self._received is None else self._received.reason

    @property
    def _open(self) -> bool:
        return self._sent is None and self._received is None and not self._gone.is_set()

    def _closed(self) -> ConnectionClosed:
        ok = self._received is not None and self._received.code in _OK
        kind = ConnectionClosedOK if ok else ConnectionClosedError
        both = self._sent is not None and self._received is not None
        return kind(self._received, self._sent, self._received_first if both else None)

    # ---- What picows calls ------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Be open."""
        self._transport = self._at_once = transport
        transport.underlying_transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        if self._aborted:
            self.abort()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame of the protocol, which is nearly always a whole message."""
        if frame.msg_type == WSMsgType.CLOSE:
            self._take_close(transport, frame)
        elif transport.is_close_frame_sent and self._sent is None:
            pass  # picows refused a frame and closes; what the peer says after that can't be trusted
        elif frame.msg_type == _TEXT and frame.fin and self._parts is None:
            self._take(frame.get_payload_as_bytes())
        elif frame.msg_type not in {WSMsgType.PING, WSMsgType.PONG}:
            self._take_part(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Be gone."""
        if self._received is None and self._sent is None and transport.close_handshake is not None:
            sent = transport.close_handshake.sent  # picows closed: no pong came, or the peer broke the protocol
            if sent is not None:
                self._sent = Close(int(cast("int", sent.code)), sent.reason or "")
        self._at_once = None
        self._gone.set()
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        """Have senders wait."""
        self._at_once = None
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._at_once = self._transport if self._open else None
        self._writable.set()

    # ---- Frames -----------------------------------------------------------------------------------------------------

    def _take(self, message: bytes) -> None:
        self._unread.append(message)
        if len(self._unread) > _UNREAD_MOST and self._reading and self._transport is not None:
            self._reading = False
            self._transport.underlying_transport.pause_reading()
        self._wake()

    def _read_on(self) -> None:
        self._reading = True
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def _wake(self) -> None:
        if self._reader is not None:
            if not self._reader.done():
                self._reader.set_result(None)
            self._reader = None

    def _take_part(self, frame: WSFrame) -> None:
        """Put a message together that came in parts (RFC 6455, section 5.4), or that is binary.

        Raises:
            WSProtocolError: for picows to close with.
        """
        if (frame.msg_type == WSMsgType.CONTINUATION) == (self._parts is None):
            raise picows.WSProtocolError(_PROTOCOL, "a frame out of place")
        parts = self._parts if self._parts is not None else bytearray()
        parts += frame.get_payload_as_bytes()
        if len(parts) > self._settings.max_size:
            raise picows.WSProtocolError(_TOO_BIG, "a message too big")
        self._parts = None if frame.fin else parts
        if frame.fin:
            self._take(bytes(parts))

    def _take_close(self, transport: WSTransport, frame: WSFrame) -> None:
        code = int(cast("int", frame.get_close_code()))
        self._received = Close(code or 1005, frame.get_close_reason() or "")
        if self._sent is None:
            self._received_first = True
            self._close_with(code or _NORMAL)
        transport.disconnect()

    def _close_with(self, code: int) -> None:
        self._settings.outflow.flush()
        self._sent, self._at_once = Close(code, ""), None
        if self._transport is not None:
            self._transport.send_close(code)  # type: ignore[arg-type]  # an int does for the library's enum
