"""One media stream of Twilio's, as a side of a call."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final, Protocol, assert_never

import structlog

from gateway.audio.payload import size_of
from gateway.call.commands import Clear, CloseStream, Mark, Play, StreamCommand
from gateway.call.events import DigitPressed, MarkReached, MessageRefused, StopCause, StreamStopped
from gateway.carriers.carrier import Emit, EmitAudio
from gateway.carriers.twilio import media
from gateway.errors import WireError

log = structlog.get_logger()

MAX_MALFORMED: Final = 50
FLOOD_MESSAGES: Final = 400
FLOOD_SECONDS: Final = 2.0
UNSENT_MS: Final = 60_000
"""Audio waiting in our outbox beyond this is reported; the call then cancels what is being said."""
UNSENT_LIMIT_MS: Final = 120_000
"""Beyond this the socket is given up: nobody has read it for minutes, and memory is not endless."""
CLOSE_SECONDS: Final = 2.0
BYTES_PER_MS: Final = 8

# RFC 6455, section 7.4.1.
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL: Final = 1002
UNSUPPORTED: Final = 1003
POLICY: Final = 1008
TOO_BIG: Final = 1009
INTERNAL: Final = 1011

_CODES: Final[dict[StopCause, int]] = {
    "stop": NORMAL,
    "closed": NORMAL,
    "lost": INTERNAL,
    "malformed": POLICY,
    "superseded": POLICY,
}


class Socket(Protocol):
    """What a stream needs of its WebSocket. Nothing here waits: the caller's audio is the busiest path there is."""

    @property
    def congested(self) -> bool:
        """Whether the peer reads too slowly to be sent more; once it has caught up, the stream has to ``resume``."""
        ...

    def send(self, text: str) -> None:
        """Send a message; to a peer that is gone it goes nowhere."""
        ...

    def close(self, code: int) -> None:
        """Close, once; a peer that does not answer is not waited for."""
        ...


