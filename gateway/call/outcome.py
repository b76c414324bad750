"""What callers get where a line does not answer as usual: outside its hours, or while an operator says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from gateway.call.moving import to_target
from gateway.call.plan import HangUp, Plan, Reject, words
from gateway.call.policy import Target


@dataclass(frozen=True, slots=True)
class AgentAnswers:
    """An agent picks up: the one of this name, or the line's own where it is empty."""

    agent: str = ""


@dataclass(frozen=True, slots=True)
class TargetRings:
    """Somebody of the line's transfer targets is rung at once."""

    target: str


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """Callers hear a sentence; then a target is rung, or the call ends.

    ``sound`` is where the carrier finds a recording of it; empty leaves it to the carrier's voice.
    """

    text: str
    sound: str = ""
    then: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The call is refused unanswered."""

    reason: Literal["busy", "rejected"] = "busy"


Outcome: TypeAlias = AgentAnswers | TargetRings | WordsHeard | Refused


def plan_of(outcome: Outcome, language: str, targets: Mapping[str, Target]) -> Plan | None:
    """Return what the carrier does with the call, or None where an agent answers it.

    Raises:
        KeyError: the line has no target of that name (any more).
    """
    match outcome:
        case AgentAnswers():
            return None
        case TargetRings(target):
            return (to_target(targets[target], {}),)
        case WordsHeard(text, sound, then):
            return (words(text, language, sound), to_target(targets[then], {}) if then else HangUp())
        case Refused(reason):
            return (Reject(reason),)
        case _:
            assert_never(outcome)
