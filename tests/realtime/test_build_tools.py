"""The tools of a line's agents, in a real session of the SDK against a scripted model server."""

import asyncio
import json
import time
from typing import Any

import pytest
from agents.realtime import (
    RealtimeToolApprovalRequired,
)

from gateway.call.events import Event, HangUpAsked, TransferAsked
from gateway.testing.model import Turn, call_tool, say
from tests.realtime.lab import Lab, Ticks, agent

pytestmark = pytest.mark.anyio


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
