"""One connection to the scripted model: what it was asked, what it says, and what it remembers."""

from __future__ import annotations

import asyncio
import random
import string
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import msgspec
from websockets.asyncio.server import ServerConnection

from gateway.testing.model.answer import Answer, Asked, Cause
from gateway.testing.model.client_events import handle
from gateway.testing.model.config import bytes_per_ms, default_session
from gateway.testing.model.ears import Ears
from gateway.testing.model.faults import MID_ANSWER, Fault, Faults
from gateway.testing.model.frames import encode_frame
from gateway.testing.model.link import Link, Message
from gateway.testing.model.memory import JSON, Item, Memory
from gateway.testing.model.refusal import Refusal
from gateway.testing.model.script import Turn, say
from gateway.testing.model.strikes import strike
from gateway.testing.model.timing import Timing

Brain: TypeAlias = Callable[["ModelSession", Asked], Awaitable[Turn]]
Script: TypeAlias = Sequence[Turn] | Brain

DELTAS_BEFORE_STRIKE = 2
EXPIRES_AT = 2_000_000_000
_BASE62 = string.ascii_letters + string.digits


class ModelSession:
    """What a test sees of one connection; ``number`` counts the connections of its model from 0."""

    def __init__(
        self,
        connection: ServerConnection,
        number: int,
        script: Script,
        *,
        seed: int,
        faults: Faults,
        timing: Timing,
        record: bool = True,
    ) -> None:
        request = connection.request
        assert request is not None  # noqa: S101 - the handshake is over
        self.number = number
        self.path = urlsplit(request.path).path
        self.query: dict[str, list[str]] = parse_qs(urlsplit(request.path).query)
        self.headers: Mapping[str, str] = request.headers
        self.link = Link(connection, record=record)
        self.appended = bytearray()
        """The caller's audio, in the order of its arrival."""
        self.appended_bytes = 0
        self.faults = faults
        self.timing = timing
        self.script: deque[Turn] | Brain = script if callable(script) else deque(script)
        self.otherwise: Turn | None = None
        self.answers: list[Answer] = []
        self.next_frame = 0
        self.has_spoken = False
        self._asked = 0
        self._events = 0
        self._random = random.Random(f"{seed}:{number}")  # noqa: S311 - deterministic on purpose
        self._tasks: anyio.abc.TaskGroup = anyio.create_task_group()
        self.id = self.new_id("sess")
        self.conversation_id = self.new_id("conv")
        model = self.query.get("model", ["gpt-realtime"])[0]
        self.config: JSON = default_session(self.id, model, EXPIRES_AT)
        self.memory = Memory()
        self.ears = Ears(self)
        self.ears.reconfigure()

    # ---- What a test asks --------------------------------------------------------------------------------------------

    @property
    def received(self) -> list[Message]:
        """What the client has sent, with the times."""
        return self.link.received.messages

    @property
    def sent(self) -> list[Message]:
        """What the model has sent, with the times."""
        return self.link.sent.messages

    @property
    def closed(self) -> asyncio.Event:
        """Set once the connection is gone."""
        return self.link.closed

    @property
    def close_code(self) -> int | None:
        """How the connection was closed (RFC 6455), or None as long as it is open."""
        return self.link.connection.close_code

    @property
    def items(self) -> list[Item]:
        """What the model remembers, in order."""
        return self.memory.items

    def remembered(self) -> list[tuple[str, str]]:
        """Give what the model remembers as (role or type, text); what was truncated or deleted is not in it."""
        return [(item.role or item.type, item.text) for item in self.items]

    def events(self, kind: str) -> list[JSON]:
        """Give the events of type ``kind`` that the client has sent."""
        return list(self.link.received.events(kind))

    def sent_events(self, kind: str) -> list[JSON]:
        """Give the events of type ``kind`` that the model has sent."""
        return list(self.link.sent.events(kind))

    async def wait_for(self, kind: str, count: int = 1, timeout: float = 10) -> JSON:
        """Wait until the client has sent ``count`` events of type ``kind``, and give the last of these."""
        return await self.link.find(self.link.received, kind, count, timeout)

    async def wait_for_sent(self, kind: str, count: int = 1, timeout: float = 10) -> JSON:
        """Wait until the model has sent ``count`` events of type ``kind``, and give the last of these."""
        return await self.link.find(self.link.sent, kind, count, timeout)

    # ---- What a test does --------------------------------------------------------------------------------------------

    async def speech_started(self, audio_start_ms: int | None = None) -> None:
        """Notice that the caller speaks, whatever the audio says."""
        self.ears.start(audio_start_ms)
        await self.flush()

    async def speech_stopped(self, audio_end_ms: int | None = None, transcript: str | None = None) -> None:
        """Notice that the caller has said ``transcript``, and answer it where the session is so configured."""
        if transcript is not None:
            self.ears.transcripts.append(transcript)
        self.ears.stop(audio_end_ms)
        await self.flush()

    async def idle_timeout(self) -> None:
        """Let the idle timeout strike now."""
        self.ears.time_out()
        await self.flush()

    async def respond(self, turn: Turn | None = None) -> Answer | None:
        """Begin a response of the server's own accord: ``turn``, or the next of the script."""
        answer = self.answer("test", turn=turn)
        await self.flush()
        return answer

    async def strike(self, fault: Fault) -> None:
        """Do what one of the faults of a connection does, now."""
        await strike(self, fault)
        await self.flush()

    async def flush(self) -> None:
        """Wait until everything that was sent so far has been written to the socket."""
        await self.link.flush()

    # ---- The conversation --------------------------------------------------------------------------------------------

    @property
    def active(self) -> Answer | None:
        """The response that is being given in the default conversation."""
        return next((each for each in self.answers if not each.over and each.in_conversation), None)

    def answer(
        self, cause: Cause, response: Mapping[str, Any] | None = None, *, turn: Turn | None = None
    ) -> Answer | None:
        """Begin a response; None, and an error event, while another is being given in the default conversation."""
        asked = Asked(self._asked + 1, cause, response or {})
        active = self.active
        if active is not None and asked.response.get("conversation", "auto") != "none":
            refusal = Refusal(
                f"Conversation already has an active response in progress: {active.id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
            if cause == "client":
                raise refusal
            self.send_error(refusal, None)
            return None
        self._asked += 1
        self.ears.stop_idling()
        answer = Answer(self, asked, turn)
        self.answers.append(answer)
        answer.begin()
        self._tasks.start_soon(answer.run)
        return answer

    def interrupt(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """Cancel the response that is being given, if any."""
        if self.active is not None:
            self.active.cancel(reason)

    async def next_turn(self, asked: Asked) -> Turn:
        """Give the next turn of the script, or ``otherwise`` when it is used up."""
        if not isinstance(self.script, deque):
            return await self.script(self, asked)
        if self.script:
            return self.script.popleft()
        return self.otherwise or say(f"This is answer number {asked.number}.", 2.0)

    def answer_ended(self, answer: Answer) -> None:
        """Take note that a response is over; the idle timeout runs from the end of its playing."""
        if answer.in_conversation:
            self.ears.idle_from(answer.seconds_unplayed())

    def item_added(self, item: Item, previous_item_id: str | None) -> None:
        """Tell that an item that did not come from a response is in the conversation."""
        for kind in ("conversation.item.added", "conversation.item.done"):
            self.send(kind, previous_item_id=previous_item_id, item=item.wire())

    # ---- Audio -------------------------------------------------------------------------------------------------------

    @property
    def output_bytes_per_ms(self) -> int:
        """Give the bytes of a millisecond of the model's voice."""
        return bytes_per_ms(self.config["audio"]["output"]["format"])

    def make_frames(self, count: int) -> bytes:
        """Make the next ``count`` numbered frames of this session, tagged with its number."""
        first, self.next_frame = self.next_frame, self.next_frame + count
        return b"".join(encode_frame(seq, self.number) for seq in range(first, self.next_frame))

    def odd_length(self) -> int:
        """Draw a length that is a multiple of neither 3 nor 160."""
        length = self._random.randrange(1, 2000)
        while length % 3 == 0 or length % 160 == 0:
            length += 1
        return length

    # ---- Time, ids, and the wire -------------------------------------------------------------------------------------

    async def sleep_until(self, when: float) -> None:
        """Sleep until the event loop's clock says ``when``; at least let others run."""
        await asyncio.sleep(max(0.0, when - self.link.now()))

    def after(self, delay: float, do: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        """Do something after ``delay`` seconds, unless the connection is gone by then."""

        def still() -> None:
            if not self.closed.is_set():
                do(*arguments)

        return asyncio.get_running_loop().call_later(delay, still)

    def new_id(self, kind: str) -> str:
        """Make an id that looks like OpenAI's."""
        return f"{kind}_" + "".join(self._random.choices(_BASE62, k=21))

    def send(self, kind: str, **fields: Any) -> None:
        """Send a server event."""
        self._events += 1
        self.link.send({"type": kind, "event_id": f"event_{self.id[5:15]}{self._events:08d}", **fields})

    def send_raw(self, text: str) -> None:
        """Send text that need not be an event."""
        self.link.send_text(text)

    def send_error(self, refusal: Refusal, event_id: str | None) -> None:
        """Send an ``error`` event that names the client event it is about."""
        error = {"type": refusal.kind, "code": refusal.code, "message": refusal.message, "param": refusal.param}
        self.send("error", error={**error, "event_id": event_id})

    async def strike_mid_answer(self, deltas: int) -> None:
        """Let a fault of the connection strike, if one is on and the answer has come so far."""
        if deltas == DELTAS_BEFORE_STRIKE:
            for fault in MID_ANSWER:
                if self.faults.take(fault):
                    await strike(self, fault)

    async def run(self) -> None:
        """Serve the connection until it is closed."""
        self.send("session.created", session=self.config)
        try:
            async with self._tasks:
                self._tasks.start_soon(self.link.write)
                await self.link.read(self._receive)
                self._tasks.cancel_scope.cancel()
        finally:
            self.closed.set()
            self.ears.stop_idling()
            self.link.wake()

    def _receive(self, text: str | bytes) -> None:
        try:
            event = msgspec.json.decode(text)
        except msgspec.DecodeError:
            refusal = Refusal("We could not parse the JSON body of your message.", code="invalid_json")
            self.send_error(refusal, None)
            return
        if not isinstance(event, dict):
            self.send_error(Refusal("The message is not a JSON object.", code="invalid_event"), None)
            return
        if self.link.record:
            self.link.received.add(Message(self.link.now(), event))
        try:
            handle(self, event)
        except Refusal as refusal:
            self.send_error(refusal, event.get("event_id"))
