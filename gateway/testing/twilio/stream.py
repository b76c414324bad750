"""One media stream of a call, from the carrier's end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

import anyio
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from gateway.testing.twilio import wire
from gateway.testing.twilio.behaviour import Behaviour, StreamSignature, Truth
from gateway.testing.twilio.clock import CarrierClock, Wire
from gateway.testing.twilio.log import CallLog, Cleared, Discarded, FrameSent, MarkReached, Received
from gateway.testing.twilio.network import Network, Signer, new_sid
from gateway.testing.twilio.playout import SAMPLES_PER_MS, Playout
from gateway.testing.twilio.socket import StreamError, open_socket, send_now
from gateway.testing.twilio.sound import FRAME

NORMAL_CLOSE, BROKEN = 1000, 1006


class Leg(Protocol):
    """What a stream needs of its call."""

    sid: str
    account_sid: str
    clock: CarrierClock
    log: CallLog

    def hear(self, data: memoryview, at: int) -> None:
        """Let the caller hear these bytes from sample ``at`` on."""

    def warn(self, code: int, message: str, stream: int) -> None:
        """Record a warning, once per stream and code."""

    def fail(self, code: int, message: str, stream: int) -> None:
        """Record an error."""

    def tell(self, kind: str, **details: object) -> None:
        """Report something that can be shown live."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a stream ended, other than by the call: closed by the server, lost, or never opened."""

    how: Literal["closed", "lost", "refused"]
    code: int = 0


@dataclass(frozen=True, slots=True)
class _Out:
    message: str | bytes
    frame: tuple[int, int, int] | None = None  # chunk, timestamp in ms, the sample at which it was captured whole


