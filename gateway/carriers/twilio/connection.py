"""One WebSocket of Media Streams, from its upgrade on: spoken to through picows, which leaves ASGI out.

Of all that a gateway does, 50 messages a second and caller, this is most. On picows a message is a call of a function,
where on an ASGI server it is a queue, an event and two steps of a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from picows import WSFrame, WSListener, WSMsgType, WSProtocolError, WSTransport

from gateway.carriers.carrier import StreamStart
from gateway.carriers.twilio import media
from gateway.carriers.twilio.stream import POLICY, PROTOCOL, TOO_BIG, UNSUPPORTED, TwilioStream
from gateway.errors import WireError

log = structlog.get_logger()

MAX_MESSAGE: Final = 64 * 1024
"""Bytes of the largest message that a socket may send; Twilio's are under 1 KiB."""
MAX_BEFORE_START: Final = 10
MAX_SHOWN: Final = 200
WRITE_BUFFER: Final = 32 * 1024
"""Bytes that may wait for a slow reader beside what the system buffers; a ``clear`` can't take these back."""
CLOSE_SECONDS: Final = 1.0
"""What a peer gets to answer a close."""

_FORMAT: Final = media.MediaFormat(encoding="audio/x-mulaw", sample_rate=8000, channels=1)
_TEXT: Final = WSMsgType.TEXT


class MediaConnection(WSListener):
    """Waits for ``start``, then feeds its stream.

    Args:
        begin: told once, when a valid ``start`` came.
        start_seconds: how long it may take to come.
        waiting: where the connection stands as long as it waits for that.
    """

    def __init__(
        self,
        begin: Callable[[StreamStart, TwilioStream, MediaConnection], None],
        *,
        start_seconds: float,
        waiting: set[MediaConnection],
    ) -> None:
        self.congested = False
        self._begin = begin
        self._waiting = waiting
        self._start_seconds = start_seconds
        self._transport: WSTransport | None = None
        self._stream: TwilioStream | None = None
        self._take: Callable[[bytes], None] = self._take_first
        self._messages = 0
        self._parts: bytearray | None = None
        self._parts_are_text = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- What picows calls ------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin to wait for ``start``."""
        self._transport = transport
        self._waiting.add(self)
        transport.underlying_transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._timer = asyncio.get_running_loop().call_later(self._start_seconds, self._waited)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame of the protocol, which is nearly always a whole text message."""
        if frame.msg_type == _TEXT and frame.fin and self._parts is None and not frame.rsv1:
            if not transport.is_close_frame_sent:
                self._take(frame.get_payload_as_bytes())
        else:
            self._take_unusual(transport, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell the stream that there is nobody any more."""
        self._note_fault(transport)
        self._transport = None
        self._lose()
        self._parts = None

    def pause_writing(self) -> None:
        """Let the stream keep what it has to send."""
        self.congested = True

    def resume_writing(self) -> None:
        """Let the stream send again."""
        self.congested = False
        if self._stream is not None:
            self._stream.resume()

    # ---- What the stream calls --------------------------------------------------------------------------------------

    def send(self, text: str) -> None:
        """Send a text message; to a peer that is gone it goes nowhere."""
        if self._transport is not None:
            self._transport.send(_TEXT, text)

    def close(self, code: int) -> None:
        """Close once; the connection is cut where the peer does not answer within a second."""
        if self._closed:
            return
        self._closed = True
        self._leave_waiting()
        if self._transport is not None:
            self._transport.send_close(code)  # type: ignore[arg-type]  # an int does for the library's enum
            self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._cut)

    # ---- Messages ---------------------------------------------------------------------------------------------------

    def _take_binary(self) -> None:
        if self._stream is not None:
            self._stream.feed_binary()
        else:
            self._refuse("a binary message before start")

    def _take_first(self, message: bytes) -> None:
        """Read up to a valid ``start``; anything else closes the socket."""
        if self._closed:
            return
        self._messages += 1
        try:
            match media.decode(message):
                case media.Start() as start:
                    self._start(start)
                case media.Connected() | media.Unknown():
                    if self._messages >= MAX_BEFORE_START:
                        self._refuse("no start among the first messages")
                case _:
                    self._refuse("a message before start")
        except WireError as error:
            self._refuse(str(error)[:MAX_SHOWN])

    def _start(self, message: media.Start) -> None:
        start = message.start
        if start.media_format != _FORMAT:
            # Twilio's page: the encoding is "always audio/x-mulaw". Anything else would be static on the line.
            log.error("stream-format", call_sid=start.call_sid, format=repr(start.media_format))
            self.close(UNSUPPORTED)
            return
        self._leave_waiting()
        self._stream = TwilioStream(start.stream_sid, self)
        self._take = self._stream.feed
        described = StreamStart(start.stream_sid, start.call_sid, start.account_sid, start.custom_parameters)
        self._begin(described, self._stream, self)

    def _refuse(self, why: str) -> None:
        log.warning("stream-refused", why=why)
        self.close(POLICY)

    def _note_fault(self, transport: WSTransport) -> None:
        """Log that picows closed by itself, as the peer broke the protocol."""
        if transport.is_close_frame_sent and not self._closed:
            self._closed = True
            code = transport.close_handshake.sent.code  # type: ignore[union-attr]  # what was sent is known
            log.warning("stream-refused", why=f"closed with {code}, as the protocol was broken")

    def _waited(self) -> None:
        self._refuse("no start in time")

    # ---- The protocol's rarer frames --------------------------------------------------------------------------------

    def _take_unusual(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if transport.is_close_frame_sent and kind != WSMsgType.CLOSE:
            return  # what comes after a close, ours or that of picows, is for nobody
        if kind == WSMsgType.CLOSE:
            self._note_fault(transport)
            if not self._closed:
                self._closed = True
                transport.send_close(frame.get_close_code())
            self._lose()
            transport.disconnect()
            self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._cut)
        elif kind not in {WSMsgType.PING, WSMsgType.PONG}:
            self._take_part(frame, kind)

    def _take_part(self, frame: WSFrame, kind: WSMsgType) -> None:
        """Put a message together that came in parts (RFC 6455, section 5.4).

        Raises:
            WSProtocolError: for picows to close with.
        """
        if frame.rsv1 or frame.rsv2 or frame.rsv3 or (kind == WSMsgType.CONTINUATION) == (self._parts is None):
            raise WSProtocolError(PROTOCOL, "a frame out of place")
        if self._parts is None:
            self._parts, self._parts_are_text = bytearray(), kind == _TEXT
        self._parts += frame.get_payload_as_bytes()
        if len(self._parts) > MAX_MESSAGE:
            raise WSProtocolError(TOO_BIG, "a message too big")
        if frame.fin:
            message, self._parts = bytes(self._parts), None
            if self._parts_are_text:
                self._take(message)
            else:
                self._take_binary()

    # ---- The end ----------------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        self._closed = True
        self._leave_waiting()
        if self._stream is not None:
            self._stream.lost()

    def _leave_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.discard(self)

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
