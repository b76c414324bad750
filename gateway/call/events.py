"""What can happen to a call.

Times inside events are the sender's own (milliseconds of the carrier's stream or of the model's input buffer); the
moment at which an event arrived is the ``now`` that goes with it to :meth:`gateway.call.call.Call.handle`.
Audio is the base64 text as it came, with its size in G.711 bytes (8 bytes are one millisecond).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

StopCause: TypeAlias = Literal["stop", "closed", "lost", "malformed", "superseded"]
"""Why a stream ended: Twilio's ``stop``, our close, a broken socket, too many bad messages, a newer stream."""

Blame: TypeAlias = Literal["caller", "agent", "operator", "gateway"]


# ---- The caller's leg -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The carrier opened the media stream with this number (1 is the call's first)."""

    stream_sid: str
    stream: int


@dataclass(frozen=True, slots=True)
class CallerAudio:
    """One frame from the caller; ``timestamp_ms`` is the carrier's own, from the start of the stream."""

    payload: str
    size: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class DigitPressed:
    digit: str


@dataclass(frozen=True, slots=True)
class MarkReached:
    """The carrier echoed a mark: the audio before it was played, or thrown away by a clear."""

    name: str


@dataclass(frozen=True, slots=True)
class StreamStopped:
    """The media stream is gone. The call may live on."""

    stream: int
    cause: StopCause


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The carrier's word on the whole call, in Twilio's terms (``in-progress``, ``completed``, ...)."""

    status: str


@dataclass(frozen=True, slots=True)
class ContinuationAsked:
    """A ``<Connect>`` or ``<Dial>`` is over and the carrier asks what is next; answered by one ``Continue``.

    ``dial_status`` is Twilio's DialCallStatus after a ``<Dial>``, else empty. ``status`` is its CallStatus.
    """

    status: str = ""
    dial_status: str = ""


@dataclass(frozen=True, slots=True)
class CarrierFailed:
    """A request to the carrier (``hang-up`` or ``redirect``) failed for good."""

    operation: str
    reason: str


# ---- The agent's side -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AgentReady:
    """The model is connected and has confirmed the audio formats; ``session`` counts the call's model sessions."""

    session: int


@dataclass(frozen=True, slots=True)
class AgentAudio:
    """A piece of the agent's speech, any whole number of bytes long."""

    session: int
    response_id: str
    item_id: str
    content_index: int
    payload: str
    size: int


@dataclass(frozen=True, slots=True)
class AgentAudioDone:
    """No more audio will come for this item."""

    session: int
    item_id: str
    content_index: int


@dataclass(frozen=True, slots=True)
class AgentTranscribed:
    """Text of what the agent says, as it is generated (``final`` carries the whole text once more)."""

    session: int
    item_id: str
    content_index: int
    text: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class CallerTranscribed:
    """Text of what the caller said; arrives late and out of order (``final`` carries the whole text)."""

    item_id: str
    text: str
    final: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The model's voice detector heard speech begin, at this millisecond of the audio appended in this session."""

    item_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    response_id: str


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """The model finished a response: ``status`` is completed, cancelled, failed or incomplete."""

    response_id: str
    status: str
    code: str = ""
    usage: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentChanged:
    """Another agent took over (the SDK's handoff); the first one comes from nobody."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    tool: str
    arguments: str
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolEnded:
    tool: str
    output: str
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """A tool waits for a person's yes."""

    tool: str
    arguments: str
    tool_call_id: str


@dataclass(frozen=True, slots=True)
class GuardrailTripped:
    """Output guardrails refused what an item says; all of the item is to be unheard."""

    guardrails: tuple[str, ...]
    item_id: str
    response_id: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The agent's side has carried out an ``Interrupt``: the truncation has left."""


@dataclass(frozen=True, slots=True)
class AgentErred:
    """The model reported an error and goes on."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The model is gone, or never came: ``reason`` is kebab-case (``model-unreachable``, ``model-lost``, ...)."""

    session: int
    reason: str
    detail: str = ""


# ---- What somebody wants, and time ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HangUpAsked:
    """Somebody wants the call over, after the last word was heard; ``reason`` is kebab-case."""

    by: Blame
    reason: str


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The agent or an operator wants the caller transferred to a target that the line names."""

    by: Blame
    target: str


@dataclass(frozen=True, slots=True)
class VariableSet:
    """The agent noted something for whoever gets the call next, under a name that the line declares."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """A person said yes or no to a tool."""

    tool_call_id: str
    approved: bool
    by: str


@dataclass(frozen=True, slots=True)
class AudioDropped:
    """A side could not keep up: this many milliseconds were thrown away on the way to it."""

    side: Literal["agent", "carrier"]
    milliseconds: int


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """A malformed message of the carrier was counted and ignored."""

    why: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The deadline that the call last named has come."""


CarrierEvent: TypeAlias = (
    StreamStarted
    | CallerAudio
    | DigitPressed
    | MarkReached
    | StreamStopped
    | StatusChanged
    | ContinuationAsked
    | CarrierFailed
    | MessageRefused
)
AgentEvent: TypeAlias = (
    AgentReady
    | AgentAudio
    | AgentAudioDone
    | AgentTranscribed
    | CallerTranscribed
    | SpeechStarted
    | SpeechStopped
    | ResponseStarted
    | ResponseDone
    | AgentChanged
    | ToolStarted
    | ToolEnded
    | ApprovalAsked
    | GuardrailTripped
    | Interrupted
    | AgentErred
    | AgentLost
)
Event: TypeAlias = (
    CarrierEvent | AgentEvent | HangUpAsked | TransferAsked | VariableSet | ApprovalGiven | AudioDropped | TimePassed
)
