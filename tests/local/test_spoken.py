"""Numbers, codes, dates and times as people say them."""

from datetime import date

import pytest

from gateway.local.brain import spoken
from gateway.local.brain.words import asks_something, stem, words

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("my number is one two three four five", ["12345"]),
        ("seat 12 A please", ["12A"]),
        ("twelve a.", ["12A"]),
        ("it is 12 a.m. I think", ["12A"]),
        ("A B C one two three", ["ABC123"]),
        ("the code is ABC 123", ["ABC123"]),
        ("double five nine", ["559"]),
        ("twenty three c", ["23C"]),
        ("I need a 12", ["12"]),
        ("I am fine, it is a day", []),
        ("four one five, five five five, oh one nine nine", ["4155550199"]),
    ],
)
def test_codes(said, found):
    assert [one.value for one in spoken.codes(words(said))] == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("for twenty five people", [25]),
        ("a hundred and twenty five", [125]),
        ("two thousand six hundred", [2600]),
        ("five or six", [5, 6]),
        ("3.5", [3.5]),
        ("this one", []),
        ("nothing", []),
    ],
)
def test_numbers(said, found):
    assert [one.value for one in spoken.numbers(words(said))] == found


@pytest.mark.parametrize(
    ("said", "day", "time"),
    [
        ("tomorrow at 7:30 p.m.", "2026-11-25", "19:30"),
        ("next Monday at seven", "2026-11-30", "07:00"),
        ("March third at half past seven in the evening", "2027-03-03", "19:30"),
        ("the 5th of June at noon", "2027-06-05", "12:00"),
        ("today at quarter to nine", "2026-11-24", "08:45"),
        ("Tuesday, eight o'clock", "2026-12-01", "08:00"),
    ],
)
def test_dates_and_times(said, day, time):
    assert [one.value for one in spoken.dates(words(said), TODAY)] == [day]
    assert [one.value for one in spoken.times(words(said))] == [time]


def test_forms_and_synonyms_of_a_word_are_one():
    assert len({stem(word) for word in ("change", "changing", "updates", "modified", "switch")}) == 1
    assert len({stem(word) for word in ("book", "booking", "reservation", "reserve")}) == 1
    assert stem("zanking") == stem("zanks") == stem("zank")


def test_questions_are_known_by_their_begin():
    assert asks_something("Can I bring a bag")
    assert asks_something("Um, what time is it")
    assert not asks_something("I want to go")
