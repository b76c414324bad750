"""The bounded session beside the SDK's own: what is read is equal, and what is kept does not grow."""

import asyncio
import math
from typing import Any

import pytest
from agents.realtime import RealtimeAgent, RealtimeSession
from agents.realtime.items import AssistantMessageItem
from agents.realtime.model_events import (
    RealtimeModelTurnEndedEvent,
    RealtimeModelTurnStartedEvent,
    RealtimeModelUsageEvent,
)
from agents.tool import function_tool
from agents.usage import Usage

from gateway.call.playout import PlaybackState
from gateway.realtime import bounded
from gateway.realtime.bounded import KEPT, UNREAD, BoundedSession
from gateway.realtime.model import GatewayModel
from gateway.realtime.playback import LedgerTracker
from gateway.testing.model import ScriptedModel, Timing, call_tool, hand_over, say

pytestmark = pytest.mark.anyio

SWIFT = Timing(first_audio=0.01, speed=math.inf, transcription=0.01)


@function_tool
async def find_seat(row: int) -> str:
    """Find a seat in a row."""
    return f"{row}A"


async def talk(kind: type[RealtimeSession], turns: int = 4) -> tuple[list[Any], RealtimeSession, list[str]]:
    """Give a session a few turns with a tool and a handoff; its events, itself, and what it sent."""
    faq: RealtimeAgent[Any] = RealtimeAgent(name="FAQ", instructions="You know.")
    agent: RealtimeAgent[Any] = RealtimeAgent(
        name="Triage", instructions="You are first.", tools=[find_seat], handoffs=[faq]
    )
    script = [call_tool("find_seat", {"row": 3}), say("It is 3A.", 0.2), hand_over("FAQ"), say("I am here.", 0.2)]
    script += [say(f"This is answer {number}.", 0.1) for number in range(turns)]
    async with ScriptedModel(script, timing=SWIFT) as model:
        config: Any = {
            "url": model.url,
            "api_key": "test",
            "playback_tracker": LedgerTracker(lambda: PlaybackState(None, 0, 0.0)),
        }
        session = kind(GatewayModel(), agent, None, model_config=config)
        events: list[Any] = []
        async with session:
            server = model.session(0)

            async def read() -> None:
                async for event in session:
                    events.append(event)

            reading = asyncio.create_task(read())
            for count in range(1, turns + 3):
                await session.send_message("next")
                await server.wait_for_sent("response.done", min(count, 2) * 2 + max(count - 2, 0), timeout=10)
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.05)
        await reading
        return events, session, [message.event["type"] for message in server.received]


def told(events: list[Any]) -> list[str]:
    """What is read of them, in order; tools run beside the rest."""
    return [event.type for event in events if type(event) not in UNREAD]


def contents(session: RealtimeSession) -> list[Any]:
    """The words of each item of a history; of a tool's call its name."""
    return [
        [part.model_dump(exclude={"audio"}) for part in item.content] if item.type == "message" else item.name
        for item in session._history
    ]


async def test_what_is_read_what_is_sent_and_the_end_of_the_history_are_equal() -> None:
    stock, stock_session, stock_sent = await talk(RealtimeSession)
    ours, our_session, our_sent = await talk(BoundedSession)
    assert told(ours) == told(stock)
    assert {"tool_start", "tool_end", "handoff"} <= set(told(ours))
    assert our_sent == stock_sent
    assert contents(our_session) == contents(stock_session)[-KEPT:]
    assert {type(event) for event in stock} & UNREAD
    assert not {type(event) for event in ours} & UNREAD


async def test_nothing_grows_over_many_items() -> None:
    session = BoundedSession(GatewayModel(), RealtimeAgent(name="A"), None)
    for number in range(500):
        item = AssistantMessageItem(item_id=f"i{number}", content=[])
        session._history = session._get_new_history(session._history, item)
    assert [item.item_id for item in session._history] == [f"i{number}" for number in range(500 - KEPT, 500)]
    assert session._event_queue.empty()


async def test_what_responses_used_is_summed_up_and_not_kept_one_by_one() -> None:
    session = BoundedSession(GatewayModel(), RealtimeAgent(name="A"), None)
    for number in range(3 * KEPT):
        await session.on_event(RealtimeModelTurnStartedEvent(response_id=f"r{number}"))
        await session.on_event(RealtimeModelUsageEvent(usage=Usage(requests=1, input_tokens=2, total_tokens=2)))
        await session.on_event(RealtimeModelTurnEndedEvent(response_id=f"r{number}"))
    usage = session._context_wrapper.usage
    assert (usage.requests, usage.input_tokens) == (3 * KEPT, 6 * KEPT)
    assert len(usage.request_usage_entries) <= KEPT


async def test_calls_of_tools_and_the_lengths_of_items_are_kept_for_the_newest_alone(monkeypatch) -> None:
    monkeypatch.setattr(bounded, "KEPT", 3)
    stock, stock_session, _ = await talk(RealtimeSession, turns=8)
    ours, our_session, _ = await talk(BoundedSession, turns=8)
    assert told(ours) == told(stock)
    for session in (stock_session, our_session):
        assert isinstance(session.model, GatewayModel)
        assert len(session.model._audio_state_tracker._states) <= 4  # the one that is spoken, too
    for number in range(10):
        for session in (stock_session, our_session):
            session._tool_invocation_routes[f"t{number}"] = (None, None)
            session._context_wrapper._tool_invocations[f"t{number}"] = object()  # type: ignore[assignment]
    our_session._active_tool_invocations["t1"] = ("find_seat", "", "")
    assert isinstance(our_session, BoundedSession)
    our_session._forget_tool_calls()
    assert [*our_session._tool_invocation_routes] == ["t1", "t7", "t8", "t9"]
    known = our_session._context_wrapper._tool_invocations
    assert [call_id for call_id in known if call_id.startswith("t")] == ["t1", "t7", "t8", "t9"]
    assert len(stock_session._tool_invocation_routes) >= 10


def test_the_sdk_still_has_what_is_bounded() -> None:
    session = RealtimeSession(GatewayModel(), RealtimeAgent(name="A"), None)
    assert isinstance(session._history, list)
    assert isinstance(session._event_queue, asyncio.Queue)
    assert asyncio.iscoroutinefunction(session._put_event)
    assert session._closing is session._closed is False
    for calls in (session._tool_invocation_routes, session._active_tool_invocations, session._pending_tool_calls):
        assert isinstance(calls, dict)
    assert isinstance(session._context_wrapper._tool_invocations, dict)
