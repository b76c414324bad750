"""A line's agents in a real session of the SDK against a scripted model server."""

import asyncio
import json
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import pytest
from agents.realtime import (
    RealtimeGuardrailTripped,
    RealtimeHandoffEvent,
    RealtimeRunner,
    RealtimeSession,
    RealtimeToolApprovalRequired,
)

from gateway.call.events import Event, HangUpAsked, TransferAsked
from gateway.call.policy import Target
from gateway.config.loader import load
from gateway.config.resolved import AgentConfig, LineConfig
from gateway.errors import ConfigError
from gateway.realtime.build import AgentBuilder, CallAgents
from gateway.realtime.model import GatewayModel
from gateway.realtime.options import endpoint
from gateway.realtime.toolsloop import ToolsLoop
from gateway.realtime.usercode import UserCode
from gateway.testing.model import ModelSession, ScriptedModel, Timing, Turn, call_tool, hand_over, say
from gateway.tools import ToolContext

pytestmark = pytest.mark.anyio

DESK = Target("desk", "+14155550111")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tools() -> Iterator[ToolsLoop]:
    loop = ToolsLoop(stuck_after=0.3)
    yield loop
    loop.close()


@dataclass
class Lab:
    """One folder of the user's, and the calls made from it."""

    folder: Path
    tools: ToolsLoop
    asked: list[Event] = field(default_factory=list)

    def write(self, name: str, source: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))

    def builder(self) -> AgentBuilder:
        return AgentBuilder(UserCode(self.folder), self.tools)

    def line(self, *agents: AgentConfig, agent: str = "", **options: Any) -> LineConfig:
        known = MappingProxyType({each.name: each for each in agents})
        options.setdefault("transfer", MappingProxyType({"desk": DESK}))
        return LineConfig(id="test", agent=agent or agents[0].name, agents=known, folder=self.folder, **options)

    def build(self, line: LineConfig) -> CallAgents:
        context = ToolContext(call_id="call-1", line=line.id, ask=self.asked.append, targets=tuple(line.transfer))
        return self.builder().build(line, context)

    @asynccontextmanager
    async def call(self, line: LineConfig, *turns: Turn, **options: Any) -> AsyncIterator["Call"]:
        made = self.build(line)
        async with ScriptedModel(turns, timing=Timing(), **options) as server:
            place = endpoint(line.model, url=server.url, api_key="k")
            config: Any = {"url": place.url, "headers": dict(place.headers)}
            runner = RealtimeRunner(made.agent, model=GatewayModel(), config=made.run_config)
            async with await runner.run(context=made.context, model_config=config) as session:
                call = Call(made, session, await server.connected())
                reader = asyncio.create_task(call.read())
                await call.wire.wait_for("session.update")
                yield call
                reader.cancel()
                made.tools.close()


@dataclass
class Call:
    """A session, what it says, and the other end of its wire."""

    made: CallAgents
    session: RealtimeSession
    wire: ModelSession
    events: list[Any] = field(default_factory=list)
    ended: BaseException | None = None

    async def read(self) -> None:
        try:
            async for event in self.session:
                self.events.append(event)
        except Exception as error:  # noqa: BLE001 - asserted on
            self.ended = error

    async def output(self, count: int = 1) -> str:
        """Wait for what the model was told by its ``count``-th tool."""
        while True:
            outputs = [
                event["item"]["output"]
                for event in self.wire.events("conversation.item.create")
                if event["item"]["type"] == "function_call_output"
            ]
            if len(outputs) >= count:
                return str(outputs[count - 1])
            await asyncio.sleep(0.01)

    async def event(self, kind: type[Any], count: int = 1) -> Any:
        while True:
            found = [event for event in self.events if isinstance(event, kind)]
            if len(found) >= count:
                return found[count - 1]
            await asyncio.sleep(0.01)


@pytest.fixture
def lab(tmp_path: Path, tools: ToolsLoop) -> Lab:
    (tmp_path / "tools").mkdir()
    return Lab(tmp_path, tools)


def agent(name: str = "desk", **options: Any) -> AgentConfig:
    return AgentConfig(name, options.pop("instructions", f"You are {name}."), **options)


