"""The unmodified OpenAI Agents SDK talks to the scripted model as to OpenAI's."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

from gateway.testing.model import (
    SILENCE,
    Fault,
    ModelSession,
    ScriptedModel,
    Timing,
    call_tool,
    compare_frames,
    encode_frame,
    hand_over,
    say,
)

pytestmark = pytest.mark.anyio

QUICK = Timing(first_audio=0.01, speed=20, transcription=0.01)
SPEECH = b"".join(map(encode_frame, range(25)))
PAUSE = bytes([SILENCE]) * 8000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@function_tool
async def find_seat(row: int) -> str:
    """Find a seat in a row."""
    return f"{row}A"


def agents() -> RealtimeAgent[Any]:
    faq: RealtimeAgent[Any] = RealtimeAgent(name="FAQ", instructions="You know the answers.")
    return RealtimeAgent(name="Triage", instructions="You are the first.", tools=[find_seat], handoffs=[faq])


class Caller:
    """A session of the SDK with what came out of it."""

    def __init__(self, session: RealtimeSession, server: ModelSession) -> None:
        self.session = session
        self.server = server
        self.audio = bytearray()
        self.kinds: Counter[str] = Counter()
        self.ended = asyncio.Event()

    async def listen(self) -> None:
        async for event in self.session:
            self.kinds[event.type] += 1
            if event.type == "audio":
                self.audio += event.audio.data
        self.ended.set()

    async def say(self, audio: bytes) -> None:
        for at in range(0, len(audio), 160):
            await self.session.send_audio(audio[at : at + 160])


@asynccontextmanager
async def called(model: ScriptedModel) -> AsyncIterator[Caller]:
    """Connect the SDK as its Twilio example does, with G.711 mu-law both ways."""
    settings: Any = {
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_ulaw",
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 300, "interrupt_response": True},
    }
    runner = RealtimeRunner(agents(), config={"model_settings": settings, "tracing_disabled": True})
    session = await runner.run(model_config={"url": model.url, "api_key": "test"})
    async with session:
        caller = Caller(session, await model.connected(len(model.sessions) - 1))
        listening = asyncio.create_task(caller.listen())
        await caller.server.wait_for_sent("session.updated")
        yield caller
        listening.cancel()


async def test_a_conversation_with_a_tool_and_a_handoff() -> None:
    script = [
        say("Hello, this is Acme.", 1),
        call_tool("find_seat", {"row": 3}),
        say("It is 3A.", 1),
        hand_over("FAQ"),
        say("I know everything.", 1),
    ]
    async with ScriptedModel(script, timing=QUICK) as model, called(model) as caller:
        server = caller.server
        assert server.headers["Authorization"] == "Bearer test"
        assert server.config["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        assert [tool["name"] for tool in server.config["tools"]] == ["find_seat", "transfer_to_faq"]

        await caller.say(SPEECH + PAUSE)  # "Hello"
        await server.wait_for_sent("response.done", 1)
        await caller.say(SPEECH + PAUSE)  # "Which seat?"
        await server.wait_for_sent("response.done", 3)
        await caller.say(SPEECH + PAUSE)  # "Somebody who knows, please"
        await server.wait_for_sent("response.done", 5)
        await asyncio.sleep(0.1)

        assert server.config["instructions"] == "You know the answers."
        assert server.config["tools"] == []
        assert [role for role, _ in server.remembered()] == [
            "user",
            "assistant",
            "user",
            "function_call",
            "function_call_output",
            "assistant",
            "user",
            "function_call",
            "function_call_output",
            "assistant",
        ]
        assert compare_frames(bytes(caller.audio), range(150)).perfect
        assert compare_frames(bytes(server.appended), range(25)).heard == 75
        assert (caller.kinds["tool_end"], caller.kinds["handoff"], caller.kinds["error"]) == (1, 1, 0)
        assert server.sent_events("error") == []


async def test_a_barge_in_leaves_what_was_not_heard_out_of_the_memory() -> None:
    script = [say("one two three four five six seven eight nine ten", 10), say("Yes?", 0.5)]
    async with ScriptedModel(script, timing=QUICK) as model, called(model) as caller:
        server = caller.server
        await caller.session.send_message("Count to ten.")
        await server.wait_for_sent("response.done", 1)
        await asyncio.sleep(0.5)
        await caller.say(SPEECH + PAUSE)
        truncate = await server.wait_for("conversation.item.truncate")
        await server.wait_for_sent("conversation.item.truncated")
        await server.wait_for_sent("response.done", 2)
        assert 500 <= truncate["audio_end_ms"] <= 5000
        heard = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"][
            : truncate["audio_end_ms"] // 1000
        ]
        assert server.remembered()[1] == ("assistant", " ".join(heard))
        assert server.sent_events("error") == []


async def test_an_expired_session_ends_the_sdk_s_iterator_without_an_error() -> None:
    async with ScriptedModel(timing=QUICK) as model, called(model) as caller:
        await caller.server.strike(Fault.EXPIRED_SILENTLY)
        await asyncio.wait_for(caller.ended.wait(), 5)
        assert caller.kinds["error"] == 0


async def test_a_failed_response_is_silent_in_the_sdk() -> None:
    async with ScriptedModel(timing=QUICK, faults=[Fault.RATE_LIMITED]) as model, called(model) as caller:
        await caller.session.send_message("Hello?")
        await caller.server.wait_for_sent("response.done")
        await asyncio.sleep(0.1)
        assert (caller.kinds["agent_end"], caller.kinds["error"], caller.kinds["audio"]) == (1, 0, 0)
