"""What the caller's words say about a tool's parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from gateway.local.brain import spoken
from gateway.local.brain.schema import Parameter, Tool
from gateway.local.brain.words import STOP, Word, is_no, is_yes, name_words, stem, stems, words

_FILLER = re.compile(
    r"^(?:\W*(?:um+|uh+|well|okay|ok|so|yes|yeah|sure|please|hi|hello|and|oh|it is|it's|that is|that's|that would be"
    r"|this is|my name is|the name is|i am|i'm|i want|i'd like|i would like|make it|let's say|let's take"
    r"|i need|to|the|a|an)\b\W*)+",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?i:my name is|the name is|this is|i am|i'm|name's|called)\s+((?:[A-Z][\w'-]+\s?){1,3})")
_PLACE = re.compile(r"\b(?:in|at|from|to|near|for|of)\s+((?:[A-Z][\w'-]+\s?){1,3})")
_POLITE = re.compile(r"[\s,]*\b(?:please|thanks|thank you|then|instead)\W*$", re.IGNORECASE)
_NAMES = stems("name")
_CUE_REACH = 5
_LONG_CODE = 4


@dataclass(slots=True)
class _Candidate:
    parameter: Parameter
    value: Any
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Filled:
    """What is known of a tool's arguments, and which of the needed ones are not."""

    known: dict[str, Any] = field(default_factory=dict)
    missing: tuple[Parameter, ...] = ()


def fill(
    tool: Tool,
    text: str,
    *,
    known: Mapping[str, Any],
    today: date,
    asked: str = "",
    earlier: Mapping[str, Any] | None = None,
) -> Filled:
    """Fill a tool's parameters from what was said.

    Args:
        tool: the tool.
        text: the caller's words.
        known: what is known already; it is replaced where the caller says it anew.
        today: for days.
        asked: the parameter that the caller was just asked for: then even a bare answer is one.
        earlier: arguments of earlier calls, used where the caller says nothing.
    """
    values = dict(known)
    values |= _assign(tool.parameters, text, today, asked)
    for parameter in tool.parameters:
        if parameter.name in values:
            continue
        if parameter.name == asked and (answer := _bare(parameter, text)) is not None:
            values[parameter.name] = answer
        elif parameter.is_free_text and not known and not asked:
            values[parameter.name] = text.strip()
        elif earlier and parameter.name in earlier and parameter.names_caller:
            values[parameter.name] = earlier[parameter.name]
        elif parameter.required and (only := _only(parameter, tool)) is not None:
            values[parameter.name] = only
    missing = tuple(one for one in tool.parameters if one.required and one.name not in values)
    return Filled(values, missing)