# ---- Tools ----------------------------------------------------------------------------------------------------------

GOOD = """
    from dataclasses import dataclass
    from typing import Literal

    from agents import RunContextWrapper, function_tool
    from gateway.tools import ToolContext, ToolSpec

    def plain(city: Literal["Bern", "Basel"], days: int = 1) -> dict[str, object]:
        \"\"\"Tell the weather.

        Args:
            city: Where.
            days: How many days ahead.
        \"\"\"
        return {"city": city, "days": days}

    async def waiting(city: str) -> str:
        return city.upper()

    async def with_our_context(context: ToolContext, city: str) -> str:
        \"\"\"Ask for a person.\"\"\"
        await context.transfer("desk")
        return f"{context.line} {city}"

    def with_our_context_and_plain(context: ToolContext, city: str) -> str:
        return f"{context.call_id} {city}"

    async def with_the_sdks_context(context: RunContextWrapper[ToolContext], city: str) -> str:
        await context.context.hang_up("all done")
        return city

    @function_tool(name_override="decorated")
    async def of_the_sdk(city: str) -> str:
        return f"sdk {city}"

    async def _run(context, arguments):
        return f"spec {arguments['city']}"

    spec = ToolSpec(name="spec", description="A spec.", schema={"type": "object"}, run=_run)
"""


@pytest.mark.parametrize(
    ("name", "tool", "said", "asked"),
    [
        ("plain", "plain", '{"city": "Bern", "days": 1}', []),
        ("waiting", "waiting", "BERN", []),
        ("with_our_context", "with_our_context", "test Bern", [TransferAsked("agent", "desk")]),
        ("with_our_context_and_plain", "with_our_context_and_plain", "call-1 Bern", []),
        ("with_the_sdks_context", "with_the_sdks_context", "Bern", [HangUpAsked("agent", "all-done")]),
        ("of_the_sdk", "decorated", "sdk Bern", []),
        ("spec", "spec", "spec Bern", []),
    ],
)
async def test_the_users_tools_run(lab: Lab, name: str, tool: str, said: str, asked: list[Event]) -> None:
    lab.write("tools/shop.py", GOOD)
    line = lab.line(agent(tools=(f"shop:{name}",)))
    async with lab.call(line, call_tool(tool, {"city": "Bern"}), say("Done")) as call:
        (sent,) = call.wire.events("session.update")[0]["session"]["tools"]
        assert sent["name"] == tool
        assert "context" not in sent["parameters"].get("properties", {})
        await call.session.send_message("Go")
        assert await call.output() == said
    assert lab.asked == asked


async def test_the_docstring_and_the_types_are_what_the_model_reads(lab: Lab) -> None:
    lab.write("tools/shop.py", GOOD)
    (tool,) = lab.build(lab.line(agent(tools=("shop:plain",)))).agent.tools
    assert tool.description == "Tell the weather."  # type: ignore[union-attr]
    schema = tool.params_json_schema  # type: ignore[union-attr]
    assert schema["properties"]["city"]["enum"] == ["Bern", "Basel"]
    assert schema["properties"]["days"]["description"] == "How many days ahead."
    assert schema["required"] == ["city"]


async def test_the_built_in_tools_ask_the_call(lab: Lab) -> None:
    line = lab.line(agent(tools=("hang_up", "transfer")))
    turns = (call_tool("transfer", {"target": "+19005550199"}), call_tool("transfer", {"target": "desk"}), say("Bye"))
    async with lab.call(line, *turns) as call:
        await call.session.send_message("Go")
        assert "desk" in await call.output(1)
        assert "put through" in await call.output(2)
    assert lab.asked == [TransferAsked("agent", "desk")]


