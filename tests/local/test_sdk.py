"""The unmodified Agents SDK talks to the local model as to OpenAI's: recorded people speak, and are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunConfig, RealtimeRunner, RealtimeSession, realtime_handoff
from agents.realtime.model_inputs import RealtimeModelSendRawMessage

pytestmark = [pytest.mark.anyio, pytest.mark.local]

SETTINGS: Any = {
    "audio": {
        "input": {
            "format": "g711_ulaw",
            "transcription": {"model": "whisper-1"},
            "turn_detection": {"type": "server_vad", "interrupt_response": True},
        },
        "output": {"format": "g711_ulaw"},
    }
}


class Watched:
    """A session and what it told, as our listener beside the SDK's own sees it."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.raw: list[dict[str, Any]] = []
        self.sound = b""
        self.events: list[Any] = []
        self.changed = asyncio.Event()

    async def read(self) -> None:
        async for event in self.session:
            self.events.append(event)
            if event.type == "audio":
                self.sound += event.audio.data
            if event.type == "raw_model_event" and event.data.type == "raw_server_event":
                self.raw.append(event.data.data)
            self.changed.set()

    async def until(self, found: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not found():
                self.changed.clear()
                await self.changed.wait()

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.raw if event["type"] == event_type]

    def said(self) -> list[str]:
        return [one["transcript"] for one in self.of("response.output_audio_transcript.done")]

    def heard(self) -> list[str]:
        return [one["transcript"] for one in self.of("conversation.item.input_audio_transcription.completed")]

    def kinds(self) -> list[str]:
        return [event.type for event in self.events]

    async def speak(self, payload: bytes, speed: float = 4.0) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for start in range(0, len(payload), 160):
            await self.session.send_audio(payload[start : start + 160])
            due += 0.02 / speed
            await asyncio.sleep(max(due - loop.time(), 0))


@asynccontextmanager
async def started(agent: RealtimeAgent[Any], url: str) -> AsyncIterator[Watched]:
    config: RealtimeRunConfig = {"model_settings": SETTINGS, "tracing_disabled": True}
    runner = RealtimeRunner(agent, config=config)
    async with await runner.run(model_config={"url": url, "api_key": "none"}) as session:
        watched = Watched(session)
        reader = asyncio.create_task(watched.read())
        yield watched
        reader.cancel()
        await asyncio.wait([reader])
    errors = [event for event in watched.events if event.type == "error"]
    assert not errors


async def test_recorded_person_is_understood_and_answered_with_the_words_of_the_transcript(
    url, engine, sound, recorded
):
    agent = RealtimeAgent(name="Guide", instructions="Go forward is what robots do every day of the week.")
    async with started(agent, url) as watched:
        await watched.speak(recorded("cmu_goforward"), speed=1.0)
        await watched.until(lambda: "agent_end" in watched.kinds() and bool(watched.said()))
        [heard] = watched.heard()
        assert "forward" in heard.lower()
        assert "meters" in heard.lower()
        again = await engine.recognize(sound.decoder("audio/pcmu")(watched.sound))
        said = watched.said()[0]
        same = {*words_of(said)} & {*words_of(again)}
        assert len(same) >= 0.8 * len({*words_of(said)}), (said, again)


async def test_barge_in_cuts_the_answer_at_what_was_heard(url, recorded):
    long = "Say: " + "This sentence is here to be interrupted. " * 6
    async with started(RealtimeAgent(name="Talker", instructions="Talk."), url) as watched:
        await watched.session.model.send_event(raw("response.create", {"response": {"instructions": long}}))
        await watched.until(lambda: bool(watched.sound))
        item_id = watched.of("response.output_audio.delta")[0]["item_id"]
        await watched.speak(recorded("cmu_something"), speed=1.0)
        await watched.until(lambda: bool(watched.of("conversation.item.truncated")))
        assert "audio_interrupted" in watched.kinds()
        [cut] = watched.of("conversation.item.truncated")
        assert cut["item_id"] == item_id
        await watched.session.model.send_event(raw("conversation.item.retrieve", {"item_id": item_id}))
        await watched.until(
            lambda: any(one["item"]["id"] == item_id for one in watched.of("conversation.item.retrieved"))
        )
        item = next(one["item"] for one in watched.of("conversation.item.retrieved") if one["item"]["id"] == item_id)
        remembered = item["content"][0]["transcript"]
        assert remembered == long[5 : 5 + len(remembered)]
        # About 14 characters a second are spoken; what was heard is what the SDK said was played.
        assert len(remembered) <= cut["audio_end_ms"] / 1000 * 25
        await watched.until(lambda: bool(watched.heard()))


async def test_tool_runs_and_its_result_is_spoken(url, recorded):
    asked: list[int] = []

    @function_tool
    async def go_forward(meters: int) -> str:
        """Go forward.

        Args:
            meters: How many meters to go.
        """
        asked.append(meters)
        return f"I went {meters} meters."

    async with started(RealtimeAgent(name="Robot", instructions="Move.", tools=[go_forward]), url) as watched:
        await watched.speak(recorded("cmu_goforward"))
        await watched.until(lambda: any("I went" in one for one in watched.said()))
        assert asked == [10]
        assert {"tool_start", "tool_end"} <= set(watched.kinds())


async def test_caller_is_handed_over_and_the_request_goes_on(url, recorded):
    cards: list[str] = []

    @function_tool
    async def lay_cards(question: str) -> str:
        """Tell what the cards say.

        Args:
            question: Which cards.
        """
        cards.append(question)
        return "The cards say that you will win."

    front: RealtimeAgent[Any] = RealtimeAgent(name="Front", instructions="Route.")
    reader: RealtimeAgent[Any] = RealtimeAgent(
        name="Clubs and queens", handoff_description="Knows four cards of all clubs.", tools=[lay_cards]
    )
    front.handoffs = [realtime_handoff(reader)]
    reader.handoffs = [realtime_handoff(front)]
    async with started(front, url) as watched:
        await watched.speak(recorded("cmu_cards_002"))
        await watched.until(lambda: any("you will win" in one for one in watched.said()))
        assert "handoff" in watched.kinds()
        assert "queen" in cards[0].lower()


async def test_written_message_is_answered(url):
    async with started(RealtimeAgent(name="A", instructions="Our address is Main Street one."), url) as watched:
        await watched.session.send_message("What is your address?")
        await watched.until(lambda: bool(watched.said()))
        assert watched.said() == ["Our address is Main Street one."]


def raw(event_type: str, fields: dict[str, Any]) -> Any:
    return RealtimeModelSendRawMessage(message={"type": event_type, "other_data": fields})


def words_of(text: str) -> list[str]:
    return ["".join(filter(str.isalnum, word)) for word in text.lower().split()]
