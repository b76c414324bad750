"""The model's end: a server of OpenAI's Realtime protocol that plays a fixed script, as cheaply as can be.

It is far simpler than :mod:`gateway.testing.model`, which behaves like a model: this one must not cost more than the
gateway that it loads, so its events are texts filled in, and only frames of audio are looked at.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from gateway.testing.load.call import RING, CallState
from gateway.testing.load.numbered import answer_audio
from gateway.testing.load.tally import Tally
from gateway.testing.load.traffic import Traffic

TOOL: Final = "look_up_order"
WORDS: Final = ("so", "the", "order", "left", "on", "Monday", "and", "should", "be", "with", "you", "before", "Friday")

_APPEND: Final = b'"input_audio_buffer.append"'
_GOLDEN: Final = 0.618034


class ModelServer:
    """Listens, and makes a session of every connection."""

    def __init__(self, traffic: Traffic, tally: Tally, calls: Sequence[CallState]) -> None:
        self.traffic = traffic
        self.tally = tally
        self.calls = calls
        self.sessions: set[ModelSession] = set()
        self._server: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext | None) -> int:
        """Listen on a free port of loopback, and return it."""
        self._server = await ws_create_server(self._accept, "127.0.0.1", 0, ssl=tls)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _accept(self, _request: WSUpgradeRequest) -> ModelSession:
        return ModelSession(self)


class ModelSession(WSListener):
    """One connection: hears the caller's frames, and takes turns by the clock from the first of them on."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._traffic = server.traffic
        self._tally = server.tally
        self._transport: WSTransport | None = None
        self._loop = asyncio.get_running_loop()
        self._call: CallState | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._turn = 0
        self._turn_at = 0.0
        self._response = ""
        self._item = ""
        self._said: list[str] = []
        self._responses = 0
        self._events = 0
        self._tool_waits = False
        self._transcribes = True

    # ---- The connection ---------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Greet, as the API does."""
        self._transport = transport
        self._server.sessions.add(self)
        self._send("session.created", '"session":{"type":"realtime","object":"realtime.session","id":"sess_1"}')

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Stop."""
        del transport
        self._server.sessions.discard(self)
        self._stop()
        if self._call is not None and not self._call.over and self._tally.open:
            self._tally.dropped += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a message; audio first, as it is nearly all there is."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if frame.msg_type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
            return
        message = frame.get_payload_as_bytes()
        if message.find(_APPEND, 0, 200) >= 0:
            self._hear(message)
        else:
            self._obey(json.loads(message))

    def _hear(self, message: bytes) -> None:
        now = monotonic()
        at = message.find(b'"', message.find(b'"audio":') + 8) + 1
        try:
            index, count = int(message[at : at + 8]), int(message[at + 8 : at + 16])
        except ValueError:
            self._tally.fault("an append without a number")
            return
        call = self._call
        if call is None:
            call = self._call = self._server.calls[index]
            self._turn = index  # so that at any time some calls have a turn with a tool, and some one that is cut
            self._join(self._traffic.turn * (index * _GOLDEN % 1.0))
        tally = self._tally
        if tally.follow(call.heard, count):
            call.heard = count
        if tally.open:
            tally.to_model.append(now - call.frame_at[count % RING])

    def _obey(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "session.update":
                heard = event["session"].get("audio", {}).get("input", {})
                self._transcribes = heard.get("transcription", self._transcribes) is not None
                session = {**event["session"], "object": "realtime.session", "id": "sess_1"}
                self._send("session.updated", '"session":' + json.dumps(session))
            case "response.create":
                self._asked()
            case "response.cancel":
                if self._response:
                    self._end("cancelled")
                else:
                    self._refuse("response_cancel_not_active", "Cancellation failed: no active response found", event)
            case "conversation.item.truncate":
                fields = f'"item_id":"{event["item_id"]}","content_index":0,"audio_end_ms":{event["audio_end_ms"]}'
                self._send("conversation.item.truncated", fields)
            case "conversation.item.delete":
                self._send("conversation.item.deleted", f'"item_id":"{event["item_id"]}"')
            case "conversation.item.create":
                item = {
                    "id": f"item_c{self._events}",
                    "object": "realtime.item",
                    "status": "completed",
                    **event["item"],
                }
                for kind in ("conversation.item.added", "conversation.item.done"):
                    self._send(kind, '"previous_item_id":null,"item":' + json.dumps(item))
            case kind:
                self._tally.fault(f"client event {kind}")

    def _asked(self) -> None:
        if self._response:
            self._refuse("conversation_already_has_active_response", "Conversation already has an active response", {})
            return
        self._tool_waits = False
        self._answer()

    def _join(self, left: float) -> None:
        """Begin in the middle of a turn with so many seconds left: calls are spread over the turn from the start."""
        self._later(left, self._speech_started)
        if left > self._traffic.pause / self._traffic.density + 0.5:
            self._answer()

    # ---- A turn -----------------------------------------------------------------------------------------------------

    def _speech_started(self) -> None:
        traffic, call, now = self._traffic, self._call, self._loop.time()
        if call is None:
            return
        self._turn += 1
        self._turn_at = now
        self._stop()
        self._item = f"item_u{self._turn}"
        if call.plays_until > monotonic() + 0.05:  # close to the end it is a matter of taste
            if call.cut_at is not None and self._tally.open:
                self._tally.no_clear += 1
            call.cut_at = monotonic()
            call.cut_block = call.block
        else:
            call.cut_at = None
        self._send("input_audio_buffer.speech_started", f'"audio_start_ms":{call.heard * 20},"item_id":"{self._item}"')
        if self._response:
            self._end("cancelled")
        self._later((traffic.speech + traffic.silence) / traffic.density, self._speech_stopped)
        self._later(self._length_of_turn(), self._speech_started)

    def _length_of_turn(self) -> float:
        """Seconds to the next turn, whose speech may come into this one's answer."""
        traffic = self._traffic
        if self._turn % traffic.interrupt_every:
            return traffic.turn
        after = traffic.interrupt_after[self._turn // traffic.interrupt_every % len(traffic.interrupt_after)]
        return (traffic.speech + traffic.silence + traffic.think + after) / traffic.density

    def _speech_stopped(self) -> None:
        call, item = self._call, f"item_u{self._turn}"
        if call is None:
            return
        self._send("input_audio_buffer.speech_stopped", f'"audio_end_ms":{call.heard * 20},"item_id":"{item}"')
        self._send("input_audio_buffer.committed", f'"previous_item_id":null,"item_id":"{item}"')
        user = (
            f'"previous_item_id":null,"item":{{"id":"{item}","object":"realtime.item","type":"message","role":"user",'
            '"status":"completed","content":[{"type":"input_audio","transcript":null}]}'
        )
        self._send("conversation.item.added", user)
        self._send("conversation.item.done", user)
        self._begin()
        density = self._traffic.density
        if self._transcribes:
            self._later(0.15 / density, self._transcribed)
        tool = self._turn % self._traffic.tool_every == 0
        self._later(self._traffic.think / density, self._call_tool if tool else self._speak)

    def _transcribed(self) -> None:
        item = f"item_u{self._turn}"
        self._send(
            "conversation.item.input_audio_transcription.completed",
            f'"item_id":"{item}","content_index":0,"transcript":"Where is the order that I placed last week?",'
            '"usage":{"type":"duration","seconds":2.5}',
        )

    def _call_tool(self) -> None:
        call_id, item = f"call_{self._turn}", f"item_f{self._turn}"
        opened = (
            f'"item":{{"id":"{item}","object":"realtime.item","type":"function_call","name":"{TOOL}",'
            f'"call_id":"{call_id}","status":'
        )
        done = opened + '"completed","arguments":"{\\"number\\":\\"4711\\"}"}'
        begun = opened + '"in_progress","arguments":""}'
        response = f'"response_id":"{self._response}","output_index":0'
        self._send("response.output_item.added", f"{response},{begun}")
        self._send("conversation.item.added", f'"previous_item_id":null,{begun}')
        arguments = f'{response},"item_id":"{item}","call_id":"{call_id}"'
        self._send("response.function_call_arguments.delta", f'{arguments},"delta":"{{\\"number\\":\\"4711\\"}}"')
        self._send(
            "response.function_call_arguments.done",
            f'{arguments},"name":"{TOOL}","arguments":"{{\\"number\\":\\"4711\\"}}"',
        )
        self._send("conversation.item.done", f'"previous_item_id":null,{done}')
        self._send("response.output_item.done", f"{response},{done}")
        self._tool_waits = True
        if self._tally.open:
            self._tally.tools += 1
        self._item = ""
        self._end("completed")

    # ---- An answer --------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        self._begin()
        self._speak()

    def _begin(self) -> None:
        self._responses += 1
        self._response, self._item, self._said = f"resp_{self._responses}", "", []
        self._send("response.created", self._described("in_progress"))

    def _speak(self) -> None:
        call = self._call
        if call is None or not self._response:
            return
        self._item = f"item_a{self._responses}"
        self._send("response.output_item.added", f'"response_id":"{self._response}","output_index":0,{self._opened()}')
        self._send("conversation.item.added", f'"previous_item_id":null,{self._opened()}')
        self._send("response.content_part.added", f'{self._place()},"part":{{"type":"audio","transcript":""}}')
        call.first_blocks.add(call.block)
        if self._tally.open:
            self._tally.answers += 1
        self._delta(self._traffic.deltas(), 0, self._loop.time())

    def _delta(self, sizes: list[int], at: int, due: float) -> None:
        call = self._call
        if call is None:
            return
        word = f"{WORDS[2 * at % len(WORDS)]} {WORDS[(2 * at + 1) % len(WORDS)]} "
        self._said.append(word)
        place = self._place()
        self._send("response.output_audio_transcript.delta", f'{place},"delta":"{word}","obfuscation":"hVt3kQz0Rf"')
        first = call.block
        payload, call.block = answer_audio(call.index, first, sizes[at])
        now = monotonic()
        for block in range(first, call.block):
            call.block_at[block % RING] = now
        self._send("response.output_audio.delta", f'{place},"delta":"{payload}"')
        due += sizes[at] / 8000 / self._traffic.speed
        if at + 1 < len(sizes):
            self._timers.append(self._loop.call_at(due, self._delta, sizes, at + 1, due))
        else:
            self._end("completed")

    def _end(self, status: str) -> None:
        """Close the response as it is; a cancelled one is an incomplete item."""
        if self._item.startswith("item_a"):
            place, said = self._place(), "".join(self._said)
            self._send("response.output_audio.done", place)
            self._send("response.output_audio_transcript.done", f'{place},"transcript":"{said}"')
            self._send("response.content_part.done", f'{place},"part":{{"type":"audio","transcript":"{said}"}}')
            item = self._opened(said, "completed" if status == "completed" else "incomplete")
            self._send("conversation.item.done", f'"previous_item_id":null,{item}')
            self._send("response.output_item.done", f'"response_id":"{self._response}","output_index":0,{item}')
        self._send("response.done", self._described(status))
        limits = '"rate_limits":[{"name":"tokens","limit":40000,"remaining":38490,"reset_seconds":2.265}]'
        self._send("rate_limits.updated", limits)
        self._response = self._item = ""

    def _described(self, status: str) -> str:
        usage = (
            '{"total_tokens":253,"input_tokens":132,"output_tokens":121,"input_token_details":{"text_tokens":119,'
            '"audio_tokens":13,"cached_tokens":64},"output_token_details":{"text_tokens":30,"audio_tokens":91}}'
        )
        details = '{"type":"cancelled","reason":"turn_detected"}' if status == "cancelled" else "null"
        return (
            f'"response":{{"object":"realtime.response","id":"{self._response}","status":"{status}",'
            f'"status_details":{details},"output":[],"conversation_id":"conv_1","output_modalities":["audio"],'
            f'"max_output_tokens":"inf","usage":{usage if status != "in_progress" else "null"},"metadata":null}}'
        )

    def _opened(self, said: str = "", status: str = "in_progress") -> str:
        content = f'[{{"type":"output_audio","transcript":"{said}"}}]' if said else "[]"
        return (
            f'"item":{{"id":"{self._item}","object":"realtime.item","type":"message","status":"{status}",'
            f'"role":"assistant","content":{content}}}'
        )

    def _place(self) -> str:
        return f'"response_id":"{self._response}","item_id":"{self._item}","output_index":0,"content_index":0'

    # ---- What all of it shares --------------------------------------------------------------------------------------

    def _refuse(self, code: str, message: str, event: dict[str, Any]) -> None:
        about = json.dumps(event.get("event_id"))
        fields = f'"error":{{"type":"invalid_request_error","code":"{code}","message":"{message}","event_id":{about}}}'
        self._send("error", fields)

    def _send(self, kind: str, fields: str) -> None:
        self._events += 1
        if self._transport is not None:
            text = f'{{"type":"{kind}","event_id":"event_{self._events}",{fields}}}'
            self._transport.send(WSMsgType.TEXT, text.encode())

    def _later(self, seconds: float, act: Any) -> None:
        self._timers.append(self._loop.call_later(seconds, act))

    def _stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
