"""What the instructions themselves say: a greeting, and plain statements that answer a question."""

from __future__ import annotations

import re

from gateway.local.brain import phrases
from gateway.local.brain.words import stems

_SENTENCES = re.compile(r"(?<=[.!?])[\"\u201d]?\s+|\n+\s*[-*#\d.]*\s*")
_GREETS = re.compile(
    r"\b(?:greet|welcome|begin|start|open|answer)\w*\b[^\"\u201c]*[\"\u201c]([^\"\u201d]+)[\"\u201d]", re.IGNORECASE
)
_ORDER = re.compile(
    r"^\W*(?:you\b|your\b|be\b|do\b|don't|never|always|ask|say|tell|use|call|if\b|when\b|greet|keep|speak|answer|help|act"
    r"|respond|reply|make|please|only|first|then|once|before|after|try|avoid|let|give|offer|transfer|hand|#)",
    re.IGNORECASE,
)
_TO_AGENT = re.compile(r"\b(?:caller|customer|user|tool|agent|handoff|transfer)s?\b", re.IGNORECASE)
_SHARE = 0.5


def greeting(instructions: str) -> str:
    """Give what the instructions want said first, or a plain greeting."""
    match = _GREETS.search(instructions)
    return " ".join(match.group(1).split()) if match else phrases.GREETING


def about(text: str, instructions: str) -> str:
    """Give the statement of the instructions that is about the same thing, or nothing.

    Only statements count: what tells the agent how to behave is not read out.
    """
    wanted = stems(text)
    best, best_share = "", 0.0
    for sentence in _SENTENCES.split(instructions):
        if not sentence.strip() or _ORDER.match(sentence) or _TO_AGENT.search(sentence):
            continue
        share = len(wanted & stems(sentence)) / len(wanted) if wanted else 0.0
        if share > best_share:
            best, best_share = " ".join(sentence.split()), share
    return best if best_share >= _SHARE else ""
