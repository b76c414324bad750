"""What a line says of its hours (``hours:``), and how that becomes :class:`gateway.config.hours.Hours`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from gateway.config.hours import DAY, Hours, Span
from gateway.config.spoken import Spoken
from gateway.config.units import Checked, wrong

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIMES = re.compile(r"(?P<h1>\d{1,2}):(?P<m1>[0-5]\d)-(?P<h2>\d{1,2}):(?P<m2>[0-5]\d)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMES_REMEDY = 'write it as "08:00-18:00", several with commas, or closed'


def _days_of(key: str) -> Iterator[int]:
    """Go through the weekdays (Monday is 0) that ``mon-fri`` or ``sat,sun`` names."""
    for part in key.split(","):
        first, _, last = part.strip().partition("-")
        if first not in WEEKDAYS or (last and last not in WEEKDAYS):
            raise wrong(f"{key!r} names no days", "write mon, mon-fri, mon,wed or a date such as 2026-12-24")
        at, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        yield at
        while at != end:
            at = (at + 1) % 7
            yield at


def _as_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise wrong(f"there is no day {text}", "write year-month-day, such as 2026-12-24") from None


def _check_days(key: str) -> str:
    if _DATE.fullmatch(key):
        _as_date(key)
    else:
        list(_days_of(key))
    return key


def _spans_of(value: str) -> tuple[Span, ...]:
    if value == "closed":
        return ()
    spans = []
    for part in value.split(","):
        match = _TIMES.fullmatch(part.strip())
        if not match:
            raise wrong(f"{part.strip()!r} is no span of time", _TIMES_REMEDY)
        start, end = (int(match[f"h{at}"]) * 60 + int(match[f"m{at}"]) for at in (1, 2))
        if start >= DAY or end > DAY:
            raise wrong(f"{part.strip()!r} is no span of time", "a day ends at 24:00")
        if start == end:
            raise wrong(f"{part.strip()!r} has no length", 'write "00:00-24:00" for the whole day')
        spans.append((start, end if end > start else end + DAY))  # 22:00-06:00 ends on the next day
    ordered = sorted(spans)
    for (_, end), (start, _) in itertools.pairwise(ordered):
        if start < end:
            raise wrong(f"{value!r} overlaps itself", "write each hour once")
    return tuple(ordered)


def _check_times(value: object) -> object:
    if not isinstance(value, str):
        raise wrong("expected times", _TIMES_REMEDY)
    _spans_of(value)
    return value


def _calendar(code: str) -> Container[date]:
    """Return the public holidays of ``CH`` or ``CH-ZH`` (ISO 3166)."""
    try:
        import holidays  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise wrong(
            "holidays by country need the package holidays", "pip install 'telephony-voice-gateway[holidays]'"
        ) from None
    country, _, part = code.partition("-")
    known = holidays.list_supported_countries(include_aliases=True)
    if country not in known:
        raise wrong(f"no holidays are known of {country!r}", "write a country (CH), a part of one (CH-ZH) or a date")
    if part and part not in known[country]:
        parts = ", ".join(known[country]) or "none"
        raise wrong(f"no holidays are known of {code}", f"parts of {country} are {parts}")
    calendar: Container[date] = holidays.country_holidays(country, subdiv=part or None)
    return calendar


def _check_holidays(value: object) -> object:
    entries = value if isinstance(value, tuple) else (value,)
    for entry in entries:
        if not isinstance(entry, str):
            raise wrong("expected a country or dates", "write CH, CH-ZH, or a list with dates such as 2026-12-24")
        if _DATE.fullmatch(entry):
            _as_date(entry)
        else:
            _calendar(entry)
    return value


def check_then(value: str) -> str:
    """Check what follows a sentence: ``hang_up`` or ``transfer:<name>``."""
    if value in {"voicemail", "reject"} or value.startswith("agent:"):
        raise wrong(f"not supported yet: then: {value}", "write hang_up, or transfer:<name>", unsupported=True)
    if value != "hang_up" and not value.startswith("transfer:"):
        raise wrong(f"{value!r} is nothing that can follow", "write hang_up, or transfer:<name>")
    return value


class ClosedSayConfig(Checked):
    """Outside the hours callers hear a sentence."""

    say: Spoken = Field(description="A sentence in the carrier's voice, or a recording.")
    then: Annotated[str, AfterValidator(check_then)] = Field(
        default="hang_up", description="`hang_up`, or `transfer:<name>`."
    )


class ClosedRejectConfig(Checked):
    """Outside the hours calls are refused unanswered."""

    reject: Literal["busy", "rejected"] = Field(description="What the caller's phone is told.")


def _check_outcome(value: str) -> str:
    kind, _, name = value.partition(":")
    if value == "voicemail":
        raise wrong("not supported yet: voicemail", "write transfer:<name>, or {say: ...}", unsupported=True)
    if kind not in {"agent", "transfer"} or not name:
        raise wrong(
            f"{value!r} is nothing that can happen", "write agent:<name>, transfer:<name>, {say: ...} or {reject: busy}"
        )
    return value


def _which(value: object) -> str:
    if isinstance(value, str):
        return "<name>"
    rejects = "reject" in value if isinstance(value, dict) else isinstance(value, ClosedRejectConfig)
    return "<reject>" if rejects else "<say>"


Closed: TypeAlias = Annotated[
    Annotated[str, AfterValidator(_check_outcome), Tag("<name>")]
    | Annotated[ClosedSayConfig, Tag("<say>")]
    | Annotated[ClosedRejectConfig, Tag("<reject>")],
    Discriminator(_which),
]
_OpenDays: TypeAlias = Annotated[str, AfterValidator(_check_days)]
_OpenTimes: TypeAlias = Annotated[str, BeforeValidator(_check_times)]


class HoursConfig(Checked):
    """When a line is open, and what callers get when it is not."""

    open: dict[_OpenDays, _OpenTimes] = Field(
        min_length=1,
        description='Times by days, on the clock of `timezone`: `mon-fri: "08:00-12:00, 13:00-18:00"`. A date such as '
        "`2026-12-24` wins over its weekday and over holidays; `closed` is a time too.",
    )
    holidays: Annotated[
        str | tuple[str, ...],
        BeforeValidator(_check_holidays),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = Field(
        default=(),
        description="Public holidays of a country (`CH`) or a part of it (`CH-ZH`), a date, or a list of these. The "
        "line is closed on them.",
    )
    closed: Closed = Field(
        description="What happens at other times: `agent:<name>`, `transfer:<name>`, `{say: ...}` or `{reject: busy}`."
    )

    @model_validator(mode="after")
    def _each_day_once(self) -> HoursConfig:
        seen: dict[int, str] = {}
        for key in self.open:
            for day in () if _DATE.fullmatch(key) else _days_of(key):
                if day in seen:
                    raise wrong(f"{WEEKDAYS[day]} is in {seen[day]} and in {key}", "write each day once")
                seen[day] = key
        return self


class _Calendars:
    """Dates of several calendars as one container."""

    def __init__(self, calendars: tuple[Container[date], ...]) -> None:
        self._calendars = calendars

    def __contains__(self, day: Any) -> bool:
        return any(day in calendar for calendar in self._calendars)


def hours_of(config: HoursConfig, zone: str) -> Hours:
    """Return the hours that a line means, in its time zone."""
    week: list[tuple[Span, ...]] = [()] * 7
    days: dict[date, tuple[Span, ...]] = {}
    for key, times in config.open.items():
        if _DATE.fullmatch(key):
            days[date.fromisoformat(key)] = _spans_of(times)
        else:
            for day in _days_of(key):
                week[day] = _spans_of(times)
    entries = (config.holidays,) if isinstance(config.holidays, str) else config.holidays
    dates: Container[date] = frozenset(date.fromisoformat(entry) for entry in entries if _DATE.fullmatch(entry))
    calendars = tuple(_calendar(entry) for entry in entries if not _DATE.fullmatch(entry))
    fixed: Mapping[date, tuple[Span, ...]] = MappingProxyType(days)
    return Hours(zone, tuple(week), fixed, _Calendars((dates, *calendars)))