def complete(tool: Tool, known: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments in the schema's order, null for what it wants named and nobody said."""
    arguments: dict[str, Any] = {}
    for parameter in tool.parameters:
        if parameter.name in known:
            arguments[parameter.name] = known[parameter.name]
        elif parameter.nullable:
            arguments[parameter.name] = parameter.default
    return arguments


def _only(parameter: Parameter, tool: Tool) -> str | None:
    """Give the value that needs no asking: the only one, or for the end of a call the first."""
    if len(parameter.enum) == 1 or (parameter.enum and tool.ends_call):
        return parameter.enum[0]
    return None


def _assign(parameters: Sequence[Parameter], text: str, today: date, asked: str) -> dict[str, Any]:
    """Give every candidate to one parameter, the surest first, no word to two."""
    said = words(text)
    candidates = [found for parameter in parameters for found in _candidates(parameter, said, text, today, asked)]
    values: dict[str, Any] = {}
    taken: set[int] = set()
    for one in sorted(candidates, key=lambda found: -found.score):
        span = set(range(one.start, one.end))
        if one.parameter.name not in values and not span & taken:
            values[one.parameter.name] = one.value
            taken |= span
    return values


def _candidates(parameter: Parameter, said: list[Word], text: str, today: date, asked: str) -> list[_Candidate]:
    bonus = 3.0 if parameter.name == asked else 0.0
    found = [
        _Candidate(parameter, value, start, end, score + bonus + _cue(parameter, said, start))
        for value, start, end, score in _values(parameter, said, text, today, asked=bool(bonus))
    ]
    if parameter.kind == "string" and not parameter.enum:
        found = [one for one in found if parameter.takes(str(one.value))]
    return found


def _values(
    parameter: Parameter, said: list[Word], text: str, today: date, *, asked: bool
) -> list[tuple[Any, int, int, float]]:
    if parameter.enum:
        return _enum_values(parameter, said)
    if parameter.kind == "boolean":
        known = True if is_yes(text) else False if is_no(text) else None
        return [] if known is None or not asked else [(known, 0, 1, 1.0)]
    if parameter.kind in {"integer", "number"}:
        return _number_values(parameter, said)
    if parameter.kind != "string" or parameter.is_free_text:
        return []
    if parameter.is_date:
        return [(one.value, one.start, one.end, 4.0) for one in spoken.dates(said, today)]
    if parameter.is_time:
        return [(one.value, one.start, one.end, 4.0) for one in spoken.times(said)]
    return _string_values(parameter, said, text, asked=asked)


def _string_values(
    parameter: Parameter, said: list[Word], text: str, *, asked: bool
) -> list[tuple[Any, int, int, float]]:
    found: list[tuple[Any, int, int, float]] = []
    cases = (str.upper, str.lower) if parameter.pattern else (str.upper,)
    names_person = bool(stems(parameter.words) & _NAMES)
    for one in spoken.codes(said):
        if parameter.is_identifier:
            score = 2.0 if len(one.value) >= _LONG_CODE or parameter.pattern else 1.0
        else:
            score = 1.5 if any(letter.isalpha() for letter in one.value) else 1.0
        cued = asked or parameter.pattern or parameter.is_identifier or _cue(parameter, said, one.start)
        if cued or (not names_person and any(letter.isalpha() for letter in one.value)):
            found += [(case(one.value), one.start, one.end, score) for case in cases]
    wanted = _NAMED if names_person else _PLACE
    if not parameter.is_identifier and (match := wanted.search(text)):
        start = len(words(text[: match.start(1)]))
        value = match.group(1).strip()
        if not {one.lower() for one in value.split()} & STOP:
            found.append((value, start, start + len(value.split()), 0.8))
    return found


def _number_values(parameter: Parameter, said: list[Word]) -> list[tuple[Any, int, int, float]]:
    found: list[tuple[Any, int, int, float]] = []
    for one in spoken.numbers(said):
        value = int(one.value) if parameter.kind == "integer" or one.value.is_integer() else one.value
        fits = (parameter.least is None or value >= parameter.least) and (
            parameter.most is None or value <= parameter.most
        )
        if fits:
            found.append((value, one.start, one.end, 1.2))
    if parameter.kind == "integer":
        found += [(int(one.value), one.start, one.end, 1.3) for one in spoken.codes(said) if one.value.isdigit()]
    return found


def _enum_values(parameter: Parameter, said: list[Word]) -> list[tuple[Any, int, int, float]]:
    found: list[tuple[Any, int, int, float]] = []
    for value in parameter.enum:
        hints = stems(parameter.hint_of(value))
        hinted = [at for at, word in enumerate(said) if word.stem in hints and word.lower not in STOP]
        found += [(value, at, at + 1, 1.0) for at in hinted[:1]]
        wanted = [stem(one.lower) for one in words(name_words(value))]
        hits = [
            at for at, word in enumerate(said) if word.stem in wanted and (word.lower not in STOP or len(wanted) == 1)
        ]
        share = len({said[at].stem for at in hits}) / max(len(set(wanted)), 1)
        if hits and share > 0.5:  # noqa: PLR2004 (more than half of the value's words)
            found.append((value, hits[0], hits[-1] + 1, 1.0 + share))
    return found


def _cue(parameter: Parameter, said: list[Word], at: int) -> float:
    """Tell how much the words before a value speak for this parameter."""
    names = stems(parameter.words)
    score = 0.0
    for back in range(1, _CUE_REACH + 1):
        if at - back < 0:
            break
        if said[at - back].stem in names:
            score = max(score, 2.0 - 0.3 * back)
    return score


def _bare(parameter: Parameter, text: str) -> Any:
    """Take a whole answer as the value, where a plain string was asked for."""
    if parameter.kind != "string" or parameter.enum or parameter.is_date or parameter.is_time:
        return None
    if parameter.is_free_text:
        return text.strip() or None
    answer = _POLITE.sub("", _FILLER.sub("", text.strip())).strip(" .,!?;:")
    if not answer or parameter.is_identifier or not parameter.takes(answer):
        return None
    return answer if len(answer.split()) <= 6 else None  # noqa: PLR2004 (longer is a story, not a value)
