"""The SDK's WebSocket model with a telephone's needs: own socket settings, cheap audio, and no will of its own.

What it does differently from the SDK's class, all of it here and nowhere else:

* The socket is made with our settings: no compression, quick pings, a short close.
* ``speech_started`` is only passed on. When to cut the agent short is the call's decision (design rule 2).
* ``conversation.item.retrieve`` is never sent: it would fetch whole items, deleted ones too (design rule 4).
* Audio stays the base64 text that it came as, in both directions.
* A message that is no JSON object, or that can't be handled, is reported and survived.
* An unknown tool gets its "not found" answered by a response, not by silence.
* A response whose end was lost is ended when the server says that there is none to cancel.
"""

from __future__ import annotations

import base64
import dataclasses
from typing import Any, cast

import msgspec
import structlog
from agents.realtime import RealtimeSessionModelSettings
from agents.realtime.items import RealtimeMessageItem
from agents.realtime.model_events import (
    RealtimeModelAudioEvent,
    RealtimeModelErrorEvent,
    RealtimeModelExceptionEvent,
    RealtimeModelItemUpdatedEvent,
    RealtimeModelRawServerEvent,
    RealtimeModelTranscriptDeltaEvent,
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
)
from agents.realtime.model_inputs import (
    RealtimeModelSendEvent,
    RealtimeModelSendInterrupt,
    RealtimeModelSendRawMessage,
    RealtimeModelSendToolOutput,
)
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel, TransportConfig
from agents.version import __version__ as sdk_version
from openai.types.realtime import (
    ConversationItem,
    RealtimeClientEvent,
    RealtimeConversationItemAssistantMessage,
    RealtimeConversationItemSystemMessage,
    RealtimeConversationItemUserMessage,
    RealtimeSessionCreateRequest,
    SessionUpdateEvent,
)
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from gateway import __version__
from gateway.audio.frames import FRAME_BYTES
from gateway.audio.payload import decode, size_of
from gateway.errors import ModelError
from gateway.realtime.bounded import forget_items
from gateway.realtime.formats import MU_LAW, speaks_mu_law
from gateway.realtime.socket import ModelSocket, Transport, connect

log = structlog.get_logger()

BAD_MESSAGES = 50
"""After so many messages that can't be read, the session is given up."""

_USER_AGENT = f"telephony-voice-gateway/{__version__} Agents/Python {sdk_version}"
_MESSAGE_ITEM: TypeAdapter[RealtimeMessageItem] = TypeAdapter(RealtimeMessageItem)  # the SDK builds one for each item
_MESSAGES = (
    RealtimeConversationItemUserMessage,
    RealtimeConversationItemAssistantMessage,
    RealtimeConversationItemSystemMessage,
)
_encode = msgspec.json.Encoder().encode
_APPEND = b'{"type":"input_audio_buffer.append","audio":'
_CLIENT_EVENT: TypeAdapter[RealtimeClientEvent] = TypeAdapter(RealtimeClientEvent)
_ITEM_STATUSES = frozenset({"in_progress", "completed", "incomplete"})


class AudioDelta(RealtimeModelAudioEvent):
    """A piece of the agent's speech as the base64 text that it came as; ``size`` is its length in bytes.

    It is a ``RealtimeModelAudioEvent`` like any other, but its ``data`` is decoded only when somebody asks for it.
    """

    def __init__(self, payload: str, size: int, *, response_id: str, item_id: str, content_index: int) -> None:
        self.payload = payload
        self.size = size
        self.response_id = response_id
        self.item_id = item_id
        self.content_index = content_index

    @property
    def data(self) -> bytes:  # type: ignore[override]  # the SDK's dataclass says a plain attribute; nobody writes it
        return base64.b64decode(self.payload)


class UnreadableMessageError(ModelError):
    """A message of the server that is no JSON object, or that the SDK could not digest."""


