"""The lines that come with the gateway."""

import ast
import importlib.util
import inspect
import time
from pathlib import Path

import pytest

from gateway.config.loader import load
from gateway.config.python_names import module_file
from gateway.config.schema import BUILT_IN_TOOLS
from gateway.tools import BUILTIN_NAMES

FOLDER = Path(__file__).parents[2] / "agents_config"
REALTIME = Path(__file__).parents[2] / "gateway" / "realtime"


@pytest.fixture(scope="module")
def directory():
    return load(FOLDER)


@pytest.fixture(scope="module")
def tools():
    path = module_file(FOLDER, "airline_tools")
    assert path
    spec = importlib.util.spec_from_file_location("airline_tools_under_test", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_names_of_built_in_tools_are_those_that_exist():
    assert BUILT_IN_TOOLS == BUILTIN_NAMES


def test_every_call_is_answered(directory):
    assert directory.find("+14155550100").id == "airline"
    assert directory.find("+14155559999").id == "front_desk"


def test_the_front_desk_is_one_agent(directory):
    assert [*directory.lines["front_desk"].agents] == ["front_desk"]


def test_the_airline_hands_over_in_both_directions(directory):
    agents = directory.lines["airline"].agents
    assert {name: agent.handoffs for name, agent in agents.items()} == {
        "triage": ("faq", "seats"),
        "faq": ("triage",),
        "seats": ("triage",),
    }
    assert agents["seats"].needs_approval == ("airline_tools:change_seat",)
    assert all(agent.handoff_description and "{{" not in agent.instructions for agent in agents.values())


def test_the_airline_fails_towards_its_desk(directory):
    policy = directory.lines["airline"].policy()
    assert policy.transfers[policy.on_failure.then].to == "+14155550111"


def test_every_tool_says_what_it_and_its_parameters_are_for(directory, tools):
    references = {tool for agent in directory.lines["airline"].agents.values() for tool in agent.tools if ":" in tool}
    for reference in references:
        tool = getattr(tools, reference.partition(":")[2])
        assert inspect.iscoroutinefunction(tool)
        for name, parameter in inspect.signature(tool).parameters.items():
            assert parameter.annotation is not parameter.empty
            assert f"{name}: " in (inspect.getdoc(tool) or "")


def test_the_tools_need_nothing_but_python():
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name)
        for node in ast.walk(ast.parse((FOLDER / "tools" / "airline_tools.py").read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"asyncio", "re", "datetime", "typing", "zoneinfo"}


@pytest.mark.anyio
async def test_a_booking_is_found_slowly_and_the_same_each_time(tools):
    started = time.monotonic()
    first = await tools.find_booking("4-8-2-9-1 6")
    assert time.monotonic() - started >= 2
    tools._LOOKUP_SECONDS = 0
    assert await tools.find_booking("482916") == first == "Booking 482916 is on flight AC 101 to New York, seat 13A."
    assert await tools.find_booking("four eight two, nine one six") == first
    assert "six digits" in await tools.find_booking("48291")


@pytest.mark.anyio
async def test_a_seat_is_changed_to_one_that_exists(tools):
    assert await tools.change_seat("482916", "12 a") == "Booking 482916 now has seat 12A."
    assert "no seat" in await tools.change_seat("482916", "25A")
    assert "six digits" in await tools.change_seat("48", "12A")


@pytest.mark.anyio
@pytest.mark.parametrize("topic", ["baggage", "wifi", "seats"])
async def test_common_questions_have_answers(tools, topic):
    assert len(await tools.faq_lookup(topic)) > 20
    assert (await tools.current_time("Zurich")).startswith("In Zurich it is ")


@pytest.mark.parametrize(
    ("text", "trips"),
    [
        ("We will refund your ticket.", True),
        ("I'll reimburse you.", True),
        ("You get your money back.", True),
        ("You will receive a full refund.", True),
        ("I can't promise refunds. The desk decides that.", False),
        ("Your seat is 12A.", False),
    ],
)
def test_promises_of_money_trip(tools, text, trips):
    assert tools.no_refund_promises(text) is trips


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_the_names_of_built_in_guardrails_are_those_that_exist():
    from gateway.config.schema import BUILT_IN_GUARDRAILS  # noqa: PLC0415
    from gateway.realtime.guardrails import BUILTIN  # noqa: PLC0415 - imports the SDK, which takes seconds

    assert {*BUILT_IN_GUARDRAILS} == {*BUILTIN}
