"""All rules of the doctor, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from gateway.diagnosis import barge_ins, cost, hearing, link, model, tools, unheard, waits
from gateway.diagnosis.case import Case
from gateway.diagnosis.finding import Finding

Rule: TypeAlias = Callable[[Case], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    waits.slow_turns,
    waits.silences,
    waits.choppy,
    unheard.goodbye_cut,
    unheard.words_not_heard,
    unheard.text_only,
    unheard.guardrail_trips,
    barge_ins.false_barge_ins,
    barge_ins.talked_over,
    model.responses,
    model.stuck,
    model.errors,
    model.lost,
    tools.runs,
    tools.loops,
    tools.approvals,
    hearing.transcription,
    hearing.caller_sound,
    hearing.agent_sound,
    hearing.echo,
    link.streams,
    link.frames,
    link.dropped,
    link.marks,
    link.refused,
    link.requests,
    link.transfers,
    link.ends,
    cost.drivers,
)
"""Each looks at the whole call and knows nothing of the others."""


def diagnose(case: Case) -> tuple[Finding, ...]:
    """Return what was wrong with a call, in the order in which it happened; nothing for a healthy one."""
    return tuple(sorted((each for rule in RULES for each in rule(case)), key=lambda each: each.at))