BAD = """
    import asyncio, sys, time
    from gateway.errors import ToolError
    from agents import function_tool, ToolGuardrailFunctionOutput, tool_input_guardrail, tool_output_guardrail

    async def raises() -> str:
        raise LookupError("secret")

    @function_tool
    async def raises_as_the_sdks() -> str:
        raise LookupError("secret")

    async def refuses() -> str:
        raise ToolError("There is no such order.")

    async def needs_a_number(number: int) -> str:
        return "secret"

    async def huge() -> str:
        return "x" * 1_000_000

    class Odd:
        def __repr__(self): raise RuntimeError("no")

    async def no_json() -> object:
        return {"a": Odd()}

    async def binary() -> bytes:
        return bytes(range(256))

    async def none() -> None:
        return None

    @function_tool(timeout=0.3, timeout_behavior="raise_exception")
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    WHILE = []

    async def blocks() -> str:
        WHILE.append(time.monotonic())
        time.sleep(1.0)
        WHILE.append(time.monotonic())
        return "slept"

    def leaves() -> str:
        sys.exit(1)

    @function_tool(failure_error_function=None)
    async def raises_through() -> str:
        raise LookupError("secret")

    @tool_input_guardrail
    def forbids(data) -> ToolGuardrailFunctionOutput:
        return ToolGuardrailFunctionOutput.raise_exception()

    @tool_output_guardrail
    def breaks(data) -> ToolGuardrailFunctionOutput:
        raise RuntimeError("secret")

    @function_tool(tool_input_guardrails=[forbids])
    async def forbidden() -> str:
        return "secret"

    @function_tool(tool_output_guardrails=[breaks])
    async def leaking() -> str:
        return "secret"

    def _broken(context, agent):
        raise RuntimeError("secret")

    @function_tool(is_enabled=_broken)
    async def hidden() -> str:
        return "secret"
"""
BAD_TOOLS = {
    "raises": "failed",
    "raises_as_the_sdks": "failed",
    "refuses": "There is no such order.",
    "needs_a_number": "Correct the arguments",
    "huge": "cut",
    "no_json": "no text",
    "binary": "256 bytes",
    "none": "null",
    "never": "The tool never ",
    "blocks": "slept",
    "leaves": "failed",
    "raises_through": "failed",
    "forbidden": "not allowed",
    "leaking": "not allowed",
    "hidden": "not found",
}


@pytest.mark.parametrize(("tool", "said"), BAD_TOOLS.items())
async def test_a_bad_tool_leaves_the_session_alive(lab: Lab, tool: str, said: str) -> None:
    """Hazards H10, K1."""
    lab.write("tools/bad.py", BAD)
    line = lab.line(agent(tools=(f"bad:{tool}", "hang_up")))
    async with lab.call(line, call_tool(tool), call_tool("hang_up", {"reason": "done"}), say("Bye")) as call:
        await call.session.send_message("Go")
        answer = await call.output(1)
        assert said in answer
        assert "secret" not in answer
        assert len(answer) <= 8192
        await call.output(2)
        assert call.ended is None
    assert lab.asked == [HangUpAsked("agent", "done")]


async def test_a_tool_that_blocks_does_not_hold_up_the_serving_loop(lab: Lab) -> None:
    """Hazard K3."""
    lab.write("tools/bad.py", BAD)
    async with (
        lab.call(lab.line(agent(tools=("bad:blocks",))), call_tool("blocks"), say("Bye")) as call,
        Ticks() as ticks,
    ):
        await call.session.send_message("Go")
        assert await call.output() == "slept"
        assert ticks.within(call.made._code.get("bad:WHILE")) > 10


async def test_the_same_call_of_a_tool_runs_once(lab: Lab) -> None:
    """Hazard K5: fifty times the same call id, one execution."""
    lab.write("tools/shop.py", "COUNT = []\nasync def book(seat: str) -> str:\n    COUNT.append(seat)\n    return seat")
    line = lab.line(agent(tools=("shop:book",)))
    turns = [call_tool("book", {"seat": "1A"}, call_id="same") for _ in range(50)]
    async with lab.call(line, Turn(tuple(part for turn in turns for part in turn.parts)), say("Done")) as call:
        await call.session.send_message("Go")
        await call.output()
        await asyncio.sleep(0.2)
        count = call.made._code.get("shop:COUNT")
        assert count == ["1A"]
        assert call.ended is None


