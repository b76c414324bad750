"""Word error rate: how many words were heard wrongly."""

from __future__ import annotations

import re

_SAME = {"mr": "mister", "10": "ten", "7": "seven", "4": "four"}


def normal(text: str) -> list[str]:
    """Cut a text into words as they are compared: no case, no punctuation, hyphens as spaces."""
    return [_SAME.get(word, word) for word in re.findall(r"[a-z0-9']+", text.lower())]


def errors(reference: list[str], heard: list[str]) -> int:
    """Count words that are wrong, missing or too many (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(reference, 1):
        before, row[0] = row[0], at
        for to, other in enumerate(heard, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (word != other))
    return row[-1]
