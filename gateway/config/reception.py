"""How a line answers a call at a moment: its agent, or what its hours or an operator's override say instead. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.call.outcome import Outcome, plan_of
from gateway.call.plan import Plan
from gateway.config.schema import LineConfig

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