async def test_the_end_of_the_session_cancels_its_tools(lab: Lab) -> None:
    lab.write(
        "tools/shop.py",
        """
        import asyncio
        SEEN = []
        async def slow() -> str:
            SEEN.append("began")
            try:
                await asyncio.Event().wait()
            finally:
                SEEN.append("cancelled")
    """,
    )
    async with lab.call(lab.line(agent(tools=("shop:slow",))), call_tool("slow")) as call:
        await call.session.send_message("Go")
        seen: Any = call.made._code.get("shop:SEEN")
        while not seen:
            await asyncio.sleep(0.01)
    began = time.monotonic()
    while seen != ["began", "cancelled"] and time.monotonic() - began < 5:
        await asyncio.sleep(0.01)
    assert seen == ["began", "cancelled"]
    assert lab.tools.leaked == 0


# ---- Approvals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("approve", "said"), [(True, "1A is yours"), (False, "Nobody approved")])
async def test_a_tool_that_needs_approval_waits_for_it(lab: Lab, approve: bool, said: str) -> None:
    lab.write("tools/shop.py", "async def book(seat: str) -> str:\n    return f'{seat} is yours'")
    line = lab.line(agent(tools=("shop:book", "hang_up"), needs_approval=("shop:book",)))
    async with lab.call(line, call_tool("book", {"seat": "1A"}), say("Done")) as call:
        await call.session.send_message("Go")
        asked = await call.event(RealtimeToolApprovalRequired)
        assert (asked.tool.name, json.loads(asked.arguments)) == ("book", {"seat": "1A"})
        if approve:
            await call.session.approve_tool_call(asked.call_id)
        else:
            await call.session.reject_tool_call(asked.call_id)
        assert said in await call.output()


@pytest.mark.parametrize(("policy", "waits"), [("return False", False), ("return True", True), ("raise OSError", True)])
async def test_a_tools_own_policy_decides_off_the_loop_and_fails_closed(lab: Lab, policy: str, waits: bool) -> None:
    lab.write(
        "tools/shop.py",
        f"""
        import threading
        from agents import function_tool
        WHERE = []
        async def policy(context, arguments, call_id):
            WHERE.append(threading.current_thread().name)
            {policy}
        @function_tool(needs_approval=policy)
        async def book(seat: str) -> str:
            return seat
    """,
    )
    async with lab.call(lab.line(agent(tools=("shop:book",))), call_tool("book", {"seat": "1A"}), say("Done")) as call:
        await call.session.send_message("Go")
        if waits:
            await call.session.approve_tool_call((await call.event(RealtimeToolApprovalRequired)).call_id)
        assert await call.output() == "1A"
        assert call.made._code.get("shop:WHERE") == ["tools"]


# ---- Handoffs -------------------------------------------------------------------------------------------------------


def cycle(lab: Lab, **options: Any) -> LineConfig:
    return lab.line(agent("triage", handoffs=("faq",)), agent("faq", handoffs=("triage",)), **options)


async def test_agents_hand_the_caller_over_and_back(lab: Lab) -> None:
    turns = (hand_over("faq"), hand_over("triage"), say("Me again"))
    async with lab.call(cycle(lab), *turns) as call:
        await call.session.send_message("Go")
        await call.wire.wait_for("response.create", 3)
        names = [
            (event.from_agent.name, event.to_agent.name)
            for event in call.events
            if isinstance(event, RealtimeHandoffEvent)
        ]
        assert names == [("triage", "faq"), ("faq", "triage")]
        assert [update["session"]["instructions"] for update in call.wire.events("session.update")] == [
            "You are triage.",
            "You are faq.",
            "You are triage.",
        ]


async def test_a_loop_of_handoffs_stops_after_five(lab: Lab) -> None:
    """Hazard K7: A hands over to B, B to A, twenty times."""
    turns = [hand_over(name) for _ in range(3) for name in ("faq", "triage")]
    async with lab.call(cycle(lab), *turns, say("Here I am")) as call:
        await call.session.send_message("Go")
        answers = [await call.output(number) for number in range(1, 7)]
        await call.wire.wait_for("response.create", 7)
        moved = [
            event
            for event in call.events
            if isinstance(event, RealtimeHandoffEvent) and event.from_agent is not event.to_agent
        ]
        assert len(moved) == 5
        assert [json.loads(answer)["assistant"] for answer in answers[:5]] == ["faq", "triage", "faq", "triage", "faq"]
        assert "too often" in answers[5]
        assert call.ended is None
    assert lab.asked == []


