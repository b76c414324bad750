"""GatewayModel beside the SDK's own class: what differs is listed here, and all else is equal."""

import asyncio
import base64
import inspect
import math
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail
from agents.realtime import (
    OpenAIRealtimeWebSocketModel,
    RealtimeAgent,
    RealtimeModelListener,
    RealtimeRunner,
    RealtimeSession,
)
from agents.realtime import _default_tracker as tracker_module
from agents.realtime import model_events as m
from agents.realtime import openai_realtime as sdk
from agents.realtime.model_inputs import RealtimeModelSendAudio, RealtimeModelSendRawMessage
from agents.tool import function_tool

from gateway.audio.payload import size_of
from gateway.call.playout import PlaybackState
from gateway.realtime.model import AudioDelta, GatewayModel
from gateway.realtime.playback import LedgerTracker
from gateway.realtime.socket import Transport
from gateway.testing.model import Fault, ModelSession, ScriptedModel, Timing, Turn, call_tool, hand_over, say

pytestmark = pytest.mark.anyio

SWIFT = Timing(first_audio=0.01, speed=math.inf, transcription=0.01)
SLOW = Timing(first_audio=0.01, speed=20, transcription=0.01)


# ---- The SDK's private names that are used: any change of them fails here, and not in a call --------------------------

MODEL_METHODS = {
    "_create_websocket_connection": ["url", "headers", "transport_config"],
    "_emit_event": ["event"],
    "_emit_normal_disconnect": [],
    "_listen_for_messages": [],
    "_handle_ws_event": ["event"],
    "send_event": ["event"],
    "_send_raw_message": ["event"],
    "_reserve_response_create_request": ["manual"],
    "_start_response_create": ["request_version", "response_create", "manual"],
    "_send_tool_output": ["event"],
    "_get_audio_limits": ["item_id", "item_content_index"],
    "_handle_conversation_item": ["item", "previous_item_id"],
    "_mark_response_created": ["response_id"],
    "_mark_response_done": ["response_id"],
    "_cancel_response_create_tasks": [],
    "_release_response_waiters": [],
    "_update_session_config": ["model_settings"],
}
MODEL_ATTRIBUTES = [
    "_created_session",
    "_websocket",
    "_current_item_id",
    "_audio_state_tracker",
    "_interrupted_audio_response_ids",
    "_response_create_sequencer",
    "_ongoing_response",
    "_response_control",
]
OURS = {"_settings", "_socket", "_bad_messages", "_cut_by_server", "_last_update", "_update_ids", "_unanswered_updates"}


@pytest.mark.parametrize("name", MODEL_METHODS)
def test_the_sdk_still_has_the_method(name: str) -> None:
    method = getattr(OpenAIRealtimeWebSocketModel, name)
    assert inspect.iscoroutinefunction(method) or name in {"_get_audio_limits", "_start_response_create"}
    assert list(inspect.signature(method).parameters) == ["self", *MODEL_METHODS[name]]


@pytest.mark.parametrize("name", MODEL_ATTRIBUTES)
def test_the_sdk_still_has_the_attribute(name: str) -> None:
    assert hasattr(OpenAIRealtimeWebSocketModel(), name)


def test_none_of_our_names_is_one_of_the_sdks() -> None:
    theirs = set(vars(OpenAIRealtimeWebSocketModel())) | set(dir(OpenAIRealtimeWebSocketModel))
    mine = set(vars(GatewayModel())) - set(vars(OpenAIRealtimeWebSocketModel()))
    added = {name for name in vars(GatewayModel) if not name.startswith("__")} - set(MODEL_METHODS) - {"_abc_impl"}
    assert mine == OURS
    assert not (OURS | added) & theirs


def test_the_sdk_still_overrides_what_we_override() -> None:
    overridden = {
        name for name in vars(GatewayModel) if inspect.isroutine(getattr(OpenAIRealtimeWebSocketModel, name, 0))
    }
    assert {name for name in overridden if not name.startswith("__")} == {
        "_create_websocket_connection",
        "send_event",
        "_send_raw_message",
        "_send_tool_output",
        "_get_audio_limits",
        "_listen_for_messages",
        "_handle_ws_event",
        "_handle_conversation_item",
        "_update_session_config",
    }


def test_the_sdk_asks_the_session_only_for_what_ours_keeps_of_it() -> None:
    source = inspect.getsource(OpenAIRealtimeWebSocketModel)
    assert source.count("session = self._created_session") == 2
    assert source.count("self._created_session") == 5  # made, forgotten, replaced
    asked = re.findall(r"session = self\._created_session\n.*?interrupt_response is True", source, re.DOTALL)
    assert {name for part in asked for name in re.findall(r"session\.(\w+)", part)} == {"audio"}
    assert {name for part in asked for name in re.findall(r"audio\.input\.(\w+)", part)} == {"turn_detection"}


