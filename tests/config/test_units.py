import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from gateway.config.units import format_duration, parse_duration, parse_number


@pytest.mark.parametrize(
    ("text", "seconds"), [("20s", 20), ("30m", 1800), ("200ms", 0.2), ("1.5h", 5400), ("0s", 0), ("0.5s", 0.5)]
)
def test_durations_carry_units(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("value", ["20", "s", "20 s", "-1s", "1m30s", "20S", "", None, True, 20, 0.5, []])
def test_anything_else_is_no_duration(value):
    with pytest.raises(PydanticCustomError):
        parse_duration(value)


@given(st.integers(min_value=0, max_value=10**8))
def test_a_duration_is_shown_as_it_can_be_written(milliseconds):
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize("number", ["+14155550100", "+41445550111", "+442075550100", "+4930123456"])
def test_numbers_are_e164(number):
    assert parse_number(number) == number


@given(st.text(alphabet="+0123456789 -().xabc*", max_size=18))
def test_a_number_is_taken_as_it_is_or_refused(text):
    try:
        taken = parse_number(text)
    except PydanticCustomError:
        return
    assert taken == text
    assert text.startswith("+")
    assert text[1:].isdigit()
