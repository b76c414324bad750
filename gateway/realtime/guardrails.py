"""Output guardrails: checks of what agents say, that stop an answer while it is spoken.

They are no security boundary. The caller has heard the beginning by the time that a check trips; one that raises is
logged and counts as passed (the SDK fails open); and text is checked each time that another ``guardrail_debounce``
characters have come, so what is said after the last such step, or is shorter, is not checked. What must not happen
belongs into the tools, which the model can't talk past.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agents import GuardrailFunctionOutput, OutputGuardrail

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
Check = Callable[[str], bool | Awaitable[bool]]

_DIGIT_WORDS: Final = {
    word: str(digit)
    for digit, words in enumerate(
        ("zero oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    )
    for word in words.split()
}
_SPOKEN_DIGIT = re.compile(rf"\b({'|'.join(_DIGIT_WORDS)})\b", re.IGNORECASE)
_CARD = re.compile(r"(?<!\d)\d(?:[ ,.\-]{0,2}\d){12,18}(?!\d)")
_IBAN = re.compile(r"\b([A-Z]{2})\d{2}(?=(?:[ \-]?[A-Z0-9]){11})", re.IGNORECASE)
_LINK = re.compile(r"\bhttps?://|\bwww\.|\[[^\]]+\]\([^)]+\)", re.IGNORECASE)
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS",
        23: "AE GI IL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "PT",
        26: "IS TR",
        27: "FR GR IT MC MR SM",
        28: "AL AZ CY DO GT HU LB PL",
        29: "BR PS QA UA",
        30: "JO KW MU",
        31: "MT",
    }.items()
    for country in countries.split()
}
"""How long the number of a country is, by the registry of ISO 13616."""


def no_card_numbers(text: str) -> bool:
    """Trip on a payment card's number: 13 to 19 digits, as figures or English words, with the right check digit."""
    figures = _SPOKEN_DIGIT.sub(lambda match: _DIGIT_WORDS[match[0].lower()], text)
    return any(_luhn(part) for match in _CARD.finditer(figures) for part in _runs(re.sub(r"\D", "", match[0])))


def no_ibans(text: str) -> bool:
    """Trip on a bank account's number (IBAN) with the right check digits (ISO 13616: ISO 7064, MOD 97-10)."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[1].upper(), 0)
        number = re.sub(r"[ \-]", "", text[match.start() : match.start() + 2 * length]).upper()[:length]
        if length and len(number) == length and number.isalnum() and number.isascii() and _mod_97(number) == 1:
            return True
    return False


def no_links(text: str) -> bool:
    """Trip on addresses of web pages, which nobody can follow on the phone."""
    return bool(_LINK.search(text))


def no_phrases(*phrases: str) -> Check:
    """Return a check that trips on any of these phrases, whatever their case and the spaces between their words."""
    words = [r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases]
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)

    def check(text: str) -> bool:
        return bool(pattern.search(text))

    check.__name__ = "no_phrases"
    return check


BUILTIN: Final[dict[str, Check]] = {check.__name__: check for check in (no_card_numbers, no_ibans, no_links)}
"""The guardrails that a line may name without a module."""


def as_guardrail(thing: object, name: str = "") -> OutputGuardrail[Any] | None:
    """Return a guardrail made of what the user's Python offers, or None where it is none.

    That may be an ``OutputGuardrail``, a function as the SDK takes it (context, agent, output), or simply a function
    that takes the text so far and returns whether it must not be said; plain or ``async``.
    """
    if isinstance(thing, OutputGuardrail):
        return thing
    if not callable(thing) or inspect.isclass(thing):
        return None
    try:
        parameters = [
            parameter
            for parameter in inspect.signature(thing).parameters.values()
            if parameter.default is parameter.empty and parameter.kind not in _VARIADIC
        ]
    except (TypeError, ValueError):
        return None
    name = name or getattr(thing, "__name__", "guardrail")
    if len(parameters) == 1:
        return _of_check(thing, name)
    if len(parameters) == 3:  # noqa: PLR2004 - context, agent, output: the SDK's signature
        return OutputGuardrail(guardrail_function=thing, name=name)
    return None


def _of_check(check: Callable[[str], Any], name: str) -> OutputGuardrail[Any]:
    async def run(_context: object, _agent: object, said: object) -> GuardrailFunctionOutput:
        tripped = check(str(said))
        if inspect.isawaitable(tripped):
            tripped = await tripped
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=bool(tripped))

    return OutputGuardrail(guardrail_function=run, name=name)


def _runs(digits: str) -> set[str]:
    """Return the whole, and its first and last 16 digits: an expiry date may stand beside the number."""
    return {digits, digits[:16], digits[-16:]}


def _luhn(digits: str) -> bool:
    """Check an identification number as ISO/IEC 7812 does."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return len(set(digits)) > 1 and sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004


def _mod_97(number: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97
