"""What a line allows, as the call needs it. All durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gateway.call.plan import Announce, Say, words

EndRoute: TypeAlias = Literal["stream", "rest"]
"""How a call is ended or moved: by closing the stream and answering what the carrier then asks, or by its REST API."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Recorded words: base64 G.711, ``size`` bytes (a multiple of 160), and what they say."""

    payload: str
    size: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """When a caller may cut the agent short.

    ``min_speech`` over zero makes the call wait for that much speech before it cuts; the model then neither interrupts
    nor responds by itself, and the call alone decides (design rule 2).
    """

    allowed: bool = True
    min_speech: float = 0.0
    protect_greeting: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody that the line may transfer to, by name: ``to``, or the ``workflow`` that finds a person.

    ``attributes`` are what the workflow routes by. With ``refer`` the caller's own telephone system makes the call.
    """

    name: str
    to: str = ""
    timeout_s: int = 20
    caller_id: str = ""
    workflow: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    priority: int | None = None
    refer: bool = False


@dataclass(frozen=True, slots=True)
class OnFailure:
    """What the caller hears when the agent can't speak: a sentence, then a target's phone or goodbye."""

    say: str = "We are sorry, we have a technical problem. Please call again later."
    then: str = ""
    """The name of a transfer target; empty ends the call."""
    sound: str = ""
    """Where the carrier finds a recording of ``say``; empty leaves it to the carrier's voice."""

    def words(self, language: str) -> Say | Announce:
        """Return the verb that says it."""
        return words(self.say, language, self.sound)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything of a line that the call's own decisions depend on."""

    line: str
    language: str = "en-US"
    greeting: str = ""
    greeting_clip: Clip | None = None
    barge_in: BargeIn = field(default_factory=BargeIn)
    transfers: Mapping[str, Target] = field(default_factory=dict)
    on_failure: OnFailure = field(default_factory=OnFailure)
    end_by: EndRoute = "stream"
    return_to: str = ""
    """Where the call goes in place of its end: the URL of whoever sent it here. Empty ends it."""
    max_duration: float = 1800.0
    silence: float = 60.0
    """The call ends after this long without speech on either side."""
    last_word: float = 10.0
    """The longest wait for the agent's last word before hanging up or transferring."""
    model_ready: float = 4.0
    """The longest wait for the model after the stream began, before on_failure is heard."""
    end_of_speech: float = 0.5
    """The silence that makes the model call a turn over; it is part of the model's own mark of the end."""
    response_stuck: float = 10.0
    """The longest silence of the model while it owes us something."""
    approval: float = 30.0
    """The longest wait for a person's yes to a tool; then it is no."""
    approve_by_keypad: bool = True
    """The caller may say yes with 1 and no with 2."""

    @property
    def owns_responses(self) -> bool:
        """Whether the call, not the model's turn detection, starts every response."""
        return self.barge_in.min_speech > 0 or not self.barge_in.allowed or self.barge_in.protect_greeting
