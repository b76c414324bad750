"""One session of the protocol: what a client sends, and what happens then."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

import structlog

from gateway.local import protocol
from gateway.local.brain.turn import Brain, Line, Question
from gateway.local.conversation import Content, Conversation, Item, from_client
from gateway.local.engine import Engine
from gateway.local.hearing import Hearing, Segment
from gateway.local.options import SessionOptions
from gateway.local.protocol import ClientError, Json
from gateway.local.responding import Order, Parts, Response
from gateway.local.sound import RATE, WIRE_RATE, decoder, encode, nothing, resample
from gateway.local.vad import Heard

_LIFETIME_S = 3600
_LEAST_COMMIT_MS = 100
_GUESS_S = 20.0

log = structlog.get_logger()


@dataclass(slots=True)
class _Turn:
    """What the caller said in one item, once it is recognized."""

    item: Item
    text: asyncio.Task[None]


def new_id(prefix: str) -> str:
    """Make an id that nobody else has, in the shape of the API's."""
    return f"{prefix}_{uuid.uuid4().hex[:24]}"


class Session:
    """The state of one connection.

    Args:
        engine: the speech parts, shared by all sessions.
        brain: what answers.
        tasks: owns everything that the session starts.
        send: takes one server event; must not block.
        model: the name that the client asked for.
        pace: how many times faster than real time the answers' audio is sent.
    """

    def __init__(
        self,
        engine: Engine,
        brain: Brain,
        tasks: asyncio.TaskGroup,
        send: Callable[[Json], None],
        *,
        model: str,
        pace: float,
    ) -> None:
        self.id = new_id("sess")
        self._send = send
        self._tasks = tasks
        self._engine = engine
        self._options = SessionOptions(self.id, model, int(time.time()) + _LIFETIME_S)
        self._conversation = Conversation(new_id("conv"))
        self._hearing = Hearing(engine, tasks, self._on_heard)
        self._parts = Parts(engine, brain, self._conversation, self._emit, new_id, pace)
        self._turn_item = ""
        self._turns: list[_Turn] = []
        self._active: Response | None = None
        self._running: dict[str, tuple[Response, asyncio.Task[None]]] = {}
        self._idle: asyncio.TimerHandle | None = None
        self._spoken = False
        self._hearing.configure(self._options.input_format, self._options.turns)

    def open(self) -> None:
        """Greet the client as the API does."""
        self._emit("session.created", {"session": self._options.view()})

    def close(self) -> None:
        """Stop everything that still runs."""
        self._stop_idle()
        for _, task in list(self._running.values()):
            task.cancel()
        for turn in self._turns:
            turn.text.cancel()
        self._hearing.clear()

    async def receive(self, raw: str | bytes) -> None:
        """Do what one client event says; what is wrong with it becomes an ``error`` event."""
        try:
            await self._do(protocol.parse(raw))
        except ClientError as error:
            self._emit(
                "error",
                {
                    "error": {
                        "type": "invalid_request_error",
                        "code": error.code,
                        "message": str(error),
                        "param": error.param,
                        "event_id": protocol.event_id_of(raw),
                    }
                },
            )

    async def _do(self, event: protocol.ClientEvent) -> None:
        match event:
            case protocol.AppendAudio():
                await self._append(event.audio)
            case protocol.UpdateSession():
                self._options.update(event.session, spoken=self._spoken)
                self._hearing.configure(self._options.input_format, self._options.turns)
                self._emit("session.updated", {"session": self._options.view()})
            case protocol.CommitAudio():
                self._commit()
            case protocol.ClearAudio():
                self._hearing.clear()
                self._emit("input_audio_buffer.cleared", {})
            case protocol.CreateItem():
                self._create_item(event)
            case protocol.DeleteItem():
                self._conversation.delete(event.item_id)
                self._emit("conversation.item.deleted", {"item_id": event.item_id})
            case protocol.RetrieveItem():
                item = self._conversation.get(event.item_id, "retrieve")
                self._emit("conversation.item.retrieved", {"item": item.view(with_audio=True)})
            case protocol.TruncateItem():
                self._truncate(event)
            case protocol.CreateResponse():
                self._create_response(event.response)
            case protocol.CancelResponse():
                self._cancel(event.response_id)
            case protocol.ClearOutput():
                raise ClientError(
                    "output_audio_buffer.clear is only for WebRTC and SIP sessions.", "invalid_value", "type"
                )
            case _:
                assert_never(event)

    async def _append(self, audio: str) -> None:
        try:
            payload = base64.b64decode(audio, validate=True)
        except binascii.Error:
            raise ClientError(
                "Invalid 'audio'. Expected base64-encoded audio bytes.", "invalid_value", "audio"
            ) from None
        await self._hearing.append(payload)

    def _on_heard(self, heard: Heard) -> None:
        rules = self._options.turns
        if rules is None:
            return
        if heard is Heard.STARTED:
            self._stop_idle()
            self._turn_item = new_id("item")
            self._emit(
                "input_audio_buffer.speech_started",
                {"audio_start_ms": self._hearing.start_ms, "item_id": self._turn_item},
            )
            if rules.interrupt_response and self._active is not None:
                self._end(self._active, "turn_detected")
            return
        end_ms = self._hearing.position_ms
        self._emit("input_audio_buffer.speech_stopped", {"audio_end_ms": end_ms, "item_id": self._turn_item})
        self._add_turn(self._hearing.take(end_ms), self._turn_item)
        if rules.create_response:
            self._respond_by_itself()

    def _commit(self) -> None:
        buffered = self._hearing.buffered_ms()
        if buffered < _LEAST_COMMIT_MS:
            raise ClientError(
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer"
                f" only has {buffered:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
            )
        item_id = self._turn_item if self._hearing.speaking else new_id("item")
        self._add_turn(self._hearing.take(), item_id)

    def _add_turn(self, segment: Segment, item_id: str) -> None:
        item = Item(item_id, "message", role="user")
        wire = self._options.input_format
        item.content = [Content("input_audio", wire=wire, audio=bytearray(_wire_bytes(segment, self._options)))]
        previous = self._conversation.add(item)
        self._emit("input_audio_buffer.committed", {"item_id": item_id, "previous_item_id": previous})
        self._emit("conversation.item.added", {"previous_item_id": previous, "item": item.view()})
        self._emit("conversation.item.done", {"previous_item_id": previous, "item": item.view()})
        text = self._tasks.create_task(self._transcribe(item, segment))
        self._turns = [turn for turn in self._turns if not turn.text.done()]
        self._turns.append(_Turn(item, text))

    async def _transcribe(self, item: Item, segment: Segment) -> None:
        at = {"item_id": item.id, "content_index": 0}
        name = "conversation.item.input_audio_transcription"
        try:
            async with asyncio.timeout(_GUESS_S):
                text = await (segment.guess or self._engine.recognize(segment.samples))
        except TimeoutError:
            error = {"type": "server_error", "code": "timeout", "message": "Recognition took too long."}
            self._emit(f"{name}.failed", {**at, "error": error})
            return
        item.content[0].text = text
        if not self._options.transcribes:
            return
        for index, word in enumerate(text.split()):
            self._emit(f"{name}.delta", {**at, "delta": word if index == 0 else f" {word}"})
        usage = {"type": "duration", "seconds": round(segment.duration_ms / 1000, 3)}
        self._emit(f"{name}.completed", {**at, "transcript": text, "usage": usage})

    def _create_item(self, event: protocol.CreateItem) -> None:
        wanted = event.item
        if wanted.id is not None and not wanted.id:
            raise ClientError("Invalid 'item.id': empty string.", "invalid_value", "item.id")
        if isinstance(wanted, protocol.FunctionCallOutput) and not any(
            item.kind == "function_call" and item.call_id == wanted.call_id for item in self._conversation.items
        ):
            raise ClientError(
                f"Tool call ID '{wanted.call_id}' not found in conversation.", "invalid_tool_call_id", "item.call_id"
            )
        item = from_client(wanted, wanted.id or new_id("item"), self._options.input_format)
        previous = self._conversation.add(item, event.previous_item_id)
        self._emit("conversation.item.added", {"previous_item_id": previous, "item": item.view()})
        self._emit("conversation.item.done", {"previous_item_id": previous, "item": item.view()})
        if item.role == "user" and any(part.audio and not part.text for part in item.content):
            self._turns.append(_Turn(item, self._tasks.create_task(self._read_audio(item))))

    async def _read_audio(self, item: Item) -> None:
        """Recognize audio that came inside a created item."""
        for part in item.content:
            if part.audio and not part.text:
                part.text = await self._engine.recognize(decoder(part.wire)(bytes(part.audio)))

    def _truncate(self, event: protocol.TruncateItem) -> None:
        self._conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        self._emit(
            "conversation.item.truncated",
            {"item_id": event.item_id, "content_index": event.content_index, "audio_end_ms": event.audio_end_ms},
        )

    def _respond_by_itself(self) -> None:
        """Answer a turn of the caller; an answer that still runs, because it may not be interrupted, comes first."""
        try:
            self._create_response(None)
        except ClientError as error:
            self._emit(
                "error",
                {"error": {"type": "invalid_request_error", "code": error.code, "message": str(error), "param": None}},
            )

    def _create_response(self, params: protocol.ResponseParams | None) -> None:
        params = params or protocol.ResponseParams()
        in_conversation = params.conversation != "none"
        if in_conversation and self._active is not None:
            raise ClientError(
                f"Conversation already has an active response in progress: {self._active.id}. Wait until the response"
                " is finished before creating a new one.",
                "conversation_already_has_active_response",
            )
        self._stop_idle()
        response = Response(new_id("resp"), self._parts, self._order(params, in_conversation=in_conversation))
        if in_conversation:
            self._active = response
        task = self._tasks.create_task(self._answer(response, params))
        self._running[response.id] = (response, task)

    def _order(self, params: protocol.ResponseParams, *, in_conversation: bool) -> Order:
        limit = params.max_output_tokens or self._options.state["max_output_tokens"]
        modality: str = params.output_modalities[0] if params.output_modalities else self._options.modality
        output = self._options.state["audio"]["output"]
        view: Json = {
            "max_output_tokens": limit,
            "metadata": params.metadata,
            "audio": {"output": {"format": output["format"], "voice": self._options.manner.voice}},
        }
        return Order(modality, self._options.manner, limit if isinstance(limit, int) else None, in_conversation, view)

    async def _answer(self, response: Response, params: protocol.ResponseParams) -> None:
        try:
            await response.run(lambda: self._question(params))
        finally:
            self._running.pop(response.id, None)
            if self._active is response:
                self._active = None
        if response.audio_ms:
            self._spoken = True
        if response.order.in_conversation and response.status == "completed":
            self._start_idle(response)

    async def _question(self, params: protocol.ResponseParams) -> Question:
        for turn in list(self._turns):
            await asyncio.wait([turn.text])
        tools = self._options.tools
        if params.tools is not None:
            tools = [
                {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
                for tool in params.tools
            ]
        choice: Any = params.tool_choice or self._options.state["tool_choice"]
        return Question(
            instructions=self._options.instructions,
            directive=params.instructions or "",
            tools=tuple(tools),
            tool_choice=choice if isinstance(choice, str) else str(choice.get("name", "auto")),
            lines=tuple(self._lines(params)),
            today=datetime.now(UTC).astimezone().date(),
        )

    def _lines(self, params: protocol.ResponseParams) -> list[Line]:
        if params.input is None:
            return self._conversation.lines()
        lines: list[Line] = []
        for wanted in params.input:
            if isinstance(wanted, protocol.ItemReference):
                lines.append(self._conversation.get(wanted.id, "retrieve").line())
            else:
                lines.append(from_client(wanted, "", self._options.input_format).line())
        return lines

    def _cancel(self, response_id: str | None) -> None:
        response = self._active
        if response_id is not None:
            response = self._running[response_id][0] if response_id in self._running else None
        if response is None:
            raise ClientError("Cancellation failed: no active response found", "response_cancel_not_active")
        self._end(response, "client_cancelled")

    def _end(self, response: Response, reason: str) -> None:
        if response.audio_ms:
            self._spoken = True
        response.finish("cancelled", reason=reason)
        if response.id in self._running:
            self._running.pop(response.id)[1].cancel()
        if self._active is response:
            self._active = None

    def _start_idle(self, response: Response) -> None:
        rules = self._options.turns
        if rules is None or rules.idle_ms is None or self._hearing.speaking:
            return
        loop = asyncio.get_running_loop()
        playing_s = 0.0 if response.began is None else response.began + response.audio_ms / 1000 - loop.time()
        delay = max(playing_s, 0.0) + rules.idle_ms / 1000
        self._stop_idle()
        self._idle = loop.call_later(delay, self._idle_over, rules.idle_ms)

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _idle_over(self, idle_ms: float) -> None:
        """Go on by ourselves after a long silence, as ``idle_timeout_ms`` asks: the silence becomes an item."""
        if self._hearing.speaking or self._active is not None:
            return
        end_ms = self._hearing.written_ms
        start_ms = max(end_ms - idle_ms, 0.0)
        item_id = new_id("item")
        self._emit(
            "input_audio_buffer.timeout_triggered",
            {"audio_start_ms": int(start_ms), "audio_end_ms": int(end_ms), "item_id": item_id},
        )
        self._hearing.clear()
        self._add_turn(Segment(nothing(), start_ms, end_ms), item_id)
        self._respond_by_itself()

    def _emit(self, event_type: str, fields: Json) -> None:
        self._send({"type": event_type, "event_id": new_id("event"), **fields})


def _wire_bytes(segment: Segment, options: SessionOptions) -> bytes:
    """Give the caller's audio back in the format in which it came (24 kHz is made of 8 kHz again)."""
    wire = options.input_format
    return encode(resample(segment.samples, RATE, WIRE_RATE[wire]), wire)
