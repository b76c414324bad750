"""One response of the scripted model, from response.created to response.done."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import anyio

from gateway.testing.model.faults import Fault
from gateway.testing.model.frames import FRAME_BYTES, SILENCE, mulaw_to_pcm24k
from gateway.testing.model.memory import JSON, OBFUSCATION, Content, Item
from gateway.testing.model.script import CallTool, Say, Status, Turn, call_tool, fail, incomplete

if TYPE_CHECKING:
    from gateway.testing.model.session import ModelSession

Cause: TypeAlias = Literal["speech", "client", "idle", "test"]

SENTENCES = {
    "rate_limit_exceeded": "Rate limit reached on tokens per min (TPM): Limit 40000, Used 40000. Try again in 250ms.",
    "server_error": "The server had an error while processing your request. Sorry about that!",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
}


RATE_LIMITS = [{"name": "tokens", "limit": 40_000, "remaining": 38_490, "reset_seconds": 2.265}]
"""Sent after response.done, as traces of the API show, though its reference says at the beginning."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Why a turn is wanted: the how many-th of its session, what caused it, and ``response`` of response.create."""

    number: int
    cause: Cause
    response: Mapping[str, Any]


class Answer:
    """A response that is being given. ``begin`` and ``cancel`` are synchronous, so no event can slip between."""

    def __init__(self, session: ModelSession, asked: Asked, turn: Turn | None = None) -> None:
        self.session = session
        self.asked = asked
        self._turn = turn
        self.id = session.new_id("resp")
        self.in_conversation = asked.response.get("conversation", "auto") != "none"
        self.output: list[Item] = []
        self.over = False
        self._open: Item | None = None
        self.status: Status | Literal["in_progress"] = "in_progress"
        self._scope = anyio.CancelScope()
        self._deltas = 0
        self._spoke_at: float | None = None
        self._spoken_ms = 0.0

    # ---- Its life ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Announce the response."""
        self.session.send("response.created", response=self._wire("in_progress", None))

    async def run(self) -> None:
        """Give the answer that the script has, until it is over or cancelled."""
        with self._scope:
            session = self.session
            if self.over:
                return
            turn = self._spoil(await session.next_turn(self.asked) if self._turn is None else self._turn)
            delay = session.timing.first_audio if turn.delay is None else turn.delay
            await asyncio.sleep(session.timing.slow_first_audio if self._fault(Fault.SLOW_FIRST_AUDIO) else delay)
            for part in turn.parts:
                await (self._say(part) if isinstance(part, Say) else self._call(part))
            self._end(turn.status, turn.reason)

    def cancel(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """Break off now: what was begun is closed as incomplete, then response.done says ``cancelled``."""
        if self.over:
            return
        spoke = self._open
        self._end("cancelled", reason)
        self._scope.cancel()
        if spoke is not None and spoke.content and self._fault(Fault.LATE_DELTAS):
            self._late_deltas(spoke)

    def seconds_unplayed(self) -> float:
        """Give how long its audio goes on at the ear, if it was played from the first delta on."""
        if self._spoke_at is None:
            return 0.0
        return max(0.0, self._spoken_ms / 1000 - (self.session.link.now() - self._spoke_at))

    # ---- What it sends -----------------------------------------------------------------------------------------------

    async def _say(self, part: Say) -> None:
        session = self.session
        texts = self._text_only
        content = Content("output_text" if texts else "output_audio", "", bytes_per_ms=session.output_bytes_per_ms)
        item = Item(session.new_id("item"), "message", "assistant", "in_progress", response_id=self.id)
        self._add(item)
        item.content.append(content)
        shown = {"type": "text", "text": ""} if texts else {"type": "audio", "transcript": ""}
        self._part_event("response.content_part.added", item, part=shown)
        audio = b"" if texts else self._audio(part, content)
        chunks = list(self._cut(audio)) or [b""]
        started, sent_ms = session.link.now(), 0.0
        for chunk, piece in zip(chunks, _pieces(part.text, len(chunks)), strict=True):
            await session.sleep_until(started + sent_ms / 1000 / session.timing.speed)
            self._delta(item, content, piece, chunk)
            sent_ms += len(chunk) / content.bytes_per_ms
            await session.strike_mid_answer(self._deltas)
        self._close(item, "completed")

    def _delta(self, item: Item, content: Content, piece: str, chunk: bytes) -> None:
        content.extend(piece, chunk)
        self._deltas += 1
        if content.type == "output_text":
            self._part_event("response.output_text.delta", item, delta=piece, obfuscation=OBFUSCATION)
            return
        if piece:
            kind = "response.output_audio_transcript.delta"
            self._part_event(kind, item, delta=piece, obfuscation=OBFUSCATION)
        if chunk:
            if self._spoke_at is None:
                self._spoke_at = self.session.link.now()
            self._spoken_ms += len(chunk) / content.bytes_per_ms
            self.session.has_spoken = True
            self._part_event("response.output_audio.delta", item, delta=base64.b64encode(chunk).decode())

    async def _call(self, part: CallTool) -> None:
        session = self.session
        call_id = part.call_id or session.new_id("call")
        for _ in range(2 if self._fault(Fault.DUPLICATE_CALL_IDS) else 1):
            item = Item(session.new_id("item"), "function_call", status="in_progress", response_id=self.id)
            item.name, item.call_id = part.name, call_id
            self._add(item)
            half = len(part.arguments) // 2
            for piece in filter(None, (part.arguments[:half], part.arguments[half:])):
                item.arguments += piece
                kind = "response.function_call_arguments.delta"
                self._item_event(kind, item, call_id=call_id, delta=piece, obfuscation=OBFUSCATION)
            self._close(item, "completed")
            await asyncio.sleep(0)

    def _add(self, item: Item) -> None:
        self.output.append(item)
        self._open = item
        fields = {"response_id": self.id, "output_index": len(self.output) - 1, "item": item.wire()}
        self.session.send("response.output_item.added", **fields)
        if self.in_conversation:
            previous = self.session.memory.add(item)
            self.session.send("conversation.item.added", previous_item_id=previous, item=item.wire())

    def _close(self, item: Item, status: Literal["completed", "incomplete"]) -> None:
        self._open = None
        item.status = status
        if item.type == "function_call":
            self._item_event(
                "response.function_call_arguments.done",
                item,
                call_id=item.call_id,
                name=item.name,
                arguments=item.arguments,
            )
        for part in item.content:
            text = part.text or ""
            if part.type == "output_text":
                self._part_event("response.output_text.done", item, text=text)
                self._part_event("response.content_part.done", item, part={"type": "text", "text": text})
            else:
                self._part_event("response.output_audio.done", item)
                self._part_event("response.output_audio_transcript.done", item, transcript=text)
                self._part_event("response.content_part.done", item, part={"type": "audio", "transcript": text})
        memory = self.session.memory
        if self.in_conversation and item in memory.items:
            self.session.send("conversation.item.done", previous_item_id=memory.before(item), item=item.wire())
        fields = {"response_id": self.id, "output_index": self.output.index(item), "item": item.wire()}
        self.session.send("response.output_item.done", **fields)

    def _end(self, status: Status, reason: str | None) -> None:
        self.over = True
        self.status = status
        if self._open is not None:
            self._close(self._open, "incomplete")
        self.session.answer_ended(self)
        if not self._fault(Fault.DONE_LOST):
            self.session.send("response.done", response=self._wire(status, reason))
            self.session.send("rate_limits.updated", rate_limits=RATE_LIMITS)

    def _late_deltas(self, item: Item) -> None:
        for _ in range(3):
            late = base64.b64encode(self.session.make_frames(5)).decode()
            self._part_event("response.output_audio.delta", item, delta=late)

    # ---- How it is made ----------------------------------------------------------------------------------------------

    @property
    def _text_only(self) -> bool:
        modalities = self.asked.response.get("output_modalities") or self.session.config["output_modalities"]
        return list(modalities) == ["text"]

    def _fault(self, fault: Fault) -> bool:
        return self.session.faults.take(fault)

    def _spoil(self, turn: Turn) -> Turn:
        if self._fault(Fault.EMPTY_RESPONSE):
            return Turn()
        if self._fault(Fault.RATE_LIMITED):
            return fail("rate_limit_exceeded")
        if self._fault(Fault.SERVER_ERROR):
            return fail("server_error")
        if self._fault(Fault.UNKNOWN_TOOL):
            return call_tool("no_such_tool", {"why": "a test wants to know"})
        if self._fault(Fault.CONTENT_FILTER):
            return incomplete("content_filter", turn)
        if self._fault(Fault.MAX_OUTPUT_TOKENS):
            return incomplete("max_output_tokens", turn)
        return turn

    def _audio(self, part: Say, content: Content) -> bytes:
        if part.audio is not None:
            audio = part.audio
        elif part.silent:
            audio = bytes([SILENCE]) * FRAME_BYTES * part.frames
        else:
            content.first_frame = self.session.next_frame
            audio = self.session.make_frames(part.frames)
        return audio if content.bytes_per_ms == 8 else mulaw_to_pcm24k(audio)  # noqa: PLR2004 - a byte per sample

    def _cut(self, audio: bytes) -> Iterator[bytes]:
        timing, per_ms = self.session.timing, self.session.output_bytes_per_ms
        odd = self._fault(Fault.ODD_DELTAS)
        at, size = 0, timing.first_delta_ms * per_ms
        while at < len(audio):
            if odd:
                size = self.session.odd_length()
            yield audio[at : at + size]
            at, size = at + size, timing.delta_ms * per_ms

    def _item_event(self, kind: str, item: Item, **fields: Any) -> None:
        index = self.output.index(item)
        self.session.send(kind, response_id=self.id, item_id=item.id, output_index=index, **fields)

    def _part_event(self, kind: str, item: Item, **fields: Any) -> None:
        self._item_event(kind, item, content_index=0, **fields)

    def _wire(self, status: Status | Literal["in_progress"], reason: str | None) -> JSON:
        config, asked = self.session.config, self.asked.response
        details: JSON | None = None
        if status == "failed":
            kind = "server_error" if reason == "server_error" else "invalid_request_error"
            code = None if reason == "server_error" else reason
            error = {"type": kind, "code": code, "message": SENTENCES.get(reason or "", "The response failed.")}
            details = {"type": "failed", "error": error}
        elif status in {"incomplete", "cancelled"}:
            details = {"type": status, "reason": reason}
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.wire() for item in self.output],
            "conversation_id": self.session.conversation_id if self.in_conversation else None,
            "output_modalities": asked.get("output_modalities") or config["output_modalities"],
            "max_output_tokens": asked.get("max_output_tokens") or config["max_output_tokens"],
            "audio": {"output": {"format": config["audio"]["output"]["format"], "voice": _voice(config)}},
            "usage": None if status == "in_progress" else self._usage(failed=status == "failed"),
            "metadata": asked.get("metadata"),
        }

    def _usage(self, *, failed: bool) -> JSON:
        """Count as OpenAI documents it: a token for 100 ms heard, one for 50 ms spoken, about one for 4 characters."""
        remembered = [item for item in self.session.memory.items if item not in self.output]
        heard, text_in = (0, 0) if failed else _tokens(remembered, 100)
        text_in += 0 if failed else len(self.session.config["instructions"] or "") // 4
        spoken, text_out = (0, 0) if failed else _tokens(self.output, 50)
        cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        details = {"text_tokens": text_in, "audio_tokens": heard, "image_tokens": 0, "cached_tokens": 0}
        return {
            "total_tokens": heard + text_in + spoken + text_out,
            "input_tokens": heard + text_in,
            "output_tokens": spoken + text_out,
            "input_token_details": {**details, "cached_tokens_details": cached},
            "output_token_details": {"text_tokens": text_out, "audio_tokens": spoken},
        }


def _tokens(items: list[Item], ms_per_token: int) -> tuple[int, int]:
    audio = sum(part.duration_ms for item in items for part in item.content) // ms_per_token
    return audio, sum(len(item.text) for item in items) // 4


def _voice(config: JSON) -> str:
    voice = config["audio"]["output"]["voice"]
    return str(voice["id"]) if isinstance(voice, Mapping) else str(voice)


def _pieces(text: str, count: int) -> list[str]:
    """Cut ``text`` into ``count`` pieces, between words where there are enough of them."""
    words = text.split(" ")
    units = [word if at == 0 else " " + word for at, word in enumerate(words)] if len(words) >= count else list(text)
    return ["".join(units[len(units) * at // count : len(units) * (at + 1) // count]) for at in range(count)]