def test_the_sequencer_still_names_the_open_response() -> None:
    assert hasattr(sdk._ResponseCreateSequencer, "ongoing_response_id")


def test_the_sdk_uses_no_more_of_its_socket_than_ours_has() -> None:
    """Beside iterating, which we do ourselves: ``_websocket.send`` and ``_websocket.close``."""
    used = set(re.findall(r"_websocket\.(\w+)", inspect.getsource(sdk)))
    assert used == {"send", "close"}


@pytest.mark.parametrize("size", [1, 160, 1601, 80_000])
def test_the_tracker_counts_a_length_like_the_bytes_themselves(size: int) -> None:
    lengths = []
    for audio in (bytes(size), range(size)):
        tracker = tracker_module.ModelAudioTracker()
        tracker.set_audio_format("g711_ulaw")
        tracker.on_audio_delta("item", 0, audio, response_id="resp")  # type: ignore[arg-type]
        state = tracker.get_state("item", 0)
        assert state is not None
        lengths.append(state.audio_length_ms)
    assert lengths == [size / 8, size / 8]


def test_audio_is_decoded_only_when_asked_for() -> None:
    delta = AudioDelta("////", 3, response_id="resp", item_id="item", content_index=0)
    assert isinstance(delta, m.RealtimeModelAudioEvent)
    assert delta.type == "audio"
    assert "data" not in vars(delta)
    assert delta.data == b"\xff\xff\xff"


# ---- The same script, the SDK's class and ours -------------------------------------------------------------------------

NOTHING_HEARD = PlaybackState(None, 0, 0.0)


@function_tool
async def find_seat(row: int) -> str:
    """Find a seat in a row."""
    return f"{row}A"


@function_tool(needs_approval=True)
async def change_seat(row: int) -> str:
    """Change to a row."""
    return f"changed to {row}"


async def _no_refunds(_context: Any, _agent: Any, output: str) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered="refund" in output)


@dataclass
class Scene:
    """What one model class made of a script: the session's events, and what the server was sent."""

    session: RealtimeSession
    server: ModelSession
    events: list[tuple[Any, ...]] = field(default_factory=list)
    playback: PlaybackState = NOTHING_HEARD

    async def create(self) -> None:
        await self.session.model.send_event(RealtimeModelSendRawMessage({"type": "response.create"}))

    async def until(self, kind: str, count: int = 1) -> None:
        """Wait until so many session events of a type, or raw server events, were seen."""
        async with asyncio.timeout(10):
            while sum(kind in each[:2] for each in self.events) < count:
                await asyncio.sleep(0.005)

    async def follow(self) -> None:
        async with aclosing(aiter(self.session)) as events:  # type: ignore[type-var]  # it is a generator
            async for event in events:
                self.events.append(summary(event))


def summary(event: Any) -> tuple[Any, ...]:
    match event.type:
        case "raw_model_event":
            data = event.data
            raw = data.data["type"] if data.type == "raw_server_event" else ""
            return (raw or f"raw:{data.type}", data.data if raw else summary(data) if data.type == "audio" else "")
        case "audio":
            audio = getattr(event, "audio", event)
            return ("audio", "", audio.data, audio.item_id, audio.content_index, audio.response_id)
        case "audio_end" | "audio_interrupted":
            return (event.type, "", event.item_id, event.content_index)
        case "history_added":
            return (event.type, "", event.item.model_dump_json())
        case "history_updated":
            return (event.type, "", [item.model_dump_json() for item in event.history])
        case "tool_start" | "tool_end":
            return (event.type, "", event.tool.name, event.arguments, getattr(event, "output", None))
        case "tool_approval_required":
            return (event.type, "", event.tool.name, event.call_id)
        case "handoff":
            return (event.type, "", event.from_agent.name, event.to_agent.name)
        case "agent_start" | "agent_end":
            return (event.type, "", event.agent.name)
        case "guardrail_tripped":
            return (event.type, "", event.message)
        case _:
            return (event.type, "")


async def speaks_alone(scene: Scene) -> None:
    await scene.create()
    await scene.until("agent_end")


async def uses_a_tool(scene: Scene) -> None:
    await scene.create()
    await scene.until("agent_end", 2)


async def hands_over(scene: Scene) -> None:
    await scene.create()
    await scene.until("agent_end", 2)


