"""Hours are pure: the moment comes in. The tables hold dates around the days on which clocks change."""

from datetime import UTC, date, datetime

import pytest

from gateway.config.hours import Hours
from gateway.config.loader import load

WORKDAYS = ((8 * 60, 18 * 60),)
NIGHT = ((22 * 60, 30 * 60),)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("zone", "moment", "is_open"),
    [
        # Zurich, clocks forward on Sunday 2026-03-29: 08:00 is 07:00 UTC before and 06:00 UTC after.
        ("Europe/Zurich", "2026-03-27T06:59:59", False),
        ("Europe/Zurich", "2026-03-27T07:00:00", True),
        ("Europe/Zurich", "2026-03-27T16:59:59", True),
        ("Europe/Zurich", "2026-03-27T17:00:00", False),
        ("Europe/Zurich", "2026-03-30T05:59:59", False),
        ("Europe/Zurich", "2026-03-30T06:00:00", True),
        ("Europe/Zurich", "2026-03-30T15:59:59", True),
        ("Europe/Zurich", "2026-03-30T16:00:00", False),
        # Clocks back on Sunday 2026-10-25.
        ("Europe/Zurich", "2026-10-23T06:00:00", True),
        ("Europe/Zurich", "2026-10-26T06:00:00", False),
        ("Europe/Zurich", "2026-10-26T07:00:00", True),
        # Los Angeles: forward on 2026-03-08, back on 2026-11-01.
        ("America/Los_Angeles", "2026-03-06T16:00:00", True),
        ("America/Los_Angeles", "2026-03-06T15:59:59", False),
        ("America/Los_Angeles", "2026-03-09T15:00:00", True),
        ("America/Los_Angeles", "2026-03-09T14:59:59", False),
        ("America/Los_Angeles", "2026-11-02T15:59:59", False),
        ("America/Los_Angeles", "2026-11-02T16:00:00", True),
        # Friday evening there is Saturday in UTC, and Monday morning in Auckland is Sunday in UTC.
        ("America/Los_Angeles", "2026-01-10T01:59:59", True),
        ("Pacific/Auckland", "2026-01-11T19:00:00", True),
        ("Pacific/Auckland", "2026-01-11T18:59:59", False),
        # Lord Howe moves by half an hour (2026-04-05), India never.
        ("Australia/Lord_Howe", "2026-04-02T21:00:00", True),
        ("Australia/Lord_Howe", "2026-04-05T21:00:00", False),
        ("Australia/Lord_Howe", "2026-04-05T21:30:00", True),
        ("Asia/Kolkata", "2026-07-06T02:30:00", True),
        # Weekends.
        ("Europe/Zurich", "2026-03-28T10:00:00", False),
        ("Europe/Zurich", "2026-03-29T10:00:00", False),
    ],
)
def test_eight_to_six_on_workdays_is_that_on_the_wall_clock(zone, moment, is_open):
    hours = Hours(zone, (*[WORKDAYS] * 5, (), ()))
    assert hours.is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-29T00:29:59", False),  # 01:29:59, before
        ("2026-03-29T00:30:00", True),  # 01:30
        ("2026-03-29T00:59:59", True),  # the last second before 03:00
        ("2026-03-29T01:00:00", False),  # 03:00: what lies in the missing hour does not happen
        ("2026-10-25T00:15:00", True),  # 02:15 for the first time
        ("2026-10-25T00:45:00", False),  # 02:45
        ("2026-10-25T01:15:00", True),  # 02:15 again
        ("2026-10-25T01:30:00", False),
    ],
)
def test_an_hour_that_is_missing_or_comes_twice(moment, is_open):
    hours = Hours("Europe/Zurich", ((),) * 6 + (((90, 150),),))  # Sundays, 01:30 to 02:30
    assert hours.is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-07-03T20:00:00", True),  # Friday 22:00
        ("2026-07-03T19:59:59", False),
        ("2026-07-04T03:59:59", True),  # Saturday 05:59
        ("2026-07-04T04:00:00", False),
        ("2026-07-04T20:00:00", False),  # Saturday night has none
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment, is_open):
    hours = Hours("Europe/Zurich", ((), (), (), (), NIGHT, (), ()))
    assert hours.is_open(at(moment)) is is_open


def test_dates_win_over_holidays_and_those_over_weekdays():
    holidays = {date(2026, 12, 24), date(2026, 12, 25)}
    days = {date(2026, 12, 24): ((9 * 60, 12 * 60),), date(2026, 12, 26): WORKDAYS, date(2026, 12, 28): ()}
    hours = Hours("UTC", (*[WORKDAYS] * 5, (), ()), days, holidays)
    assert [hours.is_open(at(f"2026-12-{day}T10:00")) for day in (23, 24, 25, 26, 28, 29)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip
    assert not hours.is_open(at("2026-12-24T13:00"))


LINE = """
instructions: Be brief.
timezone: Europe/Zurich
hours:
  open: {mon-fri: "08:00-12:00, 13:30-18:00", "sat,sun": "10:00-12:00", 2026-12-24: "08:00-10:00", 2026-12-28: closed}
  holidays: [CH-ZH, 2026-05-15]
  closed: {reject: busy}
"""


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-25T07:00", True),  # Wednesday, 08:00
        ("2026-11-25T11:30", False),  # noon
        ("2026-11-25T12:30", True),
        ("2026-11-28T09:30", True),  # Saturday
        ("2026-05-15T07:00", False),  # a date that the line names
        ("2026-05-01T07:00", False),  # 1 May: a holiday in Zurich
        ("2026-12-25T09:30", False),
        ("2027-01-01T09:30", False),  # of another year too
        ("2026-12-24T08:30", True),
        ("2026-12-24T12:30", False),
        ("2026-12-28T08:30", False),
    ],
)
def test_what_a_file_says(write, moment, is_open):
    closed = load(write({"a.yaml": LINE})).lines["a"].closed
    assert closed
    assert closed.hours.is_open(at(moment)) is is_open


def test_a_part_of_a_country_has_holidays_of_its_own(write):
    for code, is_open in (("CH-ZH", False), ("CH-GE", True), ("US", True)):
        closed = load(write({"a.yaml": LINE.replace("CH-ZH", code)})).lines["a"].closed
        assert closed
        assert closed.hours.is_open(at("2026-05-01T07:00")) is is_open