async def test_handoffs_count_anew_when_the_caller_has_spoken(lab: Lab) -> None:
    turns = [hand_over(name) for _ in range(3) for name in ("faq", "triage")]
    async with lab.call(cycle(lab), *turns[:5], say("a"), turns[5], say("b")) as call:
        await call.session.send_message("Go")
        await call.output(5)
        await call.wire.wait_for("response.create", 6)
        call.made.caller_spoke()
        await call.wire.wait_for_sent("response.done", 6)
        await call.session.send_message("Go on")
        assert json.loads(await call.output(6)) == {"assistant": "triage"}


async def test_an_agent_that_ignores_refusals_ends_the_call(lab: Lab) -> None:
    turns = [hand_over(name) for _ in range(3) for name in ("faq", "triage")]
    # After the fifth handoff faq has the caller, and goes on trying.
    async with lab.call(cycle(lab), *turns[:5], *[hand_over("triage")] * 5, say("a")) as call:
        await call.session.send_message("Go")
        assert "too often" in await call.output(10)
    assert lab.asked == [HangUpAsked("agent", "handoff-loop")]


# ---- A RealtimeAgent of the user's ----------------------------------------------------------------------------------

OWN = """
    import threading
    import time
    from agents import function_tool, output_guardrail, GuardrailFunctionOutput
    from agents.realtime import RealtimeAgent, realtime_handoff

    WHERE = []
    WHILE = []

    def here(what):
        WHERE.append((what, threading.current_thread().name))

    @function_tool
    async def slow() -> str:
        here("tool")
        WHILE.append(time.monotonic())
        time.sleep(0.5)
        WHILE.append(time.monotonic())
        return "slow done"

    async def instructions(context, agent):
        here("instructions")
        return f"You are {agent.name} on {context.context.line}."

    async def broken(context, agent):
        raise RuntimeError("secret")

    def on_handoff(context):
        here("on_handoff")

    def on_broken_handoff(context):
        raise RuntimeError("secret")

    @output_guardrail
    async def polite(context, agent, output):
        here("guardrail")
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered="damn" in output)

    front_desk = RealtimeAgent(name="front", instructions=instructions, tools=[slow], output_guardrails=[polite])
    back = RealtimeAgent(name="back", instructions=broken, handoffs=[front_desk], handoff_description="Knows.")
    front_desk.handoffs = [
        realtime_handoff(back, on_handoff=on_handoff),
        realtime_handoff(back, on_handoff=on_broken_handoff, tool_name_override="give_up"),
    ]
"""


async def test_a_users_agent_is_taken_as_it_is_with_all_its_python_off_the_loop(lab: Lab) -> None:
    lab.write("my_agents.py", OWN)
    line = lab.line(agent="my_agents:front_desk")
    turns = (call_tool("slow"), hand_over("back"), hand_over("front"), call_tool("slow"), say("ok " * 60, 0.5))
    async with lab.call(line, *turns) as call, Ticks() as ticks:
        assert call.wire.events("session.update")[0]["session"]["instructions"] == "You are front on test."
        await call.session.send_message("Go")
        assert await call.output(1) == "slow done"
        assert await call.output(4) == "slow done"
        await call.wire.wait_for_sent("response.done", 5)
        assert ticks.within(call.made._code.get("my_agents:WHILE")) > 10
        assert call.ended is None
        where: Any = call.made._code.get("my_agents:WHERE")
        assert {what for what, _ in where} == {"tool", "instructions", "on_handoff", "guardrail"}
        assert {thread for _, thread in where} == {"tools"} | {thread for what, thread in where if what == "on_handoff"}
        assert not any("MainThread" in thread for _, thread in where)
        texts = [update["session"]["instructions"] for update in call.wire.events("session.update")]
        assert texts[2] == texts[0]
        assert "could not be loaded" in texts[1]
        assert "secret" not in texts[1]


async def test_a_users_handoff_that_raises_leaves_the_caller_where_they_are(lab: Lab) -> None:
    lab.write("my_agents.py", OWN)
    async with lab.call(lab.line(agent="my_agents:front_desk"), call_tool("give_up"), say("Sorry")) as call:
        await call.session.send_message("Go")
        assert "failed" in await call.output()
        await call.wire.wait_for("response.create", 2)
        assert call.ended is None