async def asks_first(scene: Scene) -> None:
    await scene.create()
    await scene.until("agent_end")
    await scene.until("tool_approval_required")
    for event in scene.events:
        if event[0] == "tool_approval_required":
            await scene.session.approve_tool_call(event[3])
            break
    await scene.until("agent_end", 2)


async def listens(scene: Scene) -> None:
    await scene.create()
    await scene.until("agent_end")
    await scene.session.model.send_event(RealtimeModelSendAudio(bytes(1600)))
    await scene.server.speech_started()
    await scene.server.speech_stopped(transcript="Hello?")
    await scene.until("agent_end", 2)
    await scene.until("raw:input_audio_transcription_completed")


async def is_interrupted(scene: Scene) -> None:
    await scene.create()
    await scene.until("audio", 2)
    await scene.server.speech_started()
    await scene.until("input_audio_buffer.speech_started")
    await scene.session.interrupt()
    await scene.until("agent_end")


async def is_cut_afterwards(scene: Scene) -> None:
    await scene.create()
    await scene.until("agent_end")
    item_id = next(event[3] for event in scene.events if event[0] == "audio")
    scene.playback = PlaybackState(item_id, 0, 321.0)
    await scene.session.interrupt()
    await scene.until("conversation.item.truncated")


async def promises_too_much(scene: Scene) -> None:
    await scene.create()
    await scene.until("guardrail_tripped")
    await scene.until("agent_end", 2)


async def errs(scene: Scene) -> None:
    delete = {"item_id": "item_of_nobody"}
    message: Any = {"type": "conversation.item.delete", "other_data": delete}
    await scene.session.model.send_event(RealtimeModelSendRawMessage(message))
    await scene.until("error")
    await scene.server.strike(Fault.UNKNOWN_EVENT)
    await scene.until("error", 2)


Play = Callable[[Scene], Awaitable[None]]
VAD = {"type": "server_vad", "create_response": True, "interrupt_response": True}
SHY = {"type": "server_vad", "create_response": False, "interrupt_response": False}
SCENES: list[tuple[Play, list[Turn], dict[str, Any] | None]] = [
    (speaks_alone, [say("Hello, this is Acme, what can I do for you?", 2)], VAD),
    (uses_a_tool, [call_tool("find_seat", {"row": 3}), say("It is 3A.", 1)], VAD),
    (hands_over, [hand_over("FAQ"), say("I know everything.", 1)], VAD),
    (asks_first, [call_tool("change_seat", {"row": 3}), say("Done.", 1)], VAD),
    (listens, [say("Hello.", 1), say("Yes?", 1)], VAD),
    (is_interrupted, [say("This is a very long sentence.", 20)], VAD),
    (is_interrupted, [say("This is a very long sentence.", 20)], SHY),
    (is_cut_afterwards, [say("This is a sentence.", 2)], VAD),
    (promises_too_much, [say("You will get a refund, I promise.", 20), say("Sorry.", 1)], VAD),
    (errs, [], VAD),
]


async def play(make: type[OpenAIRealtimeWebSocketModel], scene_of: Play, script: list[Turn], vad: Any) -> Scene:
    faq: RealtimeAgent[Any] = RealtimeAgent(name="FAQ", instructions="You know the answers.")
    agent: RealtimeAgent[Any] = RealtimeAgent(
        name="Triage",
        instructions="You are the first.",
        tools=[find_seat, change_seat],
        handoffs=[faq],
        output_guardrails=[OutputGuardrail(_no_refunds)],
    )
    settings: Any = {
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_ulaw",
        "turn_detection": vad,
        "tracing": {"workflow_name": "calls"},
    }
    config: Any = {"model_settings": settings, "guardrails_settings": {"debounce_text_length": 4}}
    timing = SLOW if scene_of in {is_interrupted, promises_too_much} else SWIFT
    async with ScriptedModel(script, timing=timing, seed=7) as model:
        scenes: list[Scene] = []
        tracker = LedgerTracker(lambda: scenes[0].playback if scenes else NOTHING_HEARD)
        runner = RealtimeRunner(agent, model=make(), config=config)
        session = await runner.run(
            model_config={"url": model.url + "?model=m", "api_key": "test", "playback_tracker": tracker}
        )
        async with session:
            server = await model.connected()
            scene = Scene(session, server)
            scenes.append(scene)
            following = asyncio.create_task(scene.follow())
            await scene.until("session.updated", 2)
            await scene_of(scene)
            await asyncio.sleep(0.1)  # what should not come has its chance to come
            following.cancel()
    return scene


