"""One response: what the brain answers, spoken sentence by sentence and sent in bursts, until it is done or cut."""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec
import structlog

from gateway.errors import GatewayError
from gateway.local.brain.turn import Brain, Question, Reply, ToolUse
from gateway.local.conversation import Content, Conversation, Item
from gateway.local.engine import Engine
from gateway.local.protocol import Json
from gateway.local.sound import BYTES_PER_MS
from gateway.local.speech import Manner, Speech, SpokenWord, sentences

Send: TypeAlias = Callable[[str, Json], None]
Status: TypeAlias = Literal["completed", "cancelled", "failed", "incomplete"]

_FIRST_MS = 100
_NEXT_MS = 250
_ARGUMENTS_PIECE = 16
_AUDIO_TOKEN_MS = 50
_CALLER_TOKEN_MS = 100
_CHARACTERS_PER_TOKEN = 4

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Order:
    """What one response was asked to be.

    Attributes:
        modality: ``audio`` or ``text``.
        max_tokens: output tokens at which it is cut off, or None.
        in_conversation: its items are remembered; otherwise it is out of band.
        view: fields of the response object that repeat the request.
    """

    modality: str
    manner: Manner
    max_tokens: int | None
    in_conversation: bool
    view: Json


@dataclass(frozen=True, slots=True)
class Parts:
    """What responses of one session share: the speech, the brain, the memory and the way out."""

    engine: Engine
    brain: Brain
    conversation: Conversation
    send: Send
    new_id: Callable[[str], str]
    pace: float


