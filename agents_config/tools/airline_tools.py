"""What the agents of the airline can do. Plain functions: their docstrings are what the model reads."""

import asyncio
import re
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

_ANSWERS = {
    "baggage": "A suitcase of up to 23 kilos flies free, and one small bag may come into the cabin. Each further "
    "suitcase costs 60 dollars.",
    "wifi": "There is wifi on all planes, and it is free. The network is called Acme Sky.",
    "seats": "The plane has 138 seats, 18 in business and 120 in economy. Rows 9 and 10 have more room for legs.",
}
_ZONES = {
    "London": "Europe/London",
    "New York": "America/New_York",
    "San Francisco": "America/Los_Angeles",
    "Tokyo": "Asia/Tokyo",
    "Zurich": "Europe/Zurich",
}
_FLIGHTS = ("AC 101 to New York", "AC 204 to London", "AC 318 to Zurich", "AC 440 to Tokyo")
_ROWS, _LETTERS, _DIGITS = 24, "ABCDEF", 6
_DIGIT_WORDS = ("zero|oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LOOKUP_SECONDS = 2.5
_REFUND = re.compile(
    r"\b(we|i)( wi|')ll (refund|reimburse)\b|\byour money back\b|\b(get|receive|have) (a |your )?(full )?refund\b",
    re.IGNORECASE,
)


async def faq_lookup(topic: Literal["baggage", "wifi", "seats"]) -> str:
    """Look up the airline's answer to a common question.

    Args:
        topic: What the question is about: baggage (bags, luggage, fees and sizes), wifi (internet on board), or seats
            (how many seats the plane has, rows, legroom).
    """
    return _ANSWERS[topic]


async def find_booking(confirmation_number: str) -> str:
    """Find a booking: its flight and the seat on it. Takes a few seconds.

    Args:
        confirmation_number: The confirmation number of the booking, six digits.
    """
    digits = _digits(confirmation_number)
    if not digits:
        return "A confirmation number has six digits. Ask the caller to say it again."
    await asyncio.sleep(_LOOKUP_SECONDS)  # As long as a reservation system takes.
    number = int(digits)
    seat = f"{number % _ROWS + 1}{_LETTERS[number % len(_LETTERS)]}"
    return f"Booking {digits} is on flight {_FLIGHTS[number % len(_FLIGHTS)]}, seat {seat}."


async def change_seat(confirmation_number: str, seat: str) -> str:
    """Change the seat of a booking.

    Args:
        confirmation_number: The confirmation number of the booking, six digits.
        seat: The new seat: a row from 1 to 24 and a letter from A to F, such as 12A.
    """
    digits = _digits(confirmation_number)
    place = re.fullmatch(r"(\d{1,2})\s*([A-F])", seat.strip().upper())
    if not digits:
        return "A confirmation number has six digits. Ask the caller to say it again."
    if not place or not 1 <= int(place[1]) <= _ROWS:
        return f"There is no seat {seat}. Rows go from 1 to {_ROWS}, letters from A to F."
    return f"Booking {digits} now has seat {place[1]}{place[2]}."


async def current_time(city: Literal["London", "New York", "San Francisco", "Tokyo", "Zurich"]) -> str:
    """Tell what time it is now in a city that the airline flies to.

    Args:
        city: The city whose local time is asked for.
    """
    now = datetime.now(ZoneInfo(_ZONES[city]))
    return f"In {city} it is {now:%H:%M} on {now:%A}."


def no_refund_promises(text: str) -> bool:
    """Trip when an agent promises money back, which only people at the desk may do."""
    return bool(_REFUND.search(text))


def _digits(text: str) -> str:
    """Return the six digits of a confirmation number, as figures or words; nothing where there are more or fewer."""
    for digit, word in enumerate(_DIGIT_WORDS):
        text = re.sub(rf"\b(?:{word})\b", str(digit), text, flags=re.IGNORECASE)
    digits = re.sub(r"\D", "", text)
    return digits if len(digits) == _DIGITS else ""
