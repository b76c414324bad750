"""Numbers, codes, dates and times as people say them and as recognition writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from gateway.local.brain.words import Word

_UNITS = "zero one two three four five six seven eight nine"
_TO_NINETEEN = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_BY_TEN = "twenty thirty forty fifty sixty seventy eighty ninety"
_NTHS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
    " sixteenth seventeenth eighteenth nineteenth twentieth"
)
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_YEAR = "january february march april may june july august september october november december"

_ONES = {word: value for value, word in enumerate(_UNITS.split())} | {"oh": 0}
_TEENS = {word: value for value, word in enumerate(_TO_NINETEEN.split(), 10)}
_TENS = {word: value * 10 for value, word in enumerate(_BY_TEN.split(), 2)}
_ORDINALS = {word: value for value, word in enumerate(_NTHS.split(), 1)} | {"thirtieth": 30}
_WEEKDAYS = _DAYS.split()
_MONTHS = _YEAR.split()
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_REPEATS = {"double": 2, "triple": 3}
_NUMERAL = re.compile(r"\d+(?:\.\d+)?")
_CODE = re.compile(r"(\d+)([a-z])")
_NTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")
_NOT_A_LETTER_ALONE = {"a", "i"}
_AFTERNOON = {"p.m.", "pm", "afternoon", "evening", "tonight"}
_MORNING = {"a.m.", "am", "morning"}
_NOON = 12
_BASE = 10
_LETTERS = 4
"""Letters that recognition runs together when they are spelled: ``ABC``."""
_POINTING = {"this", "that", "the", "which", "another", "other", "any", "no", "every", "a"}


@dataclass(frozen=True, slots=True)
class Found:
    """Something that was said: its value, and which words it took (first and one after the last)."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FoundNumber:
    """A quantity that was said."""

    value: float
    start: int
    end: int


def is_number(word: Word) -> bool:
    """Whether it is a figure or a word for one."""
    return word.lower in _ONES | _TEENS | _TENS | _SCALES | _REPEATS or word.lower[0].isdigit()


def codes(said: Sequence[Word]) -> Iterator[Found]:
    """Find runs of spelled digits and letters: ``one two three``, ``12 A``, ``twelve a``, ``A B C 4 5``."""
    at = 0
    while at < len(said):
        value, end = _run(said, at)
        if value and (any(letter.isdigit() for letter in value) or end - at > 1):
            yield Found(value.upper(), at, end)
        at = max(end, at + 1)


def _run(said: Sequence[Word], at: int) -> tuple[str, int]:
    value, start = "", at
    while at < len(said):
        piece, end = _piece(said, at)
        closing = end == len(said) or not _piece(said, end)[0]
        if not piece or (piece in _NOT_A_LETTER_ALONE and value and not value[-1].isdigit() and closing):
            break
        value, at = value + piece, end
    # "a" and "i" at the edge of a run are words, unless they close one: "12 A", but not "a 12".
    if start < at and said[start].lower in _NOT_A_LETTER_ALONE and at - start > 1 and value[1].isdigit():
        value, start = value[1:], start + 1
    if value in _NOT_A_LETTER_ALONE:
        return "", at
    return value, at


def _piece(said: Sequence[Word], at: int) -> tuple[str, int]:
    word = said[at].lower
    if word in _REPEATS and at + 1 < len(said):
        piece, end = _piece(said, at + 1)
        return piece * _REPEATS[word], end
    if _CODE.fullmatch(word) or word.replace(".", "").isdigit():
        return word.replace(".", ""), at + 1
    if len(word) == 1 and word.isalpha():
        return word, at + 1
    if word == "a.m." and at and said[at - 1].lower.isdigit():
        return "a", at + 1  # recognition writes "12 A" so, now and then; where a time is wanted, times() finds it
    if word.rstrip(".").replace(".", "").isalpha() and "." in word and word not in _AFTERNOON | _MORNING:
        return word.replace(".", ""), at + 1
    if said[at].text.isupper() and word.isalpha() and len(word) <= _LETTERS:
        return word, at + 1
    if any(letter.isdigit() for letter in word) and word.isalnum():
        return word, at + 1
    if word in _ONES:
        return str(_ONES[word]), at + 1
    number = _number(said, at)
    if number is not None:
        return str(int(number.value)), number.end
    return "", at


def numbers(said: Sequence[Word]) -> Iterator[FoundNumber]:
    """Find quantities: ``twenty five``, ``two hundred``, ``3.5``, ``a hundred and ten``."""
    at = 0
    while at < len(said):
        number = _number(said, at)
        if number is not None:
            yield number
            at = number.end
        else:
            at += 1


