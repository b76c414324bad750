"""What making a line's agents finds wrong, and what it costs."""

import time
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from gateway.config.loader import load
from gateway.errors import ConfigError
from gateway.realtime.build import AgentBuilder
from gateway.realtime.toolsloop import ToolsLoop
from gateway.realtime.usercode import UserCode
from gateway.tools import ToolContext
from tests.realtime.lab import Lab, agent

pytestmark = pytest.mark.anyio


WRONG = """
    from agents import Agent, CodeInterpreterTool, WebSearchTool, function_tool
    from agents.realtime import RealtimeAgent

    NUMBER = 7
    NOTHING = None

    class Shop:
        pass

    def untyped(city):
        return city

    def unknown_type(city: "Town") -> str:
        return ""

    def two(a: str, b: str) -> bool:
        return True

    @function_tool(name_override="hang_up")
    async def other_hang_up() -> str:
        return ""

    @function_tool(defer_loading=True)
    async def deferred() -> str:
        return ""

    text_agent = Agent(name="text")
    web_agent = RealtimeAgent(name="web", tools=[WebSearchTool()])
    twice = RealtimeAgent(name="twice", tools=[other_hang_up, other_hang_up])
    leads_there = RealtimeAgent(name="leads", handoffs=[web_agent])
"""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tools": ("wrong:NUMBER",)}, "is a int, not a tool"),
        ({"tools": ("wrong:NOTHING",)}, "is None"),
        ({"tools": ("wrong:Shop",)}, "not a tool"),
        ({"tools": ("wrong:untyped",)}, "type hints"),
        ({"tools": ("wrong:unknown_type",)}, "Town"),
        ({"tools": ("wrong:missing",)}, "'missing'"),
        ({"tools": ("nowhere:tool",)}, "no such file"),
        ({"tools": ("wrong:deferred",)}, "defer_loading"),
        ({"tools": ("dial",)}, "not built in"),
        ({"tools": ("hang_up", "wrong:other_hang_up")}, "2 tools or handoffs called hang_up"),
        ({"guardrails": ("wrong:two",)}, "not a guardrail"),
        ({"guardrails": ("no_lies",)}, "no_card_numbers"),
    ],
)
def test_what_is_wrong_with_an_agent_is_said(lab: Lab, options: dict[str, Any], words: str) -> None:
    lab.write("tools/wrong.py", WRONG)
    line = lab.line(agent(**options))
    faults = lab.builder().check(line)
    assert len(faults) == 1
    assert words in str(faults[0])
    assert str(lab.folder) in faults[0].file
    with pytest.raises(ConfigError):
        lab.build(line)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("wrong:text_agent", "not a RealtimeAgent"),
        ("wrong:NUMBER", "not a RealtimeAgent"),
        ("wrong:web_agent", "WebSearchTool"),
        ("wrong:leads_there", "WebSearchTool"),
        ("wrong:twice", "two tools called hang_up"),
    ],
)
def test_what_is_wrong_with_a_users_agent_is_said(lab: Lab, reference: str, words: str) -> None:
    lab.write("wrong.py", WRONG)
    (fault,) = lab.builder().check(lab.line(agent=reference))
    assert words in str(fault)
    assert fault.file == str(lab.folder / "wrong.py")


def test_transfer_without_targets_is_a_fault_and_all_faults_are_listed(lab: Lab) -> None:
    line = lab.line(agent(tools=("transfer", "dial")), guardrails=("no_lies",), transfer=MappingProxyType({}))
    assert len(lab.builder().check(line)) == 3


def test_a_line_is_read_once_per_snapshot_and_anew_in_the_next(lab: Lab) -> None:
    lab.write("tools/shop.py", "async def tool() -> str:\n    '''First.'''\n    return ''")
    line = lab.line(agent(tools=("shop:tool",)))
    builder = lab.builder()
    context = ToolContext(call_id="c", line="test", ask=lab.asked.append)
    assert builder.check(line) == []
    lab.write("tools/shop.py", "async def tool() -> str:\n    '''Other.'''\n    return ''")
    assert builder.build(line, context).agent.tools[0].description == "First."  # type: ignore[union-attr]
    assert lab.builder().build(replace(line), context).agent.tools[0].description == "Other."  # type: ignore[union-attr]


def test_making_the_agents_of_a_call_is_quick(lab: Lab) -> None:
    """It is done on the loop that carries the calls."""
    lab.write(
        "tools/shop.py", "\n".join(f"async def t{n}(a: str, b: int = 1) -> str:\n    return a\n" for n in range(10))
    )
    names = tuple(f"a{n}" for n in range(5))
    tools = tuple(f"shop:t{n}" for n in range(10))
    line = lab.line(*(agent(name, tools=tools, handoffs=tuple(set(names) - {name})) for name in names))
    builder = lab.builder()
    context = ToolContext(call_id="c", line="test", ask=lab.asked.append)
    assert builder.check(line) == []
    took = []
    for _ in range(20):
        began = time.perf_counter()
        builder.build(line, context)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


async def test_the_shipped_lines_have_no_faults(tools: ToolsLoop) -> None:
    folder = Path(__file__).parents[2] / "agents_config"
    directory = load(folder, {})
    builder = AgentBuilder(UserCode(folder, directory.hash), tools)
    assert [fault for line in directory.lines.values() for fault in builder.check(line)] == []