RETRIEVED = "conversation.item.retrieved"


def kinds(scene: Scene) -> list[str]:
    return [event[0] for event in scene.events]


@pytest.mark.parametrize(
    ("scene_of", "script", "vad"), SCENES, ids=lambda value: getattr(value, "__name__", "") or None
)
async def test_the_same_script_gives_the_same_events_but_for_the_list(
    scene_of: Play, script: list[Turn], vad: dict[str, Any] | None
) -> None:
    theirs = await play(OpenAIRealtimeWebSocketModel, scene_of, script, vad)
    ours = await play(GatewayModel, scene_of, script, vad)

    sent_by_them = [message.event for message in theirs.server.received]
    sent_by_us = [message.event for message in ours.server.received]
    # 1. The SDK fetches items; we don't.
    asked = [event for event in sent_by_them if event["type"] == "conversation.item.retrieve"]
    assert all(event["type"] != "conversation.item.retrieve" for event in sent_by_us)
    # 2. Our session updates bear an id.
    assert all(event["event_id"] for event in sent_by_us if event["type"] == "session.update")
    # 3. The SDK interrupts by itself at speech_started: nothing is left for interrupt() to do.
    if scene_of is is_interrupted:
        assert "audio_interrupted" in kinds(theirs)
        assert "audio_interrupted" not in kinds(ours)  # the ledger said that nothing was at the ear
        cancelled = [event["type"] for event in sent_by_us].count("response.cancel")
        assert cancelled == (0 if vad is VAD else 1)  # as interrupt() does it in either class
        return  # how far the answer had come is a matter of time
    wanted = [event for event in sent_by_them if event not in asked]
    assert same(sent_by_us) == same(wanted)

    # 4. Raw events of audio deltas are not repeated beside the audio itself.
    deltas = [event for event in theirs.events if event[0] == "response.output_audio.delta"]
    assert not [event for event in ours.events if event[0] == "response.output_audio.delta"]
    assert len(deltas) >= kinds(ours).count("audio")
    if scene_of is promises_too_much:
        assert set(kinds(ours)) == set(kinds(theirs)) - {"response.output_audio.delta", RETRIEVED}
        return
    expected = [event for event in theirs.events if event not in deltas]
    if scene_of is listens:  # the third difference, with nothing left to interrupt
        interrupted = {"audio_interrupted", "raw:audio_interrupted"}
        assert interrupted <= set(kinds(theirs))
        expected = [event for event in expected if event[0] not in interrupted]
    if asked:
        # What was fetched came back as an item, and was noted in the history.
        assert RETRIEVED in kinds(theirs)
        fetched = {RETRIEVED, "raw:item_updated", "history_updated"}
        expected = [event for event in expected if event[0] not in fetched]
        ours.events = [event for event in ours.events if event[0] not in fetched]
    assert sorted(map(repr, stamped(ours.events))) == sorted(map(repr, stamped(expected)))
    if not asked:  # an item that is fetched after a truncation comes without its transcript
        assert ours.session._history == theirs.session._history


