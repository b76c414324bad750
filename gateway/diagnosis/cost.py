"""What made a call dear, where prices are known: the record then says what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.diagnosis.case import Case
from gateway.diagnosis.finding import Code, Finding

CONTEXT = 8000
"""Tokens of instructions and tools: a quarter of what models keep in mind (32,000), paid again with every answer."""
UNCACHED = 20_000
"""Tokens that went in, from which on it matters that they were not cached; caching begins at 1,024."""
CACHED_SHARE = 0.3
"""From the second answer on nearly all that goes in was there before; less than this is a cache that does not work."""
UNHEARD = 60.0
"""Seconds of speech that nobody heard, if they are also half of what was made: a token of sound is 50 ms."""
_HALF = 0.5


def drivers(case: Case) -> Iterator[Finding]:
    """What cost more than it had to."""
    note = next((note for note in case.story.notes if note.what == "cost"), None)
    if note is None:
        return
    yield from _context(case, note.details)
    yield from _uncached(case, note.details)
    yield from _unheard(case, note.details)


def _context(case: Case, cost: Mapping[str, Any]) -> Iterator[Finding]:
    answers = [response for response in case.story.responses if response.usage.get("input_tokens")]
    if not answers or answers[0].usage["input_tokens"] < CONTEXT:
        return
    yield case.finding(
        Code.COST_CONTEXT,
        answers[0].began,
        f"{answers[0].usage['input_tokens']} tokens went in before anybody spoke, and again with each of "
        f"{len(answers)} answers; what went in cost ${_sum(cost, 'input_', 'cached_'):.2f} of ${cost['total']:.2f}",
        "shorten instructions and tool descriptions; let a tool look up what is seldom needed",
        "instructions",
        "agents",
    )


def _uncached(case: Case, cost: Mapping[str, Any]) -> Iterator[Finding]:
    later = case.story.responses[1:]
    read = sum(response.usage.get("input_tokens", 0) for response in later)
    cached = sum(response.usage.get("cached_tokens", 0) for response in later)
    if read < UNCACHED or cached >= CACHED_SHARE * read:
        return
    handoffs = sum(bool(before) for _, before, _ in case.story.handoffs)
    yield case.finding(
        Code.COST_UNCACHED,
        later[0].began,
        f"only {cached} of {read} tokens came from the cache ({handoffs} handoffs); what was not cached cost "
        f"${_sum(cost, 'input_'):.2f} of ${cost['total']:.2f}",
        "keep what stands first the same: instructions without times or ids in them, and few handoffs",
        "instructions",
        "agents",
    )


def _unheard(case: Case, cost: Mapping[str, Any]) -> Iterator[Finding]:
    made = sum(response.audio_ms for response in case.story.responses) / 1000
    heard = sum(turn.heard_ms for turn in case.agent_turns) / 1000
    if made - heard < UNHEARD or made - heard < _HALF * made:
        return
    yield case.finding(
        Code.COST_UNHEARD,
        case.agent_turns[0].began if case.agent_turns else 0.0,
        f"{made - heard:.0f} of {made:.0f} s of speech were made and paid and never heard; speech cost "
        f"${_sum(cost, 'output_audio'):.2f} of ${cost['total']:.2f}",
        "ask for short answers in the instructions, and limit their length",
        "model.max_output_tokens",
        "instructions",
    )


def _sum(cost: Mapping[str, Any], *kinds: str) -> float:
    return float(sum(dollars for kind, dollars in cost["usage"].items() if kind.startswith(kinds)))