class GatewayModel(OpenAIRealtimeWebSocketModel):
    """One connection to a Realtime server, made for one session of one call."""

    def __init__(self, transport: Transport | None = None) -> None:
        super().__init__()
        self._settings = transport or Transport()
        self._socket: ModelSocket | None = None
        self._bad_messages = 0
        self._cut_by_server = False
        self._last_update: RealtimeSessionModelSettings | None = None
        self._update_ids: dict[str, bool] = {}  # id of a session.update: whether it says more than tracing
        self._unanswered_updates = 0

    # ---- The socket -------------------------------------------------------------------------------------------------

    async def _create_websocket_connection(
        self,
        url: str,
        headers: dict[str, str],
        transport_config: TransportConfig | None = None,  # noqa: ARG002 - ours are not the SDK's to set
    ) -> ClientConnection:
        self._socket = await connect(url, {**headers, "User-Agent": _USER_AGENT}, self._settings)
        return cast("ClientConnection", self._socket)  # it has what the SDK uses: send and close

    @property
    def closed_as(self) -> tuple[int, str]:
        """The code and the reason with which the socket was closed; ``(0, "")`` while it is open or never was."""
        socket = self._socket
        if socket is None or socket.close_code is None:
            return 0, ""
        return socket.close_code, socket.close_reason

    def abort(self) -> None:
        """Cut the connection at once, without a word to the peer. Idempotent."""
        if self._socket is not None:
            self._socket.abort()

    # ---- Sending ----------------------------------------------------------------------------------------------------

    async def append_audio(self, payload: str) -> None:
        """Send a piece of the caller's audio, base64 as it came.

        Raises:
            ConnectionClosed: the connection is gone.
        """
        if self._socket is not None:
            await self._socket.send(_append(payload))

    def append_audio_now(self, payload: str) -> bool:
        """Send a piece of the caller's audio at once, if the socket takes it without waiting; else return False.

        This is the path of every frame of every call.
        """
        socket = self._socket
        return socket is not None and socket.send_soon(_APPEND + _encode(payload) + b"}")

    async def send_event(self, event: RealtimeModelSendEvent) -> None:
        """Send an event; a raw one in the SDK's way, but for how it is read.

        The SDK builds a validator for each: 20 ms, and 300 ms the first time, in which no call of the process is heard.

        Raises:
            ValidationError: the raw event is none of the API's.
        """
        if not isinstance(event, RealtimeModelSendRawMessage):
            await super().send_event(event)
            return
        raw = _CLIENT_EVENT.validate_python({"type": event.message["type"], **event.message.get("other_data", {})})
        if raw.type == "response.create":
            version = await self._reserve_response_create_request(manual=True)
            self._start_response_create(version, response_create=raw, manual=True)
        else:
            await self._send_raw_message(raw)

    async def interrupt(self) -> None:
        """Truncate what was not heard, where the playback tracker says, and see that an open response ends.

        The SDK leaves an open response to a server that interrupts by itself. Such a server does so only when it heard
        speech begin; when the call cuts for another reason (a digit, an operator), the response must be cancelled.
        """
        await self.send_event(RealtimeModelSendInterrupt(force_response_cancel=not self._cut_by_server))

    async def update_again(self) -> None:
        """Send the last full ``session.update`` once more."""
        if self._last_update is not None:
            await self._update_session_config(self._last_update)

    @property
    def updates_answered(self) -> bool:
        """Whether every ``session.update`` that was sent has been answered."""
        return self._unanswered_updates <= 0

    def is_update(self, event_id: str) -> bool:
        """Whether this id, as an ``error`` names it, is that of a full ``session.update`` of ours."""
        return self._update_ids.get(event_id, False)

    async def _send_raw_message(self, event: RealtimeClientEvent) -> None:
        if event.type == "conversation.item.retrieve":
            return
        if event.type == "session.update":
            self._note_update(event)
        if self._websocket is None:
            # What the SDK's own assert says, and its callers look for; an assert is gone under python -O.
            raise AssertionError("Not connected")
        await super()._send_raw_message(event)

    def _note_update(self, event: SessionUpdateEvent) -> None:
        full = getattr(event.session, "audio", None) is not None  # a server that refuses tracing can still be talked to
        event.event_id = f"session_update_{len(self._update_ids) + 1}"
        self._update_ids[event.event_id] = full
        self._unanswered_updates += 1

    async def _update_session_config(self, model_settings: RealtimeSessionModelSettings) -> None:
        self._last_update = model_settings  # not the event that is made of it, which is ten times as large
        await super()._update_session_config(model_settings)

    async def _send_tool_output(self, event: RealtimeModelSendToolOutput) -> None:
        # The SDK starts no response for one case alone: a tool that does not exist. The caller would hear nothing.
        await super()._send_tool_output(dataclasses.replace(event, start_response=True))

    def _get_audio_limits(self, item_id: str, item_content_index: int) -> tuple[float, int] | None:
        limits = super()._get_audio_limits(item_id, item_content_index)
        # The SDK rounds up, and a server refuses to truncate beyond the end.
        return None if limits is None else (limits[0], int(limits[0]))

    # ---- Receiving --------------------------------------------------------------------------------------------------

    async def _listen_for_messages(self) -> None:
        socket = self._socket
        try:
            while socket is not None:
                await self._take(await socket.recv())
        except ConnectionClosedOK:
            await self._emit_normal_disconnect()
        except Exception as error:  # noqa: BLE001 - however the reader ends, the session has to hear of it
            await self._emit_event(RealtimeModelExceptionEvent(exception=error, context="The model's socket is gone"))
        finally:
            await self._cancel_response_create_tasks()
            await self._release_response_waiters()

    async def _take(self, message: bytes) -> None:
        try:
            event = msgspec.json.decode(message)
            if not isinstance(event, dict):
                await self._refuse(UnreadableMessageError(f"a JSON {type(event).__name__}, not an object"))
                return
            await self._handle_ws_event(event)
        except ConnectionClosed:
            return  # an answer could not be sent; what was received before the close is still to be read
        except Exception as error:  # noqa: BLE001 - one bad message must not end a call (hazard H8)
            await self._refuse(error)

    async def _refuse(self, error: Exception) -> None:
        self._bad_messages += 1
        log.warning("model-message-refused", error=type(error).__name__, count=self._bad_messages)
        if self._bad_messages >= BAD_MESSAGES:
            raise UnreadableMessageError(f"{BAD_MESSAGES} unreadable messages") from error
        await self._emit_event(RealtimeModelErrorEvent(error=UnreadableMessageError(type(error).__name__)))

    async def _handle_ws_event(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "response.output_audio.delta":
                if not await self._take_audio(event):
                    await super()._handle_ws_event(event)
            case "response.output_audio_transcript.delta" if (words := _words(event)) is not None:
                await self._emit_event(RealtimeModelRawServerEvent(data=event))
                await self._emit_event(words)
            case "input_audio_buffer.speech_started":
                self._cut_by_server = True
                await self._emit_event(RealtimeModelRawServerEvent(data=event))
            case "response.output_item.added" | "response.output_item.done" if _is_message(event):
                await self._emit_event(RealtimeModelRawServerEvent(data=event))
                await self._take_message_item(event)
            case "response.created":
                self._cut_by_server = False
                await super()._handle_ws_event(event)
                await self._follow_start(event)
            case "response.done":
                await super()._handle_ws_event(event)
                await self._follow_end(_response_id(event))
                forget_items(self._audio_state_tracker)
            case "session.updated":
                self._unanswered_updates -= 1
                await super()._handle_ws_event(event)
                if (session := self._created_session) is not None:
                    _forget_what_was_said(session)
                if speaks_mu_law(event.get("session")):
                    # Also where the SDK could not read the rest of the session: its clamps count in this format.
                    self._audio_state_tracker.set_audio_format(MU_LAW)
            case "error":
                self._unanswered_updates -= _names(event) in self._update_ids
                await super()._handle_ws_event(event)
                await self._follow_error(event.get("error"))
            case _:
                await super()._handle_ws_event(event)

    async def _take_audio(self, event: dict[str, Any]) -> bool:
        """Take audio without decoding it; False leaves an unusual message to the SDK, which says what is wrong."""
        match event:
            case {
                "delta": str(payload),
                "response_id": str(response_id),
                "item_id": str(item_id),
                "content_index": int(content_index),
            } if len(payload) % 4 == 0:
                if response_id in self._interrupted_audio_response_ids:
                    return True  # a guardrail stopped it
                self._current_item_id = item_id
                size = size_of(payload)
                if size % FRAME_BYTES:
                    decode(payload)  # somebody will have to re-frame it, and must not be the one to find it broken
                # The SDK's tracker only asks for the length of the audio; a range has one and costs nothing.
                length_only = cast("bytes", range(size))
                self._audio_state_tracker.on_audio_delta(item_id, content_index, length_only, response_id=response_id)
                await self._emit_event(
                    AudioDelta(payload, size, response_id=response_id, item_id=item_id, content_index=content_index)
                )
                return True
            case _:
                return False

    async def _take_message_item(self, event: dict[str, Any]) -> None:
        """Pass a message item on as the SDK does, with one type adapter for all of them (0.2 ms each otherwise)."""
        item = event["item"]
        content: list[dict[str, Any]] = []
        for part in item.get("content") or []:
            match part:
                case {"type": "audio" | "output_audio"}:
                    content.append({"type": "audio", "audio": part.get("audio"), "transcript": part.get("transcript")})
                case {"type": "text" | "output_text"}:
                    content.append({"type": "text", "text": part.get("text")})
        status = item.get("status")
        if status not in _ITEM_STATUSES:
            status = "completed" if event["type"] == "response.output_item.done" else "in_progress"
        message = {
            "item_id": item.get("id", ""),
            "type": "message",
            "role": item.get("role", "assistant"),
            "content": content,
            "status": status,
        }
        await self._emit_event(RealtimeModelItemUpdatedEvent(item=_MESSAGE_ITEM.validate_python(message)))

    async def _handle_conversation_item(self, item: ConversationItem, previous_item_id: str | None) -> None:
        """As the SDK does, with one type adapter for all."""
        if not isinstance(item, _MESSAGES):
            raise ValueError("Unsupported conversation item type for message conversion.")  # noqa: TRY004 - the SDK's
        content = [{**part.model_dump(), "type": (part.type or "").removeprefix("output_")} for part in item.content]
        message = {
            "item_id": item.id or "",
            "previous_item_id": previous_item_id,
            "type": item.type,
            "role": item.role,
            "content": content,
            "status": item.status or "in_progress",
        }
        await self._emit_event(RealtimeModelItemUpdatedEvent(item=_MESSAGE_ITEM.validate_python(message)))

    # ---- Responses, also where the SDK could not read their events ---------------------------------------------------

    async def _follow_start(self, event: dict[str, Any]) -> None:
        response_id = _response_id(event)
        if response_id and self._response_create_sequencer.ongoing_response_id != response_id:
            await self._mark_response_created(response_id)
            await self._emit_event(RealtimeModelTurnStartedEvent(response_id=response_id))

    async def _follow_end(self, response_id: str | None) -> None:
        if self._ongoing_response and self._response_create_sequencer.ongoing_response_id == response_id:
            await self._mark_response_done(response_id)
            await self._emit_event(RealtimeModelTurnEndedEvent(response_id=response_id))

    async def _follow_error(self, error: object) -> None:
        """End a response whose end was lost: the server had none to cancel (hazard H7)."""
        if not isinstance(error, dict) or self._response_control != "cancel_requested":
            return
        message = str(error.get("message") or "").lower()
        if error.get("code") == "response_cancel_not_active" or "no active response" in message:
            await self._follow_end(self._response_create_sequencer.ongoing_response_id)


def _forget_what_was_said(session: RealtimeSessionCreateRequest) -> None:
    """Let go of the server's copy of what it was told: the SDK only asks for how turns are detected."""
    session.instructions = session.tools = session.prompt = None
    if session.audio is not None:
        session.audio.output = None
        if session.audio.input is not None:
            session.audio.input.format = session.audio.input.transcription = None


def _append(payload: str) -> bytes:
    return _APPEND + _encode(payload) + b"}"


def _words(event: dict[str, Any]) -> RealtimeModelTranscriptDeltaEvent | None:
    """What a transcript's delta says; None where it is unusual, and the SDK is to say what is wrong with it."""
    match event:
        case {"delta": str(delta), "response_id": str(response_id), "item_id": str(item_id), "content_index": int()}:
            return RealtimeModelTranscriptDeltaEvent(item_id=item_id, delta=delta, response_id=response_id)
        case _:
            return None


def _names(event: dict[str, Any]) -> object:
    """The id of the client's event that an ``error`` is about."""
    error = event.get("error")
    event_id = error.get("event_id") if isinstance(error, dict) else None
    return event_id if isinstance(event_id, str) else None


def _is_message(event: dict[str, Any]) -> bool:
    item = event.get("item")
    return isinstance(item, dict) and item.get("type") == "message"


def _response_id(event: dict[str, Any]) -> str | None:
    response = event.get("response")
    response_id = response.get("id") if isinstance(response, dict) else None
    return response_id if isinstance(response_id, str) else None