class MediaStream:
    """Connects, sends the caller's frames, plays what comes, until either end has enough.

    Attributes:
        number: of the call's streams, from 1.
        stream_sid, url, parameters: as they went into ``start``.
        opened: set once ``start`` is on its way.
    """

    def __init__(
        self,
        leg: Leg,
        *,
        number: int,
        url: str,
        parameters: dict[str, str],
        network: Network,
        signer: Signer,
        behaviour: Behaviour,
        truth: Truth,
        random: Random,
    ) -> None:
        self.number = number
        self.stream_sid = new_sid("MZ")
        self.url = url
        self.parameters = parameters
        self.opened = asyncio.Event()
        self.began = 0
        self.frames_paused = False
        self._leg = leg
        self._network = network
        self._signer = signer
        self._behaviour = behaviour
        self._truth = truth
        self._socket: ClientConnection | None = None
        self._sequence = 0
        self._frame = 0
        self._chunk = 0
        self._live = False
        self._mark_timer: asyncio.TimerHandle | None = None
        self._playout = Playout(self, start_delay=round(truth.start_delay_ms * SAMPLES_PER_MS))
        self._up: Wire[_Out] = Wire(
            self._leave, delay_ms=truth.delay_to_gateway_ms, jitter_ms=truth.jitter_ms, random=random
        )
        self._down: Wire[tuple[str | bytes, float]] = Wire(
            self._take, delay_ms=truth.delay_to_carrier_ms, jitter_ms=truth.jitter_ms, random=random
        )

    # ---- Life -------------------------------------------------------------------------------------------------------

    async def run(self, signature: StreamSignature) -> StreamEnd:
        """Carry the stream until the server ends it; cancelled, stop it properly."""
        try:
            self._socket = await open_socket(
                self._network,
                self.url,
                self._signer.upgrade(self.url, signature),
                timeout=self._behaviour.stream_connect_timeout,
            )
        except StreamError as error:
            self._leg.fail(error.code, str(error), self.number)
            return StreamEnd("refused", error.code)
        try:
            self._start()
            return await self._read(self._socket)
        finally:
            with anyio.CancelScope(shield=True):
                await self._finish(self._socket)

    def _start(self) -> None:
        leg = self._leg
        self.began = leg.clock.samples()
        self._post(wire.CONNECTED)
        started = wire.start(
            self._next(),
            account_sid=leg.account_sid,
            stream_sid=self.stream_sid,
            call_sid=leg.sid,
            parameters=self.parameters,
        )
        self._post(started)
        self._live = True
        self.opened.set()
        leg.tell("stream-started", stream=self.number, stream_sid=self.stream_sid)

    async def _read(self, connection: ClientConnection) -> StreamEnd:
        try:
            while True:
                message = await connection.recv()
                now = time.monotonic()
                self._down.send((message, now), now)
                if self._behaviour.reader_delay_ms:
                    await asyncio.sleep(self._behaviour.reader_delay_ms / 1000)
        except ConnectionClosed:
            code = connection.close_code or BROKEN
        if code == BROKEN:
            self._leg.fail(31903, "broken pipe: the connection was lost without a close", self.number)
            return StreamEnd("lost", code)
        await self._down.drained()
        if code != NORMAL_CLOSE or self._behaviour.normal_close_is_error:
            reason = f" {connection.close_reason}" if connection.close_reason else ""
            self._leg.fail(31921, f"the server closed the WebSocket: {code}{reason}", self.number)
        return StreamEnd("closed", code)

    async def _finish(self, connection: ClientConnection) -> None:
        self._live = False
        self._down.cut()
        now = self._leg.clock.samples()
        self._discard(self._playout.clear(now)[0], now, "stop")
        if self._mark_timer:
            self._mark_timer.cancel()
        if connection.close_code is None and not connection.transport.is_closing():
            leg = self._leg
            self._post(wire.stop(self._next(), self.stream_sid, account_sid=leg.account_sid, call_sid=leg.sid))
            await self._up.drained()
        self._up.cut()
        await connection.close()
        self._leg.tell("stream-ended", stream=self.number, code=connection.close_code or BROKEN)

    def break_off(self) -> None:
        """Lose the connection as it is: no ``stop``, no close frame (the server sees 1006)."""
        self._live = False
        self._up.cut()
        self._down.cut()
        if self._socket:
            self._socket.transport.abort()

    # ---- To the gateway ---------------------------------------------------------------------------------------------

    def send_frame(self, frame: bytes, at: int) -> None:
        """Send the 20 ms that were over at sample ``at``."""
        if not self._live:
            return
        number, self._frame = self._frame, self._frame + 1
        if self.frames_paused or self._in_gap(number):
            return
        self._chunk += 1
        timestamp_ms = self._truth.first_timestamp_ms + number * 20
        message = wire.media(self._next(), self.stream_sid, chunk=self._chunk, timestamp_ms=timestamp_ms, frame=frame)
        self._up.send(_Out(message, (self._chunk, timestamp_ms, at)), self._leg.clock.monotonic(at))

    def _in_gap(self, number: int) -> bool:
        gaps = self._behaviour.gaps
        return gaps is not None and number * 20 % (gaps.every_ms + gaps.missing_ms) >= gaps.every_ms

    def press(self, digit: str) -> None:
        if self._live:
            self._post(wire.dtmf(self._next(), self.stream_sid, digit))

    def send_raw(self, message: str | bytes) -> None:
        """Send anything at all, in its turn."""
        self._post(message)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _post(self, message: str | bytes, at: float | None = None) -> None:
        self._up.send(_Out(message), time.monotonic() if at is None else at)

    def _leave(self, out: _Out, at: float) -> None:
        if self._socket is None:
            return
        sent = send_now(self._socket, out.message)
        if not sent:
            self._leg.warn(31930, "upstream buffer overflow: the server reads too slowly", self.number)
        elif out.frame:
            chunk, timestamp_ms, captured = out.frame
            late_ms = (time.monotonic() - at) * 1000
            self._leg.log.frames.append(FrameSent(self.number, chunk, timestamp_ms, captured / SAMPLES_PER_MS, late_ms))

    # ---- From the gateway -------------------------------------------------------------------------------------------

    def _take(self, arrival: tuple[str | bytes, float], at: float) -> None:
        message, arrived = arrival
        leg = self._leg
        now = leg.clock.samples(at)
        try:
            match wire.parse(message, self.stream_sid):
                case wire.Media() as media:
                    self._receive(media, now, arrived)
                case wire.Mark(name):
                    self._playout.mark(name, now)
                case wire.Clear():
                    self._clear(now, arrived)
        except wire.RefusedError as error:
            leg.log.refused.append((message, error.code, str(error)))
            leg.warn(error.code, str(error), self.number)
        self._arm()

    def _receive(self, media: wire.Media, now: int, arrived: float) -> None:
        leg = self._leg
        if media.suspicious:
            leg.fail(
                31951, f"payload begins with the header of a {media.suspicious} file: static is heard", self.number
            )
        first = self._playout.received
        lost = self._playout.receive(media.data, now)
        end = self._playout.received
        leg.log.received.append(Received(self.number, first, end, now / SAMPLES_PER_MS, arrived))
        if lost:
            self._discard([(end - lost, end)], now, "overflow")
            leg.warn(31931, "audio discarded due to buffer overflow in the WebSocket downstream", self.number)

    def _clear(self, now: int, arrived: float) -> None:
        ranges, marks = self._playout.clear(now)
        at_ms = now / SAMPLES_PER_MS
        self._discard(ranges, now, "clear")
        playout = self._playout
        cleared = Cleared(self.number, at_ms, arrived, playout.received, playout.played, tuple(marks))
        self._leg.log.clears.append(cleared)
        unheard_ms = sum(end - first for first, end in ranges) / SAMPLES_PER_MS
        self._leg.tell("clear", stream=self.number, unheard_ms=unheard_ms, marks=len(marks))

    def _discard(self, ranges: list[tuple[int, int]], now: int, why: Literal["clear", "overflow", "stop"]) -> None:
        for first, end in ranges:
            self._leg.log.discarded.append(Discarded(self.number, first, end, now / SAMPLES_PER_MS, why))

    # ---- Playing ----------------------------------------------------------------------------------------------------

    def advance(self, to: int) -> None:
        """Let the buffered audio be heard up to this sample of the carrier's clock."""
        self._playout.advance(to)

    def heard(self, data: memoryview, first: int, at: int) -> None:
        self._leg.log.add_played(self.number, first, first + len(data), at / SAMPLES_PER_MS)
        self._leg.hear(data, at)

    def mark_reached(self, name: str, position: int, at: int, *, played: bool) -> None:
        leg = self._leg
        at_ms = at / SAMPLES_PER_MS
        leg.log.marks.append(MarkReached(self.number, name, position, at_ms, played))
        leg.tell("mark", stream=self.number, name=name, played=played)
        marks = self._behaviour.marks
        if marks.mode == "never" or not self._live:
            return
        due = leg.clock.monotonic(at)
        for _ in range(2 if marks.mode == "doubled" else 1):
            if marks.mode == "late":
                asyncio.get_running_loop().call_later(marks.late_ms / 1000, self._echo, name, None)
            else:
                self._echo(name, due)

    def _echo(self, name: str, at: float | None) -> None:
        if self._live:
            self._post(wire.mark(self._next(), self.stream_sid, name), at)

    def _arm(self) -> None:
        """Ring at the next mark, so that it goes out at its own time and not with the next frame."""
        if self._mark_timer:
            self._mark_timer.cancel()
            self._mark_timer = None
        due = self._playout.next_mark()
        if due is not None and self._live:
            delay = max(0.0, self._leg.clock.monotonic(due) - time.monotonic())
            self._mark_timer = asyncio.get_running_loop().call_later(delay, self._ring, due)

    def _ring(self, due: int) -> None:
        self._mark_timer = None
        self._playout.advance(max(due, min(self._leg.clock.samples(), due + FRAME)))
        self._arm()
