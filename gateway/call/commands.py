"""What a call asks for. Every command is addressed to one side and is carried out in the order given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gateway.call.plan import Plan
from gateway.call.reason import EndReason

# ---- To the carrier's stream ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Play:
    """Queue audio towards the ear: base64 text, ``size`` bytes of G.711, a multiple of 160."""

    payload: str
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Ask to be told when everything played so far has been heard."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Throw away what is queued and unheard."""


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close the media stream; the carrier will then ask what is next."""


# ---- To the carrier's API -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndCall:
    """End the call through the carrier's REST API."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Make the carrier follow another plan at once, through its REST API."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Continue:
    """The answer to a ``ContinuationAsked``. A ``Connect`` in it gets its parameters from the exchange."""

    plan: Plan


# ---- To the agent ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hear:
    """Give the agent a frame of the caller's audio, untouched."""

    payload: str
    size: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop the agent: truncate what was not heard (the tracker says where) and cancel an open response."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Let the agent speak now (``response.create``); ``instructions`` replace its own for this response."""

    instructions: str = ""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    response_id: str


@dataclass(frozen=True, slots=True)
class ForgetItem:
    """Delete an item that nobody heard from the model's memory."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Put a fact into the conversation (a digit, the result of a transfer) as a system message."""

    text: str


@dataclass(frozen=True, slots=True)
class DecideTool:
    """Approve or reject a tool that waits for a person."""

    tool_call_id: str
    approved: bool


@dataclass(frozen=True, slots=True)
class OpenAgent:
    """Connect the model again: a stream came after the model had been closed."""


@dataclass(frozen=True, slots=True)
class CloseAgent:
    """Close the model's session."""


# ---- To the exchange ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finish:
    """The call is over: close its record. Always the last command, exactly once."""

    reason: EndReason


StreamCommand: TypeAlias = Play | Mark | Clear | CloseStream
CarrierCommand: TypeAlias = EndCall | Redirect | Continue
AgentCommand: TypeAlias = (
    Hear | Interrupt | Respond | CancelResponse | ForgetItem | Tell | DecideTool | OpenAgent | CloseAgent
)
Command: TypeAlias = StreamCommand | CarrierCommand | AgentCommand | Finish
