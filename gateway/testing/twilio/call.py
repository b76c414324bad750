"""One call, from the carrier's end: its line, its phone, its streams, and what is known and said about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal, TypeAlias

import anyio

from gateway.testing.twilio.behaviour import Behaviour, DialOutcome, Truth
from gateway.testing.twilio.clock import CarrierClock
from gateway.testing.twilio.log import CallLog, Warned
from gateway.testing.twilio.network import new_sid
from gateway.testing.twilio.phone import SAMPLES_PER_MS, Ear, Mouth
from gateway.testing.twilio.sound import FRAME, key_tone
from gateway.testing.twilio.stream import MediaStream

Status: TypeAlias = Literal["queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"]
LIVE = {"queued", "ringing", "in-progress"}
KEY_MS = 120

Observer: TypeAlias = Callable[["PhoneCall", str, dict[str, Any]], None]
"""Is told live what happens: the call, what it is, and details."""


class CallOverError(Exception):
    """The call ended before what was waited for."""


class PhoneCall:
    """One call: what a caller, a test and the carrier's own parts see of it.

    Attributes:
        sid, account_sid, caller, called, direction, status: as in the webhooks.
        log: the truth, see :class:`CallLog`.
        truth: the hidden delays that were drawn for it.
        mouth, ear: the caller's phone; ``ear.heard`` is what the caller heard.
        stream: the media stream that is connected now.
        fields: more fields of its webhooks: ``SipHeader_X-Customer``, what a ``client:`` call brings.
        dials: what becomes of ``<Dial>``, by number, address or name; ``"*"`` for any other.
        ended_by: who ended it: ``caller``, ``api``, ``twiml``, ``error``; empty while it lives.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        caller: str,
        called: str,
        behaviour: Behaviour,
        random: Random,
        observer: Observer | None = None,
        alert: Callable[[int, str, str, str], None] | None = None,
    ) -> None:
        self.sid = new_sid("CA")
        self.account_sid = account_sid
        self.caller = caller
        self.called = called
        self.direction = "inbound"
        self.status: Status = "ringing"
        self.behaviour = behaviour
        self.random = random
        self.truth: Truth = behaviour.draw(random)
        self.clock = CarrierClock(self.truth.drift_ppm)
        self.log = CallLog()
        self.mouth = Mouth()
        self.ear = Ear()
        self.stream: MediaStream | None = None
        self.streams: list[MediaStream] = []
        self.dials: dict[str, DialOutcome] = {}
        self.fields: dict[str, str] = {}
        self.ended_by = ""
        self.created = datetime.now(UTC)
        self.answered_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.over = asyncio.Event()
        """Set when nothing more happens: the line is dead, and the last callback was delivered."""
        self._observer = observer
        self._alert = alert
        self._warned: set[tuple[int, int]] = set()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Event]] = []
        self._interrupt: Callable[[], None] = lambda: None
        self._queue_left = asyncio.Event()
        self._queue_result = "leave"

    # ---- What it is -------------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.status not in LIVE

    @property
    def now_ms(self) -> float:
        """Milliseconds on the carrier's clock since the call was answered; 0 before."""
        return self.clock.samples() / SAMPLES_PER_MS if self.answered_at else 0.0

    @property
    def duration(self) -> int:
        """Whole seconds from answer to end, as it is billed."""
        if self.answered_at is None:
            return 0
        return round(((self.ended_at or datetime.now(UTC)) - self.answered_at).total_seconds())

    def parameters(self) -> dict[str, str]:
        """Return the fields of every webhook ("TwiML Voice: Twilio's Request"); unknown places are blank."""
        places = {
            f"{whose}{what}": ""
            for whose in ("From", "To", "Caller", "Called")
            for what in ("City", "State", "Zip", "Country")
        }
        return places | {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.sid,
            "CallStatus": self.status,
            "Called": self.called,
            "Caller": self.caller,
            "Direction": self.direction,
            "From": self.caller,
            "To": self.called,
            **self.fields,
        }

    # ---- What the caller does ---------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Press a key: a ``dtmf`` message, and with ``tones_leak`` its tones in the audio."""
        self.log.digits.append((key, self.now_ms))
        if self.behaviour.tones_leak:
            self.mouth.say(key_tone(key, KEY_MS))
        if self.stream is not None:
            self.stream.press(key)
        self.tell("key", key=key)

    def hang_up(self) -> None:
        """The caller hangs up."""
        self.end("caller", "completed" if self.answered_at else "no-answer")

    def break_stream(self) -> None:
        """Lose the stream's connection without a word; the call lives on."""
        if self.stream is not None:
            self.stream.break_off()

    def leave_queue(self, result: str = "leave") -> None:
        """End the waiting of ``<Enqueue>`` with this QueueResult."""
        self._queue_result = result
        self._queue_left.set()

    async def queue_left(self) -> str:
        await self._queue_left.wait()
        self._queue_left.clear()
        return self._queue_result

    async def until(self, condition: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
        """Wait until something is so, looked at every 20 ms.

        Raises:
            CallOverError: the call ended before.
            TimeoutError: it did not become so in ``timeout`` seconds.
        """
        if condition():
            return
        happened = asyncio.Event()
        entry = (condition, happened)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(timeout):
                await happened.wait()
        except TimeoutError as error:
            raise TimeoutError(f"{what}: not within {timeout} s ({self._situation()})") from error
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
        if not condition():
            raise CallOverError(f"{what}: the call ended before ({self._situation()})")

    def _situation(self) -> str:
        codes = ", ".join(map(str, self.log.codes())) or "none"
        return (
            f"call {self.status}, at {self.now_ms:.0f} ms, verbs: {' '.join(self.log.verb_names()) or 'none'}, "
            f"error codes: {codes}"
        )

    # ---- Its life ---------------------------------------------------------------------------------------------------

    def answer(self) -> None:
        """The call is answered: its clock starts, and from now on 20 ms go each way every 20 ms."""
        self.answered_at = datetime.now(UTC)
        self.clock = CarrierClock(self.truth.drift_ppm)
        self.status = "in-progress"
        self.tell("answered")

    def end(self, by: str, status: Status = "completed") -> None:
        """End the call, once; what is being followed is broken off."""
        if self.is_over:
            return
        self.status = status
        self.ended_by = by
        self.ended_at = datetime.now(UTC)
        if self.answered_at:
            self.ear.cut(self.clock.samples())
        self.tell("ended", by=by, status=status)
        self._look()
        self._interrupt()

    def on_interrupt(self, interrupt: Callable[[], None]) -> None:
        """Have this called when the call ends, so that whatever is followed stops."""
        self._interrupt = interrupt

    async def tick(self) -> None:
        """Move sound both ways, 20 ms at a time on the carrier's true clock, until the call is over."""
        due = 0
        while True:
            due += FRAME
            pause = self.clock.monotonic(due) - time.monotonic()
            if pause > 0:
                await anyio.sleep(pause)
            if self.is_over:
                return
            frame = self.mouth.take()
            if self.stream is not None:
                self.stream.advance(due)
                self.stream.send_frame(frame, due)
            self.ear.advance(due)
            self._look()

    def _look(self) -> None:
        for entry in tuple(self._waiting):
            if self.is_over or entry[0]():
                self._waiting.remove(entry)
                entry[1].set()

    # ---- Leg: what its streams need ---------------------------------------------------------------------------------

    def hear(self, data: memoryview, at: int) -> None:
        self.ear.hear(data, at)

    def warn(self, code: int, message: str, stream: int = 0) -> None:
        if (code, stream) not in self._warned:
            self._warned.add((code, stream))
            self.log.warnings.append(Warned(code, message, self.now_ms, stream))
            self._report(code, "warning", message)

    def fail(self, code: int, message: str, stream: int = 0) -> None:
        self.log.errors.append(Warned(code, message, self.now_ms, stream))
        self._report(code, "error", message)

    def _report(self, code: int, level: str, message: str) -> None:
        if self._alert is not None:
            self._alert(code, level, message, self.sid)
        self.tell(level, code=code, message=message)

    def tell(self, kind: str, **details: object) -> None:
        if self._observer is not None:
            self._observer(self, kind, details)