def same(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the numbers of event ids, which depend on how many were sent."""
    return [{key: value for key, value in event.items() if key != "event_id"} for event in events]


def stamped(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Leave out what the server numbers in the order of its sending."""
    return [(kind, same([data])[0] if isinstance(data, dict) else data, *rest) for kind, data, *rest in events]


# ---- Single differences --------------------------------------------------------------------------------------------------


class Listener(RealtimeModelListener):
    def __init__(self) -> None:
        self.events: list[m.RealtimeModelEvent] = []

    async def on_event(self, event: m.RealtimeModelEvent) -> None:
        self.events.append(event)


async def connected(model: ScriptedModel, gateway_model: GatewayModel) -> Listener:
    listener = Listener()
    gateway_model.add_listener(listener)
    settings: Any = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw", "tracing": None}
    await gateway_model.connect(
        {"url": model.url, "headers": {"api-key": "secret"}, "initial_model_settings": settings}
    )
    await (await model.connected()).wait_for_sent("session.updated")
    return listener


async def test_caller_audio_reaches_the_server_as_it_came() -> None:
    frames = [bytes([number]) * 160 for number in range(200)]
    async with ScriptedModel(timing=SWIFT) as model:
        gateway_model = GatewayModel()
        await connected(model, gateway_model)
        for frame in frames:
            await gateway_model.append_audio(base64.b64encode(frame).decode())
        await model.session().wait_for("input_audio_buffer.append", 200)
        assert bytes(model.session().appended) == b"".join(frames)
        assert model.session().headers["api-key"] == "secret"
        assert "Authorization" not in model.session().headers
        await gateway_model.close()


async def test_audio_is_sent_at_once_only_where_the_socket_takes_it() -> None:
    payload = base64.b64encode(bytes(160_000)).decode()
    async with ScriptedModel(timing=SWIFT) as model:
        # The pong is behind megabytes that a busy machine takes seconds to read.
        gateway_model = GatewayModel(Transport(ping_interval=30, ping_timeout=30))
        assert not gateway_model.append_audio_now(payload)
        await connected(model, gateway_model)
        model.session().link.connection.transport.pause_reading()
        taken = 0
        while gateway_model.append_audio_now(payload):
            taken += 1
        model.session().link.connection.transport.resume_reading()
        await gateway_model.append_audio(payload)
        await model.session().wait_for("input_audio_buffer.append", taken + 1)
        assert taken > 0
        assert gateway_model.append_audio_now(payload)
        await gateway_model.close()
        assert not gateway_model.append_audio_now(payload)


async def test_text_in_an_audio_payload_stays_text() -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        gateway_model = GatewayModel()
        await connected(model, gateway_model)
        payload = '"},{"type":"response.create\\\n\x00'
        await gateway_model.append_audio(payload)
        received = await model.session().wait_for("input_audio_buffer.append")
        assert received == {"type": "input_audio_buffer.append", "audio": payload}
        await gateway_model.close()


async def test_guarded_audio_does_not_leak() -> None:
    async with ScriptedModel([say("Nothing to hear.", 2)], timing=SWIFT) as model:
        gateway_model = GatewayModel()
        listener = await connected(model, gateway_model)
        response_id = "resp_guarded"
        gateway_model._interrupted_audio_response_ids.add(response_id)
        for name in (response_id, "resp_free"):
            model.session().send(
                "response.output_audio.delta",
                response_id=name, item_id="item", content_index=0, output_index=0, delta="////",
            )  # fmt: skip
        model.session().send("input_audio_buffer.cleared")
        async with asyncio.timeout(5):
            while not any("cleared" in str(getattr(event, "data", "")) for event in listener.events):
                await asyncio.sleep(0.005)
        heard = [event.response_id for event in listener.events if isinstance(event, m.RealtimeModelAudioEvent)]
        assert heard == ["resp_free"]
        await gateway_model.close()


async def test_the_clamps_count_in_mu_law_even_where_the_sdk_can_not_read_the_session() -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        gateway_model = GatewayModel()
        await connected(model, gateway_model)
        odd = {**model.session().config, "type": "realtime", "tools": "none of your business"}
        gateway_model._audio_state_tracker.set_audio_format("pcm16")
        model.session().send("session.updated", session=odd)
        payload = base64.b64encode(bytes(8000)).decode()
        model.session().send(
            "response.output_audio.delta",
            response_id="resp", item_id="item", content_index=0, output_index=0, delta=payload,
        )  # fmt: skip
        async with asyncio.timeout(5):
            while gateway_model._get_audio_limits("item", 0) is None:
                await asyncio.sleep(0.005)
        assert size_of(payload) == 8000
        assert gateway_model._get_audio_limits("item", 0) == (1000.0, 1000)
        await gateway_model.close()


async def test_responses_are_followed_where_the_sdk_can_not_read_them() -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        gateway_model = GatewayModel()
        listener = await connected(model, gateway_model)
        broken = {"id": "resp_1", "object": 7, "output": "none", "status": 3}
        model.session().send("response.created", response=broken)
        model.session().send("response.done", response=broken)
        async with asyncio.timeout(5):
            while not any(isinstance(event, m.RealtimeModelTurnEndedEvent) for event in listener.events):
                await asyncio.sleep(0.005)
        turns = m.RealtimeModelTurnStartedEvent | m.RealtimeModelTurnEndedEvent
        assert [event.response_id for event in listener.events if isinstance(event, turns)] == ["resp_1", "resp_1"]
        assert not gateway_model._ongoing_response
        await gateway_model.close()


async def test_how_the_socket_ended_is_known() -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        gateway_model = GatewayModel()
        assert gateway_model.closed_as == (0, "")
        gateway_model.abort()
        await connected(model, gateway_model)
        assert gateway_model.closed_as == (0, "")
        await model.session().link.connection.close(1008, "no")
        async with asyncio.timeout(5):
            while gateway_model.closed_as == (0, ""):
                await asyncio.sleep(0.005)
        assert gateway_model.closed_as == (1008, "no")
        gateway_model.abort()
        await gateway_model.close()