def _number(said: Sequence[Word], at: int) -> FoundNumber | None:
    word = said[at].lower
    if _NUMERAL.fullmatch(word):
        return FoundNumber(float(word), at, at + 1)
    if word == "one" and at > 0 and said[at - 1].lower in _POINTING:
        return None
    total, current, end = 0, 0, at
    room = _SCALES["hundred"]  # how small the next word must be: "twenty five" is one number, "five twenty" is two
    while end < len(said):
        word = said[end].lower
        value = _ONES.get(word, _TEENS.get(word, _TENS.get(word))) if word != "oh" else None
        if value is not None and value < room and (value or end == at):
            current, room = current + value, _BASE if word in _TENS else 0
        elif word in _SCALES and (end > at or (at > 0 and said[at - 1].lower == "a")):
            current, room = max(current, 1) * _SCALES[word], _SCALES["hundred"]
            if word != "hundred":
                total, current = total + current, 0
        elif word != "and" or end == at or room != _SCALES["hundred"] or not _is_small(said, end + 1):
            break
        end += 1
    return FoundNumber(float(total + current), at, end) if end > at else None


def _is_small(said: Sequence[Word], at: int) -> bool:
    return at < len(said) and said[at].lower in _ONES | _TEENS | _TENS


def dates(said: Sequence[Word], today: date) -> Iterator[Found]:
    """Find days: ``tomorrow``, ``next Monday``, ``March third``, ``the 5th``; as ISO 8601."""
    for at, word in enumerate(said):
        lower = word.lower
        if lower in {"today", "tonight", "tomorrow"}:
            yield Found((today + timedelta(days=int(lower == "tomorrow"))).isoformat(), at, at + 1)
        elif lower in _WEEKDAYS:
            ahead = (_WEEKDAYS.index(lower) - today.weekday()) % 7 or 7
            yield Found((today + timedelta(days=ahead)).isoformat(), at, at + 1)
        elif lower in _MONTHS:
            yield from _month(said, at, today)


def _month(said: Sequence[Word], at: int, today: date) -> Iterator[Found]:
    month = _MONTHS.index(said[at].lower) + 1
    after, before = _day(said, at + 1), _day(said, at - 1)
    if before is None and at >= 2 and said[at - 1].lower == "of":  # noqa: PLR2004 (two words before: "5th of")
        before = _day(said, at - 2)
    day, end = after or (before[0] if before else 0, at + 1)
    if not day:
        return
    year = today.year + (1 if (month, day) < (today.month, today.day) else 0)
    try:
        yield Found(date(year, month, day).isoformat(), at if after else max(at - 2, 0), end)
    except ValueError:
        return  # the 31st of June is no day


def _day(said: Sequence[Word], at: int) -> tuple[int, int] | None:
    if not 0 <= at < len(said):
        return None
    lower = said[at].lower
    if lower == "the":
        return _day(said, at + 1)
    if lower in _ORDINALS:
        return _ORDINALS[lower], at + 1
    if lower in {"twenty", "thirty"} and at + 1 < len(said) and said[at + 1].lower in _ORDINALS:
        return _TENS[lower] + _ORDINALS[said[at + 1].lower], at + 2
    if match := _NTH.fullmatch(lower):
        return int(match.group(1)), at + 1
    number = _number(said, at)
    return (int(number.value), number.end) if number and number.value == int(number.value) else None


def times(said: Sequence[Word]) -> Iterator[Found]:
    """Find times of day: ``7:30 p.m.``, ``half past seven``, ``seven thirty``, ``noon``; as HH:MM of 24 hours."""
    at = 0
    while at < len(said):
        found = _time(said, at)
        if found is not None:
            yield found
        at = found.end if found else at + 1


def _time(said: Sequence[Word], at: int) -> Found | None:
    lower = said[at].lower
    if lower in {"noon", "midday", "midnight"}:
        return Found("00:00" if lower == "midnight" else "12:00", at, at + 1)
    if lower in {"half", "quarter"} and at + 2 < len(said) and said[at + 1].lower in {"past", "to"}:
        hour = _number(said, at + 2)
        if hour is None:
            return None
        minutes = {"half": 30, "quarter": 15}[lower]
        total = hour.value * 60 + (minutes if said[at + 1].lower == "past" else -minutes)
        return _clock(said, int(total) // 60, int(total) % 60, at, hour.end)
    if ":" in lower:
        hours, _, minute = lower.partition(":")
        return _clock(said, int(hours), int(minute), at, at + 1)
    number = _number(said, at)
    if number is None or number.value > 24 or number.value != int(number.value):  # noqa: PLR2004 (hours of a day)
        return None
    more = _number(said, number.end) if number.end < len(said) else None
    if more is not None and 10 <= more.value < 60:  # noqa: PLR2004 (minutes as they are said)
        return _clock(said, int(number.value), int(more.value), at, more.end)
    following = said[number.end].lower if number.end < len(said) else ""
    marked = following in _AFTERNOON | _MORNING | {"o'clock"} or (
        at > 0 and said[at - 1].lower in {"at", "around", "by"}
    )
    return _clock(said, int(number.value), 0, at, number.end) if marked else None


def _clock(said: Sequence[Word], hour: int, minute: int, start: int, end: int) -> Found | None:
    for word in said[end : end + 4]:
        if word.lower in _AFTERNOON and hour < _NOON:
            hour += 12
        if word.lower in _MORNING and hour == _NOON:
            hour = 0
    while end < len(said) and said[end].lower in _AFTERNOON | _MORNING | {"o'clock"}:
        end += 1
    return Found(f"{hour:02d}:{minute:02d}", start, end) if hour < 24 and minute < 60 else None  # noqa: PLR2004