class Response:
    """One response of the protocol, from ``response.created`` to ``response.done``."""

    def __init__(self, response_id: str, parts: Parts, order: Order) -> None:
        self.id = response_id
        self.order = order
        self.status: Status | None = None
        self.audio_ms = 0.0
        self.began: float | None = None
        self._parts = parts
        self._items: list[Item] = []
        self._open: tuple[Item, Content | None] | None = None
        self._tokens = 0

    async def run(self, question: Callable[[], Awaitable[Question]]) -> None:
        """Answer; ends in ``response.done`` in any case, or silently when ``finish`` was called meanwhile."""
        self._emit("response.created", response=self._view())
        self._parts.send("rate_limits.updated", {"rate_limits": _RATE_LIMITS})
        try:
            reply = await self._parts.brain.reply(await question())
            await self._answer(reply)
        except GatewayError as error:
            self.finish("failed", error=str(error))
        except Exception:  # the edge of one response: it fails, the session goes on
            log.exception("response-failed", response_id=self.id)
            self.finish("failed", error="The server had an error while answering.")
        else:
            self.finish("completed")

    def finish(self, status: Status, *, reason: str | None = None, error: str | None = None) -> None:
        """Close what is open and report the end, once."""
        if self.status is not None:
            return
        if self._open is not None:
            self._close("completed" if status == "completed" else "incomplete")
        self.status = status
        details: Json | None = None
        if status != "completed":
            details = {"type": status, "reason": reason}
            if error is not None:
                details["error"] = {"type": "server_error", "code": "server_error", "message": error}
        self._emit("response.done", response=self._view(details))

    async def _answer(self, reply: Reply) -> None:
        if reply.text:
            await self._message(reply)
        for call in reply.calls:
            if self.status is None:
                await self._call(call)

    async def _message(self, reply: Reply) -> None:
        item = Item(self._parts.new_id("item"), "message", role="assistant", status="in_progress", note=reply.note)
        spoken = self.order.modality == "audio"
        part = Content(type="output_audio" if spoken else "output_text", text="", wire=self.order.manner.wire)
        self._add(item, part)
        item.content.append(part)
        self._emit("response.content_part.added", **self._at(item), content_index=0, part=_event_part(part))
        pieces = sentences(reply.text)
        if spoken:
            await self._speak(item, part, pieces)
        else:
            for piece in pieces:
                self._write(item, part, piece)
        if self.status is None:
            self._close("completed")

    async def _speak(self, item: Item, part: Content, pieces: list[str]) -> None:
        """Say the sentences; while one is being sent, the next one is made."""
        say, manner = self._parts.engine.say, self.order.manner
        upcoming = [say(piece, manner) for piece in pieces[:1]]
        for index in range(len(pieces)):
            speech = await upcoming.pop()
            upcoming = [say(piece, manner) for piece in pieces[index + 1 : index + 2]]
            await self._send_speech(item, part, speech)
            if self.status is not None:
                return

    def _write(self, item: Item, part: Content, sentence: str) -> None:
        delta = f" {sentence}" if part.text else sentence
        part.text = (part.text or "") + delta
        self._emit("response.output_text.delta", **self._at(item), content_index=0, delta=delta)
        self._spend(_text_tokens(delta))

    async def _send_speech(self, item: Item, part: Content, speech: Speech) -> None:
        if self.began is None:
            self.began = asyncio.get_running_loop().time()
        base_ms, sent_ms, words = self.audio_ms, 0.0, list(speech.words)
        self.audio_ms += speech.duration_ms
        while sent_ms < speech.duration_ms and self.status is None:
            step_ms = min(_NEXT_MS if base_ms + sent_ms else _FIRST_MS, speech.duration_ms - sent_ms)
            # A word's text leaves with the burst in which it begins, so that text and sound arrive side by side.
            while words and words[0].start_ms < sent_ms + step_ms:
                self._hand_over(item, part, words.pop(0), base_ms)
            self._burst(item, part, speech, sent_ms, step_ms)
            sent_ms += step_ms
            self._spend(math.ceil(step_ms / _AUDIO_TOKEN_MS))
            await asyncio.sleep(step_ms / 1000 / self._parts.pace)
        for word in words:
            self._hand_over(item, part, word, base_ms)

    def _hand_over(self, item: Item, part: Content, word: SpokenWord, base_ms: float) -> None:
        if self.status is not None or part.cut:
            return
        text = f" {word.text}" if part.text and not word.text.startswith(" ") else word.text
        part.text = (part.text or "") + text
        part.words.append(SpokenWord(text, base_ms + word.start_ms, base_ms + word.end_ms))
        self._emit("response.output_audio_transcript.delta", **self._at(item), content_index=0, delta=text)

    def _burst(self, item: Item, part: Content, speech: Speech, from_ms: float, step_ms: float) -> None:
        per_ms = BYTES_PER_MS[part.wire]
        width = 2 if part.wire == "audio/pcm" else 1
        begin, end = (round(ms * per_ms / width) * width for ms in (from_ms, from_ms + step_ms))
        payload = speech.payload[begin:end]
        if not part.cut:
            part.audio += payload
        delta = base64.b64encode(payload).decode()
        self._emit("response.output_audio.delta", **self._at(item), content_index=0, delta=delta)

    async def _call(self, call: ToolUse) -> None:
        arguments = msgspec.json.encode(call.arguments).decode()
        item = Item(
            self._parts.new_id("item"),
            "function_call",
            status="in_progress",
            name=call.name,
            call_id=self._parts.new_id("call"),
        )
        self._add(item, None)
        for start in range(0, len(arguments), _ARGUMENTS_PIECE):
            piece = arguments[start : start + _ARGUMENTS_PIECE]
            item.arguments += piece
            self._emit("response.function_call_arguments.delta", **self._at(item), call_id=item.call_id, delta=piece)
        self._spend(_text_tokens(arguments))
        if self.status is None:
            self._close("completed")
        await asyncio.sleep(0)

    def _add(self, item: Item, part: Content | None) -> None:
        self._open = (item, part)
        self._items.append(item)
        self._emit("response.output_item.added", output_index=len(self._items) - 1, item=item.view())
        if self.order.in_conversation:
            previous = self._parts.conversation.add(item)
            self._parts.send("conversation.item.added", {"previous_item_id": previous, "item": item.view()})

    def _close(self, status: str) -> None:
        if self._open is None:
            return
        (item, part), self._open = self._open, None
        item.status = status
        if part is not None:
            if part.type == "output_audio":
                self._emit("response.output_audio.done", **self._at(item), content_index=0)
                self._emit(
                    "response.output_audio_transcript.done",
                    **self._at(item),
                    content_index=0,
                    transcript=part.text or "",
                )
            else:
                self._emit("response.output_text.done", **self._at(item), content_index=0, text=part.text or "")
            self._emit("response.content_part.done", **self._at(item), content_index=0, part=_event_part(part))
        elif item.kind == "function_call":
            self._emit(
                "response.function_call_arguments.done",
                **self._at(item),
                call_id=item.call_id,
                name=item.name,
                arguments=item.arguments,
            )
        if self.order.in_conversation and self._parts.conversation.find(item.id) is item:
            previous = self._parts.conversation.previous_of(item)
            self._parts.send("conversation.item.done", {"previous_item_id": previous, "item": item.view()})
        self._emit("response.output_item.done", output_index=self._items.index(item), item=item.view())

    def _spend(self, tokens: int) -> None:
        self._tokens += tokens
        if self.order.max_tokens is not None and self._tokens > self.order.max_tokens:
            self.finish("incomplete", reason="max_output_tokens")

    def _at(self, item: Item) -> Json:
        return {"item_id": item.id, "output_index": self._items.index(item)}

    def _emit(self, event_type: str, **fields: Any) -> None:
        if not event_type.startswith(("response.created", "response.done")):
            fields["response_id"] = self.id
        self._parts.send(event_type, fields)

    def _view(self, details: Json | None = None) -> Json:
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": self.status or "in_progress",
            "status_details": details,
            "output": [item.view() for item in self._items] if self.status else [],
            "conversation_id": self._parts.conversation.id if self.order.in_conversation else None,
            "output_modalities": [self.order.modality],
            "usage": self._usage() if self.status else None,
            **self.order.view,
        }

    def _usage(self) -> Json:
        """Count as the API does: a token is 100 ms of the caller, 50 ms of the agent, about four letters of text."""
        heard_ms = text = 0.0
        for item in self._parts.conversation.items:
            if item not in self._items:
                heard_ms += sum(part.duration_ms for part in item.content)
                text += _text_tokens(item.text + item.arguments + item.output)
        said = sum(math.ceil(part.duration_ms / _AUDIO_TOKEN_MS) for item in self._items for part in item.content)
        written = sum(_text_tokens(item.text + item.arguments) for item in self._items)
        heard = math.ceil(heard_ms / _CALLER_TOKEN_MS)
        return {
            "total_tokens": heard + int(text) + said + written,
            "input_tokens": heard + int(text),
            "output_tokens": said + written,
            "input_token_details": {
                "audio_tokens": heard,
                "text_tokens": int(text),
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"audio_tokens": 0, "text_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"audio_tokens": said, "text_tokens": written},
        }


_RATE_LIMITS = [
    {"name": "requests", "limit": 1_000_000, "remaining": 999_999, "reset_seconds": 0.0},
    {"name": "tokens", "limit": 100_000_000, "remaining": 99_999_000, "reset_seconds": 0.0},
]


def _text_tokens(text: str) -> int:
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def _event_part(part: Content) -> Json:
    if part.type == "output_audio":
        return {"type": "audio", "transcript": part.text or ""}
    return {"type": "text", "text": part.text or ""}
