"""One media stream of Twilio's, as a side of a call."""

from __future__ import annotations

import time
from collections import deque
from typing import Final, assert_never

import anyio
import structlog
from starlette.types import Message, Receive, Send

from gateway.call.commands import Clear, CloseStream, Mark, Play, StreamCommand
from gateway.call.events import CallerAudio, DigitPressed, MarkReached, MessageRefused, StopCause, StreamStopped
from gateway.carriers.carrier import Emit
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
UNSUPPORTED: Final = 1003
POLICY: Final = 1008
INTERNAL: Final = 1011

_CODES: Final[dict[StopCause, int]] = {
    "stop": NORMAL,
    "closed": NORMAL,
    "lost": INTERNAL,
    "malformed": POLICY,
    "superseded": POLICY,
}


class SocketGoneError(Exception):
    """The WebSocket can't be written to any more."""


class Socket:
    """An accepted WebSocket, spoken to in plain ASGI: the caller's audio is the busiest path there is."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive = receive
        self._send = send
        self._closed = False

    async def send_text(self, text: str) -> None:
        """Raises: SocketGoneError."""
        await self._deliver({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str = "") -> None:
        """Close once, if it can still be closed; a peer that reads nothing is not waited for."""
        if self._closed:
            return
        self._closed = True
        with anyio.move_on_after(1, shield=True):
            try:
                await self._deliver({"type": "websocket.close", "code": code, "reason": reason})
            except SocketGoneError:
                log.debug("socket-already-gone", code=code)

    async def _deliver(self, message: Message) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:
            # ASGI servers raise an OSError once the peer is gone, and uvicorn a RuntimeError once itself has closed
            # (an unanswered ping); neither says more than that.
            raise SocketGoneError from error


class TwilioStream:
    """A stream that has started. What it receives becomes events, what the call wants goes through one outbox."""

    def __init__(self, stream_sid: str, socket: Socket) -> None:
        self.number = 0
        self.malformed = 0
        self.overruns = 0
        """How often more than a minute of audio waited here."""
        self._sid = stream_sid
        self._socket = socket
        self._writer = media.Writer(stream_sid)
        self._outbox: deque[StreamCommand] = deque()
        self._wake = anyio.Event()
        self._unsent = 0
        self._overrun = False
        self._marks_out = 0
        self._closing = False
        self._cause: StopCause | None = None
        self._code: int | None = None
        self._scope: anyio.CancelScope | None = None
        self._counted = 0
        self._counted_since = time.monotonic()
        self._unknown: set[str] = set()

    @property
    def unsent_ms(self) -> float:
        """Milliseconds of audio that still wait in our outbox."""
        return self._unsent / BYTES_PER_MS

    async def run(self, emit: Emit) -> None:
        """Read until the stream is over; the last event is ``StreamStopped``, and then the socket is closed."""
        with anyio.CancelScope() as self._scope:
            if self._closing:
                self._scope.deadline = anyio.current_time() + CLOSE_SECONDS
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write)
                await self._read(emit)
                tasks.cancel_scope.cancel()
        # Without a cause, the time to close ran out: the socket took nothing more.
        cause: StopCause = self._cause or "closed"
        self._cause = cause
        emit(StreamStopped(self.number, cause))
        await self._socket.close(self._code or _CODES[cause])

    def perform(self, command: StreamCommand) -> None:
        """Queue a command; what comes after the end of the stream goes nowhere."""
        if self._cause is not None:
            return
        match command:
            case Play():
                self._outbox.append(command)
                self._unsent += command.size
                if self._unsent > UNSENT_MS * BYTES_PER_MS:
                    self._report_overrun()
            case Mark():
                self._outbox.append(command)
            case Clear():
                self._clear()
            case CloseStream():
                self._outbox.append(command)
                self._closing = True
                if self._scope is not None:
                    self._scope.deadline = anyio.current_time() + CLOSE_SECONDS
            case _:
                assert_never(command)
        self._wake.set()

    def end(self, cause: StopCause) -> None:
        """End the stream from our side, at once: ``run`` emits ``StreamStopped`` with this cause and returns."""
        self._finish(cause)

    # ---- Out --------------------------------------------------------------------------------------------------------

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

    def _report_overrun(self) -> None:
        if not self._overrun:
            self._overrun = True
            self.overruns += 1
            log.warning("carrier-reads-too-slowly", stream_sid=self._sid, unsent_ms=self.unsent_ms)
        if self._unsent > UNSENT_LIMIT_MS * BYTES_PER_MS:
            log.error("carrier-reads-nothing", stream_sid=self._sid, unsent_ms=self.unsent_ms)
            self._finish("lost")

    async def _write(self) -> None:
        try:
            while True:
                while self._outbox:
                    await self._deliver(self._outbox.popleft())
                self._overrun = False
                self._wake = anyio.Event()
                await self._wake.wait()
        except SocketGoneError:
            self._finish("lost")

    async def _deliver(self, command: StreamCommand) -> None:
        match command:
            case Play():
                self._unsent -= command.size
                await self._socket.send_text(self._writer.media(command.payload))
            case Mark():
                self._marks_out += 1
                await self._socket.send_text(self._writer.mark(command.name))
            case Clear():
                await self._socket.send_text(self._writer.clear())
            case CloseStream():
                self._finish("closed")
            case _:
                assert_never(command)

    # ---- In ---------------------------------------------------------------------------------------------------------

    async def _read(self, emit: Emit) -> None:
        receive = self._socket.receive
        while self._cause is None:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                # Ours sets its cause before it closes. Twilio says ``stop`` before it closes; without it, something
                # on the way broke.
                self._finish("lost")
                return
            self._counted += 1
            if self._counted >= FLOOD_MESSAGES and self._floods():
                return
            text = message.get("text")
            if text is None:
                self._refuse(emit, "a binary message", UNSUPPORTED)
                continue
            try:
                received = media.decode(text)
            except WireError as error:
                self._refuse(emit, str(error), POLICY)
                continue
            self._take(received, emit)

    def _take(self, received: media.Message, emit: Emit) -> None:
        match received:
            case media.Unknown():
                self._note_unknown(received.event)
            case media.Connected() | media.Start():
                self._refuse(emit, "a stream that has started starts again", POLICY)
            case media.Media() | media.Dtmf() | media.Mark() | media.Stop() if received.stream_sid != self._sid:
                self._refuse(emit, "the streamSid of another stream", POLICY)
            case media.Media(media=body):
                if body.payload:
                    emit(CallerAudio(body.payload, body.size, body.timestamp))
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
        if self._cause is not None:
            return
        self._cause, self._code = cause, code
        if self._scope is not None:
            self._scope.cancel()
