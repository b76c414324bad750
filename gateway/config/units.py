"""The kinds of values that a line file holds: durations, phone numbers, names, references to Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

NAME = re.compile(r"[a-z][a-z0-9_-]*")
REFERENCE = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")
"""``module:name`` in the user's Python."""
VARIABLE = re.compile(r"\{\{\s*(?P<name>[^{}]*?)\s*\}\}")
ENVIRONMENT = re.compile(r"\$\{(?P<name>[A-Z_][A-Z0-9_]*)\}")

_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DAYS = re.compile(r"(?P<number>[1-9]\d{0,4})(?P<unit>[dy])")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|\d{3}))?")


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with its ``{{variables}}`` filled in, once: a value that looks like a variable stays as it is."""
    return VARIABLE.sub(lambda match: variables.get(match["name"], ""), text)


class Checked(BaseModel):
    """A part of a file: nothing unknown in it, nothing converted silently, never changed after it was read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def wrong(message: str, remedy: str = "", *, unsupported: bool = False) -> PydanticCustomError:
    """Return the error of a value: what is wrong, and what to write instead."""
    kind = "unsupported" if unsupported else "wrong"
    return PydanticCustomError(kind, "{message}", {"message": message, "remedy": remedy})


def lacking(message: str, remedy: str) -> PydanticCustomError:
    """Return the error of keys of which one had to be there."""
    return PydanticCustomError("lacking", "{message}", {"message": message, "remedy": remedy})


def parse_duration(value: object) -> object:
    """Turn ``20s`` into 20.0; anything that has no unit is refused."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match["number"]) * _SECONDS[match["unit"]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise wrong(f"{value} has no unit", f'write "{value}s" for seconds; units are ms, s, m and h')
    raise wrong(f"{value!r} is not a duration", 'write a number and ms, s, m or h, such as "20s"')


def format_duration(seconds: float) -> str:
    """Turn 1800.0 into ``30m``: the shortest form that reads back as the same."""
    if seconds == 0:
        return "0s"
    for unit in ("h", "m", "s"):
        if (count := seconds / _SECONDS[unit]) == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds * 1000:.3f}".rstrip("0").rstrip(".") + "ms"


def parse_days(value: object) -> object:
    """Turn ``90d`` or ``1y`` into a number of days."""
    if isinstance(value, str) and (match := _DAYS.fullmatch(value)):
        return int(match["number"]) * (365 if match["unit"] == "y" else 1)
    raise wrong(f"{value!r} is not a number of days", 'write it with d or y, such as "90d" or "1y"')


def in_seconds(days: int | None) -> float | None:
    """Return days as seconds; None stays."""
    return None if days is None else days * 86_400.0


def between(low: str, high: str) -> Callable[[float], float]:
    """Return a check that a duration lies between two others, both allowed."""
    least, most = _as_seconds(low), _as_seconds(high)

    def check(value: float) -> float:
        if not least <= value <= most:
            raise wrong(f"{format_duration(value)} is out of range", f"write {low} to {high}")
        return value

    return check


def _as_seconds(text: str) -> float:
    seconds = parse_duration(text)
    assert isinstance(seconds, float)  # noqa: S101 - the bounds are ours
    return seconds


def whole_seconds(value: float) -> float:
    if value != int(value):
        raise wrong(f"{format_duration(value)} is not a whole number of seconds", "the carrier counts in seconds")
    return value


def parse_number(value: object) -> object:
    """Return a phone number in E.164 (ITU-T), as it was written; anything else is refused."""
    import phonenumbers  # noqa: PLC0415 - its metadata takes a moment to load, and only files with numbers need it

    example = 'write it in E.164 and in quotes: "+14155550100"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:  # a leading zero is lost by now, and what is left may be another country's
            valid = phonenumbers.is_valid_number(phonenumbers.parse(f"+{value}"))
        except phonenumbers.NumberParseException:
            valid = False
        remedy = f'put it in quotes: "+{value}"' if valid else example
        raise wrong(f"found a number, {value}, where a phone number belongs", remedy)
    if not isinstance(value, str):
        raise wrong("expected a phone number", example)
    digits = re.sub(r"[\s().\u2010-\u2015/-]", "", value)
    if digits != value and re.fullmatch(r"\+[1-9]\d{6,14}", digits):
        raise wrong(f"{value!r} is not in E.164", f'write it without spaces and signs: "{digits}"')
    if re.fullmatch(r"[1-9]\d{6,14}", digits):
        raise wrong(f"{value!r} has no country code", "E.164 begins with + and the country's code, as in +14155550100")
    try:
        possible = phonenumbers.is_possible_number(phonenumbers.parse(value))
    except phonenumbers.NumberParseException:
        possible = False
    if not possible or not re.fullmatch(r"\+[1-9]\d{6,14}", value):
        raise wrong(f"{value!r} is not a phone number", example)
    return value


def _parse_dialled(value: object) -> object:
    if isinstance(value, str) and value.startswith(("sip:", "sips:", "client:")):
        if re.fullmatch(r"sips?:[^\s@]+@[^\s@]+|client:[^\s@]+", value):
            return value
        raise wrong(f"{value!r} is not an address", "write sip:name@host, or client:name")
    if isinstance(value, str) and value.startswith("app:"):
        if re.fullmatch(r"app:AP[0-9a-f]{32}", value):
            return value
        raise wrong(f"{value!r} is not a TwiML App", "write app: and its sid, AP and 32 hexadecimal digits")
    return parse_number(value)


def _check_language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise wrong(f"{value!r} is not a language tag", "write it as in BCP 47: en-US, de-CH, fr")
    return value


def _check_timezone(value: str) -> str:
    import difflib  # noqa: PLC0415 - only lines with a time zone pay for it
    import zoneinfo  # noqa: PLC0415

    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()  # Slow: it looks at every file.
        near = difflib.get_close_matches(value, known, n=1)
        remedy = f"did you mean {near[0]}?" if near else "such as Europe/Zurich"
        raise wrong(f"{value!r} is not a time zone", remedy) from None
    return value


def _check_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise wrong(f"{value!r} is not a name", "use lower-case letters, digits, _ and -, beginning with a letter")
    return value


Seconds: TypeAlias = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^{_DURATION.pattern}$".replace("?P<number>", "").replace("?P<unit>", "")}
    ),
]
"""Written as ``20s``, ``30m`` or ``200ms``; held as seconds."""

Days: TypeAlias = Annotated[
    int,
    BeforeValidator(parse_days),
    PlainSerializer(lambda days: f"{days}d", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[1-9]\d{0,4}[dy]$"}),
]
"""How long something is kept, written as ``90d`` or ``1y``; held as days."""

PhoneNumber: TypeAlias = Annotated[
    str, BeforeValidator(parse_number), WithJsonSchema({"type": "string", "pattern": r"^\+[1-9]\d{6,14}$"})
]
Dialled: TypeAlias = Annotated[
    str,
    BeforeValidator(_parse_dialled),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\+[1-9]\d{6,14}|sips?:[^\s@]+@[^\s@]+|client:[^\s@]+|app:AP[0-9a-f]{32})$"}
    ),
]
"""Who can be rung: a number in E.164, ``sip:name@host``, ``client:name`` or ``app:AP...``."""
Name: TypeAlias = Annotated[str, AfterValidator(_check_name)]
Language: TypeAlias = Annotated[str, AfterValidator(_check_language)]
Timezone: TypeAlias = Annotated[str, AfterValidator(_check_timezone)]
