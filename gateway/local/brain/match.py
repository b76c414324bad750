"""Which tool the caller means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from gateway.local.brain.schema import Tool
from gateway.local.brain.words import asks_something, name_words, stems

_IN_NAME, _IN_ABOUT, _IN_ENUM, _IN_PARAMETER, _IN_HINT = 2.0, 1.0, 1.5, 1.0, 0.5
STRONG = 2.0
"""From here on it is done without asking back: a word of the tool's own name, or two of its description."""
WEAK = 0.95
_SLIGHT = 0.15
_QUESTION_BONUS = 1.0
_READING_BONUS = 0.75


@dataclass(frozen=True, slots=True)
class Match:
    """A tool, and how well the caller's words fit it."""

    tool: Tool
    score: float

    @property
    def is_strong(self) -> bool:
        """Whether to act on it without asking back."""
        return self.score >= STRONG


def ranked(text: str, tools: Sequence[Tool]) -> list[Match]:
    """Rank the tools for these words, best first; those that don't fit at all are left out."""
    said, asking = stems(text), asks_something(text)
    fields = [_weights(tool) for tool in tools]
    shared = Counter(stem for weights in fields for stem in weights)
    matches: list[Match] = []
    for tool, weights in zip(tools, fields, strict=True):
        hits = said & weights.keys()
        score = sum(weights[hit] / sqrt(shared[hit]) for hit in hits)
        if said and len(hits) / len(said) < _SLIGHT:
            score = min(score, STRONG - 0.1)  # one word of a long story is a guess
        if tool.answers_questions:
            score += _QUESTION_BONUS if asking else 0.0 if tool.is_handoff else -_QUESTION_BONUS
        if tool.reads and score >= WEAK and asking:
            score += _READING_BONUS
        if score >= WEAK:
            matches.append(Match(tool, score))
    # Of two that fit alike, the tool at hand is better than handing the caller on.
    return sorted(matches, key=lambda match: (-match.score, match.tool.is_handoff))


def _weights(tool: Tool) -> dict[str, float]:
    weights: dict[str, float] = {}

    def add(found: set[str], weight: float) -> None:
        for stem in found:
            weights[stem] = max(weights.get(stem, 0.0), weight)

    for parameter in tool.parameters:
        add(stems(parameter.description), _IN_HINT)
        add(stems(parameter.words), _IN_PARAMETER)
        for value in parameter.enum:
            add(stems(name_words(value)) | stems(parameter.hint_of(value)), _IN_ENUM)
    add(stems(tool.about), _IN_ABOUT)
    add(tool.name_stems, _IN_NAME)
    return weights
