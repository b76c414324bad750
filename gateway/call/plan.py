"""What the carrier is told to do with a call: a few verbs, in order. Carriers render them (Twilio as TwiML)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a media stream to us. The parameters (the token among them) come back in the stream's first message."""

    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring somebody else and join the caller to them; ``to`` is a number in E.164, or ``sip:`` or ``client:``."""

    to: str
    timeout_s: int = 20
    caller_id: str = ""
    ask_after: bool = True
    """Ask us what is next when the dialled party is gone or can't be reached."""


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Put the caller into the queue of a workflow (TaskRouter, Flex) that finds a person for them.

    ``attributes`` is what the workflow routes by and the person sees: a JSON object of at most 1,024 characters.
    """

    workflow: str
    attributes: str = "{}"
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Refer:
    """Have the caller's own telephone system call somebody else (``sip:``) and drop us; for calls over SIP only."""

    to: str


@dataclass(frozen=True, slots=True)
class Return:
    """Give the call back to whoever sent it here: the carrier asks this URL what is next."""

    url: str


@dataclass(frozen=True, slots=True)
class Markup:
    """Elements of the operator's own document, as they stand: they were checked when the configuration was read."""

    text: str


@dataclass(frozen=True, slots=True)
class Say:
    """Words in the carrier's own voice, for when the agent can't speak."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Announce:
    """A sound file of the operator's, fetched and played by the carrier; ``text`` is what it says.

    ``url`` is absolute, or a path of the gateway's own that begins with a slash.
    """

    url: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the call unanswered; only as a plan's only verb."""

    reason: Literal["busy", "rejected"] = "busy"


def words(text: str, language: str, sound: str = "") -> Say | Announce:
    """Return the verb that says a text: in the carrier's voice, or as the recording that is found at ``sound``."""
    return Announce(sound, text) if sound else Say(text, language)


Verb: TypeAlias = Connect | Dial | Enqueue | Refer | Return | Markup | Say | Announce | HangUp | Reject
Plan: TypeAlias = tuple[Verb, ...]
