"""How a line answers a call at a moment: its agent, or what its hours or an operator's override say instead. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from gateway.call.outcome import AgentAnswers, Outcome, Refused, TargetRings, WordsHeard, plan_of
from gateway.call.plan import Plan
from gateway.config.resolved import ClosedLine, LineConfig

Why: TypeAlias = Literal["", "after-hours", "override", "override-without-target"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answers: the agent of ``line``, or nobody where there is a ``plan``; and why it is not as usual."""

    line: LineConfig
    plan: Plan | None = None
    why: Why = ""


def answer(line: LineConfig, override: Outcome | None, now: float) -> Answer:
    """Decide how a line answers at a moment in Unix seconds; an override wins over the hours."""
    if override is not None:
        try:
            return Answer(line, plan_of(override, line.language, line.transfer), "override")
        except KeyError:  # The lines were edited since, and the target is gone; callers had better get the agent.
            return Answer(line, None, "override-without-target")
    closed = line.closed
    if closed is None or closed.hours.is_open(now):
        return Answer(line)
    plan = plan_of(closed.outcome, line.language, line.transfer)
    return Answer(closed.line or line, plan, "after-hours")


def outcome_name(answered: Answer, closed: ClosedLine | None) -> str:
    """Return in a word what callers get: ``agent``, ``agent:NAME``, ``transfer:NAME``, ``say`` or ``busy``."""
    outcome = closed.outcome if closed is not None and answered.why == "after-hours" else AgentAnswers()
    match outcome:
        case AgentAnswers(agent):
            return f"agent:{agent}" if agent else "agent"
        case TargetRings(target):
            return f"transfer:{target}"
        case WordsHeard():
            return "say"
        case Refused(reason):
            return reason
        case _:
            assert_never(outcome)