class TwilioStream:
    """A stream that has started. What it is fed becomes events at once, and what the call wants is sent at once.

    Only while the socket is congested commands wait here, in order; a ``Clear`` throws away what waits.
    """

    def __init__(self, stream_sid: str, socket: Socket) -> None:
        self.number = 0
        self.malformed = 0
        self.overruns = 0
        """How often more than a minute of audio waited here."""
        self._sid = stream_sid
        self._socket = socket
        self._writer = media.Writer(stream_sid)
        self._outbox: deque[StreamCommand] = deque()
        self._unsent = 0
        self._overrun = False
        self._marks_out = 0
        self._emit: Emit | None = None
        self._emit_audio: EmitAudio | None = None
        self._early: list[bytes | None] = []
        """What came before anybody took events, in order; None is a binary message."""
        self._cause: StopCause | None = None
        self._code: int | None = None
        self._over = asyncio.Event()
        self._closing: asyncio.TimerHandle | None = None
        self._counted = 0
        self._counted_since = time.monotonic()
        self._unknown: set[str] = set()

    @property
    def unsent_ms(self) -> float:
        """Milliseconds of audio that still wait in our outbox."""
        return self._unsent / BYTES_PER_MS

    async def run(self, emit: Emit, emit_audio: EmitAudio) -> None:
        """Carry the stream until it is over; the last event is ``StreamStopped``, and then the socket is closed."""
        self._emit, self._emit_audio = emit, emit_audio
        early, self._early = self._early, []
        for message in early:
            if message is None:
                self.feed_binary()
            else:
                self.feed(message)
        try:
            await self._over.wait()
        finally:
            if self._closing is not None:
                self._closing.cancel()
        cause: StopCause = self._cause or "closed"
        emit(StreamStopped(self.number, cause))
        self._socket.close(self._code or _CODES[cause])

    def end(self, cause: StopCause) -> None:
        """End the stream from our side, at once: ``run`` emits ``StreamStopped`` with this cause and returns."""
        self._finish(cause)

    # ---- Out --------------------------------------------------------------------------------------------------------

    def perform(self, command: StreamCommand) -> None:
        """Send a command, or queue it; what comes after the end of the stream goes nowhere."""
        if self._cause is not None:
            return
        if isinstance(command, Clear):
            self._clear()
        elif not self._outbox and not self._socket.congested:
            self._deliver(command)
        else:
            self._queue(command)

    def resume(self) -> None:
        """Go on sending: the socket is not congested any more."""
        while self._outbox and self._cause is None and not self._socket.congested:
            command = self._outbox.popleft()
            if isinstance(command, Play):
                self._unsent -= command.size
            self._deliver(command)
        if not self._outbox:
            self._overrun = False

    def _deliver(self, command: StreamCommand) -> None:
        match command:
            case Play():
                self._socket.send(self._writer.media(command.payload))
            case Mark():
                self._marks_out += 1
                self._socket.send(self._writer.mark(command.name))
            case Clear():
                self._socket.send(self._writer.clear())
            case CloseStream():
                self._finish("closed")
            case _:
                assert_never(command)

    def _queue(self, command: StreamCommand) -> None:
        self._outbox.append(command)
        if isinstance(command, Play):
            self._unsent += command.size
            if self._unsent > UNSENT_MS * BYTES_PER_MS:
                self._report_overrun()
        elif isinstance(command, CloseStream) and self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._finish, "closed")

    def _clear(self) -> None:
        """Throw away what waits here, and let nothing delay the clear.

        The marks go with their audio: they belong to the epoch that the clear ends, so nobody waits for their echo.
        """
        closing = [command for command in self._outbox if isinstance(command, CloseStream)]
        self._outbox.clear()
        self._outbox.append(Clear())
        self._outbox.extend(closing)
        self._unsent = 0
        self._overrun = False
        self.resume()

    def _report_overrun(self) -> None:
        if not self._overrun:
            self._overrun = True
            self.overruns += 1
            log.warning("carrier-reads-too-slowly", stream_sid=self._sid, unsent_ms=self.unsent_ms)
        if self._unsent > UNSENT_LIMIT_MS * BYTES_PER_MS:
            log.error("carrier-reads-nothing", stream_sid=self._sid, unsent_ms=self.unsent_ms)
            self._finish("lost")

    # ---- In ---------------------------------------------------------------------------------------------------------

    def feed(self, message: bytes) -> None:
        """Take a text message, as the bytes that it came in."""
        emit, emit_audio = self._emit, self._emit_audio
        if emit is None or emit_audio is None:
            self._early.append(message)
            return
        if self._cause is not None:
            return
        self._counted += 1
        if self._counted >= FLOOD_MESSAGES and self._floods():
            return
        try:
            received = media.decode(message)
        except WireError as error:
            self._refuse(emit, str(error), POLICY)
            return
        if type(received) is media.Media and received.stream_sid == self._sid:
            body = received.media
            if payload := body.payload:
                emit_audio(payload, size_of(payload), body.timestamp)
        else:
            self._take(received, emit)

    def feed_binary(self) -> None:
        """Take a binary message, of which there are none."""
        if self._emit is None:
            self._early.append(None)
        elif self._cause is None:
            self._refuse(self._emit, "a binary message", UNSUPPORTED)

    def lost(self) -> None:
        """Take note that the socket is gone.

        Ours sets its cause before it closes. Twilio says ``stop`` before it closes; without it, something broke.
        """
        self._finish("lost")

    def _take(self, received: media.Message, emit: Emit) -> None:
        match received:
            case media.Unknown():
                self._note_unknown(received.event)
            case media.Connected() | media.Start():
                self._refuse(emit, "a stream that has started starts again", POLICY)
            case media.Media() | media.Dtmf() | media.Mark() | media.Stop() if received.stream_sid != self._sid:
                self._refuse(emit, "the streamSid of another stream", POLICY)
            case media.Media():
                pass  # audio took the short way
            case media.Mark(mark=body):
                # A clear sends all outstanding marks back at once: echoes of our own are no flood.
                if self._marks_out > 0:
                    self._marks_out -= 1
                    self._counted -= 1
                emit(MarkReached(body.name))
            case media.Dtmf(dtmf=body):
                emit(DigitPressed(body.digit))
            case media.Stop():
                self._finish("stop")
            case _:
                assert_never(received)

    def _refuse(self, emit: Emit, why: str, code: int) -> None:
        self.malformed += 1
        emit(MessageRefused(why))
        if self.malformed >= MAX_MALFORMED:
            log.warning("stream-malformed", stream_sid=self._sid, why=why, count=self.malformed)
            self._finish("malformed", code)

    def _floods(self) -> bool:
        """Whether the last 400 messages came within 2 s; looked at once in 400 messages, which costs nothing."""
        now = time.monotonic()
        seconds, self._counted_since, self._counted = now - self._counted_since, now, 0
        if seconds >= FLOOD_SECONDS:
            return False
        log.warning("stream-flood", stream_sid=self._sid, messages=FLOOD_MESSAGES, seconds=round(seconds, 3))
        self._finish("malformed", POLICY)
        return True

    def _note_unknown(self, event: str) -> None:
        """Unknown messages are ignored, as Twilio adds some "without notice"; each kind is logged once."""
        if event not in self._unknown and len(self._unknown) < MAX_MALFORMED:
            self._unknown.add(event)
            log.info("message-unknown", stream_sid=self._sid, kind=event)

    def _finish(self, cause: StopCause, code: int | None = None) -> None:
        """Settle the cause, the first one only, and stop reading and writing."""
        if self._cause is None:
            self._cause, self._code = cause, code
            self._over.set()
