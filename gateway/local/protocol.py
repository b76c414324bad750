"""What a client may send, as the Realtime API reference has it; unknown fields are refused as the API refuses them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Number: TypeAlias = int | float
Json: TypeAlias = dict[str, Any]


class ClientError(Exception):
    """A client's event can't be done; becomes an ``error`` event, and the session goes on."""

    def __init__(self, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of an event: fields that it doesn't name are an error."""


class AudioFormat(Strict, frozen=True):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Literal[24000, 8000] | None = None


class Transcription(Strict, frozen=True):
    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Strict, frozen=True):
    type: Literal["near_field", "far_field"] | None = None
    strength: Number | None = None


class ServerVad(Strict, frozen=True, tag="server_vad"):
    threshold: Number | None = None
    silence_duration_ms: int | None = None
    prefix_padding_ms: int | None = None
    idle_timeout_ms: int | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class SemanticVad(Strict, frozen=True, tag="semantic_vad"):
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class AudioInput(Strict, frozen=True):
    format: AudioFormat | None = None
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: ServerVad | SemanticVad | None = None


class AudioOutput(Strict, frozen=True):
    format: AudioFormat | None = None
    voice: str | dict[str, str] | None = None
    speed: Number | None = None


class Audio(Strict, frozen=True):
    input: AudioInput | None = None
    output: AudioOutput | None = None


class FunctionTool(Strict, frozen=True, tag="function"):
    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class SessionUpdate(Strict, frozen=True):
    type: Literal["realtime"]
    audio: Audio | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    instructions: str | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    model: str | None = None
    output_modalities: list[Literal["text", "audio"]] | None = None
    parallel_tool_calls: bool | None = None
    prompt: Json | None = None
    reasoning: Json | None = None
    tool_choice: str | Json | None = None
    tools: list[FunctionTool] | None = None
    tracing: str | Json | None = None
    truncation: str | Json | None = None


class Part(Strict, frozen=True):
    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio", "text", "audio"]
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: str | None = None


class Message(Strict, frozen=True, tag="message"):
    role: Literal["system", "user", "assistant"]
    content: list[Part]
    id: str | None = None
    object: str | None = None
    status: str | None = None


class FunctionCall(Strict, frozen=True, tag="function_call"):
    name: str
    arguments: str
    call_id: str | None = None
    id: str | None = None
    object: str | None = None
    status: str | None = None


class FunctionCallOutput(Strict, frozen=True, tag="function_call_output"):
    call_id: str
    output: str
    id: str | None = None
    object: str | None = None
    status: str | None = None


class ItemReference(Strict, frozen=True, tag="item_reference"):
    id: str


ClientItem: TypeAlias = Message | FunctionCall | FunctionCallOutput


class ResponseParams(Strict, frozen=True):
    audio: Audio | None = None
    conversation: str | None = None
    input: list[Message | FunctionCall | FunctionCallOutput | ItemReference] | None = None
    instructions: str | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    metadata: dict[str, str] | None = None
    output_modalities: list[Literal["text", "audio"]] | None = None
    parallel_tool_calls: bool | None = None
    prompt: Json | None = None
    reasoning: Json | None = None
    tool_choice: str | Json | None = None
    tools: list[FunctionTool] | None = None


class _Event(Strict, frozen=True, kw_only=True):
    event_id: str | None = None


class UpdateSession(_Event, frozen=True, tag="session.update"):
    session: Json


class AppendAudio(_Event, frozen=True, tag="input_audio_buffer.append"):
    audio: str


class CommitAudio(_Event, frozen=True, tag="input_audio_buffer.commit"):
    pass


class ClearAudio(_Event, frozen=True, tag="input_audio_buffer.clear"):
    pass


class CreateItem(_Event, frozen=True, tag="conversation.item.create"):
    item: ClientItem
    previous_item_id: str | None = None


class DeleteItem(_Event, frozen=True, tag="conversation.item.delete"):
    item_id: str


class RetrieveItem(_Event, frozen=True, tag="conversation.item.retrieve"):
    item_id: str


class TruncateItem(_Event, frozen=True, tag="conversation.item.truncate"):
    item_id: str
    content_index: int
    audio_end_ms: int


class CreateResponse(_Event, frozen=True, tag="response.create"):
    response: ResponseParams | None = None


class CancelResponse(_Event, frozen=True, tag="response.cancel"):
    response_id: str | None = None


class ClearOutput(_Event, frozen=True, tag="output_audio_buffer.clear"):
    pass


ClientEvent: TypeAlias = (
    UpdateSession
    | AppendAudio
    | CommitAudio
    | ClearAudio
    | CreateItem
    | DeleteItem
    | RetrieveItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
    | ClearOutput
)

_EVENTS: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)
_ENCODE = msgspec.json.Encoder().encode


def parse(raw: str | bytes) -> ClientEvent:
    """Read one client event; ClientError says what is wrong with it and where."""
    try:
        return _EVENTS.decode(raw)
    except msgspec.ValidationError as error:
        raise refusal(error) from error
    except msgspec.DecodeError as error:
        raise ClientError(f"The event isn't valid JSON: {error}.", "invalid_json") from error
    except UnicodeDecodeError as error:
        raise ClientError("The event isn't UTF-8.", "invalid_json") from error


def event_id_of(raw: str | bytes) -> str | None:
    """Read the id that the client gave to an event that may be wrong otherwise."""
    try:
        event = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    found = event.get("event_id") if isinstance(event, dict) else None
    return found if isinstance(found, str) else None


def refusal(error: msgspec.ValidationError, within: str = "") -> ClientError:
    """Say a failed check as the API says it: what, and at which parameter."""
    message, _, at = str(error).partition(" - at `$")
    param = (within + at.rstrip("`")).lstrip(".")
    if "unknown field" in message:
        name = ".".join(filter(None, [param, message.split("`")[1]]))
        return ClientError(f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    if "missing required field" in message:
        name = ".".join(filter(None, [param, message.split("`")[1]]))
        return ClientError(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    code = "invalid_value" if message.startswith("Invalid") else "invalid_type"
    return ClientError(f"{message}: '{param}'." if param else f"{message}.", code, param or None)


def encode(event: Json) -> str:
    """Write one server event."""
    return _ENCODE(event).decode()
