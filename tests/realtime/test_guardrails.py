import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, GuardrailFunctionOutput, OutputGuardrail, RunContextWrapper, output_guardrail

from gateway.config.schema import BUILT_IN_GUARDRAILS
from gateway.realtime.guardrails import BUILTIN, as_guardrail, no_card_numbers, no_ibans, no_links, no_phrases


@pytest.mark.parametrize(
    "text",
    [
        "Your card is 4111 1111 1111 1111, thank you.",
        "It is 4111-1111-1111-1111.",
        "378282246310005",
        "four one one one, one one one one, one one one one, one one one one",
        "Card 4111 1111 1111 1111, 12/27.",
        "5555.5555.5555.4444",
    ],
)
def test_card_numbers_are_found(text: str) -> None:
    assert no_card_numbers(text)


@pytest.mark.parametrize(
    "text",
    [
        "Your booking 123456 leaves at 10:45.",
        "Call +41 44 555 01 11.",
        "4111 1111 1111 1112",
        "The number has sixteen digits.",
        "one two three",
        "0000 0000 0000 0000",
        "",
    ],
)
def test_other_numbers_are_not_cards(text: str) -> None:
    assert not no_card_numbers(text)


@pytest.mark.parametrize(
    "text", ["CH93 0076 2011 6238 5295 7 is ours.", "gb29 nwbk 6016 1331 9268 19", "DE89370400440532013000"]
)
def test_ibans_are_found(text: str) -> None:
    assert no_ibans(text)


@pytest.mark.parametrize(
    "text", ["CH94 0076 2011 6238 5295 7", "LX12 leaves at ten thirty from gate B", "ZZ00 1111 2222 3333 4444", ""]
)
def test_other_words_are_not_ibans(text: str) -> None:
    assert not no_ibans(text)


@pytest.mark.parametrize(
    ("text", "trips"),
    [
        ("See https://acme.example/help", True),
        ("[here](x)", True),
        ("www.acme.example", True),
        ("Ask at the desk.", False),
    ],
)
def test_links_are_found(text: str, trips: bool) -> None:
    assert no_links(text) is trips


@pytest.mark.parametrize(
    ("text", "trips"),
    [
        ("You should SUE them", True),
        ("you should\n sue them", True),
        ("You should suede it", False),
        ("you could sue", False),
        ("Is it (legal advice)?", True),
    ],
)
def test_phrases_are_found_whatever_their_case_and_spaces(text: str, trips: bool) -> None:
    assert no_phrases("you should sue", "legal advice")(text) is trips


def test_the_configuration_knows_the_built_in_ones() -> None:
    assert set(BUILTIN) == set(BUILT_IN_GUARDRAILS)


# ---- What the user's Python may offer -------------------------------------------------------------------------------


def plain(text: str) -> bool:
    return "bad" in text


async def waiting(text: str) -> bool:
    return "bad" in text


def of_the_sdk(context: RunContextWrapper[Any], agent: Agent[Any], output: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered="bad" in output)


@pytest.mark.parametrize(
    "thing",
    [plain, waiting, of_the_sdk, output_guardrail(of_the_sdk), no_phrases("bad")],
    ids=lambda thing: type(thing).__name__,
)
def test_functions_and_guardrails_become_guardrails(thing: Any) -> None:
    guardrail = as_guardrail(thing, "ours")
    assert guardrail is not None
    assert tripped(guardrail, "a bad word")
    assert not tripped(guardrail, "a word")


@pytest.mark.parametrize("thing", [1, "text", str, lambda: True, lambda a, b: True, print])
def test_other_things_do_not(thing: object) -> None:
    assert as_guardrail(thing) is None


def tripped(guardrail: OutputGuardrail[Any], text: str) -> bool:
    run: Callable[..., Any] = guardrail.run
    result = asyncio.run(run(RunContextWrapper(None), Agent(name="a"), text))
    return bool(result.output.tripwire_triggered)