async def test_calls_do_not_share_or_change_the_users_objects(lab: Lab) -> None:
    lab.write("my_agents.py", OWN)
    builder = lab.builder()
    line = lab.line(agent="my_agents:front_desk")
    one, two = (
        builder.build(line, ToolContext(call_id=name, line="test", ask=lab.asked.append)) for name in ("one", "two")
    )
    own: Any = one._code.get("my_agents:front_desk")
    assert len({id(one.agent), id(two.agent), id(own)}) == 3
    assert own.tools == [one._code.get("my_agents:slow")]
    assert one.agent.handoffs[0] is not own.handoffs[0]


# ---- Guardrails -----------------------------------------------------------------------------------------------------

LONG = "We will of course give you your money back, " + "and then some more words that go on " * 8


@pytest.mark.parametrize("where", ["line", "agent"])
@pytest.mark.parametrize("guardrail", ["shop:no_money", "no_card_numbers"])
async def test_a_guardrail_trips(lab: Lab, where: str, guardrail: str) -> None:
    lab.write("tools/shop.py", "def no_money(text: str) -> bool:\n    return 'money back' in text")
    on_line, on_agent = ((guardrail,), ()) if where == "line" else ((), (guardrail,))
    line = lab.line(agent(guardrails=on_agent), guardrails=on_line)
    text = LONG if guardrail == "shop:no_money" else "Your card is 4111 1111 1111 1111 " + "and on it goes " * 20
    async with lab.call(line, say(text, 0.5), say("Sorry")) as call:
        await call.session.send_message("Go")
        tripped = await call.event(RealtimeGuardrailTripped)
        assert [result.guardrail.get_name() for result in tripped.guardrail_results] == [guardrail.rpartition(":")[2]]


@pytest.mark.parametrize(("debounce", "most"), [(20, 199), (200, 399)])
async def test_the_debounce_is_the_lines(lab: Lab, debounce: int, most: int) -> None:
    lab.write("tools/shop.py", "SEEN = []\ndef watch(text: str) -> bool:\n    SEEN.append(len(text))\n    return False")
    line = lab.line(agent(), guardrails=("shop:watch",), guardrail_debounce=debounce)
    async with lab.call(line, say(LONG, 0.5)) as call:
        await call.session.send_message("Go")
        seen: Any = call.made._code.get("shop:SEEN")
        await call.wire.wait_for_sent("response.done")
        while not seen:
            await asyncio.sleep(0.01)
        assert debounce <= seen[0] <= most


async def test_a_guardrail_that_raises_or_blocks_is_survived(lab: Lab) -> None:
    """Hazard H19: it fails open; it is no security boundary."""
    lab.write(
        "tools/shop.py",
        """
        import time
        def raises(text: str) -> bool:
            raise RuntimeError
        WHILE = []
        def blocks(text: str) -> bool:
            WHILE.append(time.monotonic())
            time.sleep(0.5)
            WHILE.append(time.monotonic())
            return False
    """,
    )
    line = lab.line(agent(), guardrails=("shop:raises", "shop:blocks"))
    async with lab.call(line, say(LONG, 0.5)) as call, Ticks() as ticks:
        await call.session.send_message("Go")
        await call.wire.wait_for_sent("response.done")
        blocked: Any = call.made._code.get("shop:WHILE")
        while len(blocked) < 2:
            await asyncio.sleep(0.01)
        assert ticks.within(blocked) > 10
        assert call.ended is None
        assert not [event for event in call.events if isinstance(event, RealtimeGuardrailTripped)]


# ---- What is wrong is said --------------------------------------------------------------------------------------------

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


class Ticks:
    """When the serving loop got round to something; it does so every 5 ms unless somebody holds it up."""

    def __init__(self) -> None:
        self._times: list[float] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            self._times.append(time.monotonic())
            await asyncio.sleep(0.005)

    def within(self, times: Any) -> int:
        """Count the ticks between the first two of these times."""
        began, ended, *_ = times
        return sum(began < tick < ended for tick in self._times)
