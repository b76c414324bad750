"""Handoffs, users' own agents and guardrails, in a real session of the SDK against a scripted model server."""

import asyncio
import json
from typing import Any

import pytest
from agents.realtime import (
    RealtimeGuardrailTripped,
    RealtimeHandoffEvent,
)

from gateway.call.events import HangUpAsked
from gateway.config.resolved import LineConfig
from gateway.testing.model import call_tool, hand_over, say
from gateway.tools import ToolContext
from tests.realtime.lab import Lab, Ticks, agent

pytestmark = pytest.mark.anyio


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
