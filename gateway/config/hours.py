"""Is a line open at this moment? Pure: the moment comes in as Unix seconds, the calendar as a container of dates."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import TypeAlias
from zoneinfo import ZoneInfo

DAY = 24 * 60

Span: TypeAlias = tuple[int, int]
"""Minutes since midnight on the wall clock, the end not included; an end beyond 1440 lies in the next day."""
Week: TypeAlias = tuple[tuple[Span, ...], ...]
"""The spans of seven days, Monday first."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When a line is open, on the wall clock of its place.

    Where clocks go back, an hour that comes twice is open (or closed) both times; where they go forward, what lies in
    the hour that is left out does not happen. So a line opens at eight whatever the season.

    Attributes:
        zone: an IANA name, such as ``Europe/Zurich``.
        week: the usual days.
        days: dates with times of their own, which win over weekdays and holidays.
        holidays: dates on which the usual days don't count.
    """

    zone: str
    week: Week
    days: Mapping[date, tuple[Span, ...]] = field(default_factory=lambda: MappingProxyType({}))
    holidays: Container[date] = ()

    def is_open(self, now: float) -> bool:
        """Say whether the line is open at a moment in Unix seconds."""
        wall = datetime.fromtimestamp(now, ZoneInfo(self.zone))
        today, minute = wall.date(), wall.hour * 60 + wall.minute
        return self._covers(today, minute) or self._covers(today - timedelta(days=1), minute + DAY)

    def _covers(self, day: date, minute: int) -> bool:
        return any(start <= minute < end for start, end in self._spans(day))

    def _spans(self, day: date) -> tuple[Span, ...]:
        if day in self.days:
            return self.days[day]
        return () if day in self.holidays else self.week[day.weekday()]
