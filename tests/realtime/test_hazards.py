"""The hazards of the SDK that concern one session (reliability H1 to H27), each over a real WebSocket."""

import asyncio
import base64
import gc
import math
import time
from pathlib import Path
from typing import Any

import pytest
from agents.realtime.model_inputs import RealtimeModelSendRawMessage
from agents.realtime.openai_realtime import _ConversionHelper

import gateway.realtime.session as session_module
from gateway.audio.payload import size_of
from gateway.call import commands as c
from gateway.call import events as e
from gateway.call.playout import PlaybackState
from gateway.realtime.model import BAD_MESSAGES
from gateway.realtime.socket import Transport
from gateway.testing.model import Fault, ScriptedModel, Timing, call_tool, decode_frames, say

pytestmark = pytest.mark.anyio

FRAME = c.Hear(base64.b64encode(bytes([0xFF]) * 160).decode(), 160)
SWIFT = Timing(first_audio=0.01, speed=math.inf, transcription=0.01)


def frames_of(events: list[e.AgentAudio]) -> list[int]:
    return [frame.seq for frame in decode_frames(b"".join(base64.b64decode(event.payload) for event in events))]


async def test_h1_audio_that_came_before_an_abnormal_end_is_not_thrown_away(call: Any) -> None:
    async with ScriptedModel([say("Hello.", 2)], timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Respond())
        await caller.server.wait_for_sent("response.done")
        await caller.server.flush()
        await caller.server.link.connection.close(1011, "internal error")
        lost = await caller.wait_for(e.AgentLost)
        assert (lost.session, lost.reason) == (1, "model-lost")
        assert "1011" in lost.detail
        assert frames_of(caller.of(e.AgentAudio)) == list(range(100))
        assert caller.events[-1] is lost
        await caller.over()


async def test_h1_a_reset_connection_is_a_loss(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        await caller.server.strike(Fault.RESET)
        assert (await caller.wait_for(e.AgentLost)).reason == "model-lost"
        await caller.over()


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes.", "model-expired"),
        (1000, "", "model-lost"),
        (1001, "going away", "model-lost"),
    ],
)
async def test_h2_a_normal_end_is_a_loss_too(call: Any, code: int, words: str, reason: str) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        await caller.server.link.connection.close(code, words)
        assert (await caller.wait_for(e.AgentLost)).reason == reason
        await caller.over()
        assert len(caller.of(e.AgentLost)) == 1


async def test_h3_after_a_loss_a_new_session_takes_over_and_hears(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        async with call(model) as caller:
            await caller.server.strike(Fault.EXPIRED_SILENTLY)
            await caller.wait_for(e.AgentLost)
        async with call(model, session=2) as second:
            assert second.of(e.AgentReady) == [e.AgentReady(2)]
            second.perform(c.Respond())
            assert (await second.wait_for(e.AgentAudio)).session == 2


async def test_h4_commands_after_a_loss_are_ignored(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:

        def speak_on(event: e.Event) -> None:
            if isinstance(event, e.AgentLost):
                caller.perform(FRAME, c.Interrupt(), c.Respond(), c.Tell("x"), c.CloseAgent())

        caller.emit = speak_on
        await caller.server.strike(Fault.RESET)
        await caller.wait_for(e.AgentLost)
        caller.perform(FRAME, c.ForgetItem("item"), c.DecideTool("call", approved=True), c.CloseAgent())
        await caller.over()
        caller.perform(FRAME, c.CloseAgent())
        assert isinstance(caller.events[-1], e.AgentLost)


async def test_h4_commands_that_race_with_the_loss_harm_nobody(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        caller.server.link.reset()
        for _ in range(100):
            caller.perform(FRAME, c.Tell("x"), c.Interrupt(), c.Respond())
            await asyncio.sleep(0)
        await caller.wait_for(e.AgentLost)
        await caller.over()
        assert not [event for event in caller.of(e.AgentErred) if event.code == "command-failed"]


async def test_h5_static_is_never_heard(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT, faults=[Fault.FORMAT_IGNORED]) as model:
        caller = call(model)
        caller.perform(c.Respond())
        caller.ring()
        lost = await caller.wait_for(e.AgentLost)
        assert lost.reason == "model-misconfigured"
        assert "audio/pcm" in lost.detail
        assert len(caller.server.events("session.update")) == 2
        await caller.over()
        assert caller.events == [lost]


@pytest.mark.parametrize("fault", [Fault.FORMAT_IGNORED, Fault.UPDATE_REFUSED])
async def test_h5_a_second_try_may_succeed(call: Any, fault: Fault) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        model.faults.on(fault, times=1)
        async with call(model) as caller:
            first, second = caller.server.events("session.update")
            assert first.pop("event_id") != second.pop("event_id")
            assert first == second


async def test_h5_a_refused_configuration_is_a_loss(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT, faults=[Fault.UPDATE_REFUSED]) as model:
        caller = call(model)
        caller.ring()
        assert (await caller.wait_for(e.AgentLost)).reason == "model-misconfigured"
        await caller.over()


async def test_h5_a_server_that_never_confirms_is_a_loss(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "UPDATED_WITHIN", 0.2)
    async with ScriptedModel(timing=SWIFT, faults=[Fault.NO_SESSION_UPDATED]) as model:
        caller = call(model)
        caller.ring()
        assert (await caller.wait_for(e.AgentLost)).reason == "model-misconfigured"
        await caller.over()


async def test_h5_formats_that_change_in_a_call_are_put_right(call: Any) -> None:
    async with ScriptedModel([say("Hello.", 1)], timing=SWIFT) as model, call(model) as caller:
        server = caller.server
        wrong = {**server.config, "audio": {**server.config["audio"], "output": {"format": {"type": "audio/pcm"}}}}
        server.send("session.updated", session=wrong)
        await server.wait_for("session.update", 2)
        await server.wait_for_sent("session.updated", 3)
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone)
        assert frames_of(caller.of(e.AgentAudio)) == list(range(50))
        assert len(caller.of(e.AgentReady)) == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.RATE_LIMITED, "failed", "rate_limit_exceeded"),
        (Fault.SERVER_ERROR, "failed", "server_error"),
        (Fault.CONTENT_FILTER, "incomplete", "content_filter"),
        (Fault.MAX_OUTPUT_TOKENS, "incomplete", "max_output_tokens"),
    ],
)
async def test_h6_a_response_that_failed_says_so(call: Any, fault: Fault, status: str, code: str) -> None:
    async with ScriptedModel(timing=SWIFT, faults=[fault]) as model, call(model) as caller:
        caller.perform(c.Respond())
        done = await caller.wait_for(e.ResponseDone)
        assert (done.response_id, done.status, done.code) == (caller.of(e.ResponseStarted)[0].response_id, status, code)


async def test_h7_a_lost_end_of_a_response_does_not_mute_the_agent(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        model.faults.on(Fault.DONE_LOST, times=1)
        caller.perform(c.Respond())
        started = await caller.wait_for(e.ResponseStarted)
        await caller.wait_for(e.AgentAudioDone)
        caller.perform(c.Respond("again"))
        await asyncio.sleep(0.1)
        assert caller.of(e.ResponseDone) == []  # so the call's own deadline strikes
        assert len(caller.server.events("response.create")) == 1

        caller.perform(c.CancelResponse(started.response_id))
        done = await caller.wait_for(e.ResponseDone)
        assert done == e.ResponseDone(started.response_id, "cancelled", "response-done-lost")
        await caller.wait_for(e.ResponseStarted, 2)
        assert (await caller.wait_for(e.ResponseDone, 2)).status == "completed"


@pytest.mark.parametrize("fault", [Fault.INVALID_JSON, Fault.NOT_AN_OBJECT])
async def test_h8_a_garbled_message_is_reported_and_survived(call: Any, fault: Fault) -> None:
    async with ScriptedModel([say("Hello.", 2)], timing=SWIFT) as model, call(model) as caller:
        model.faults.on(fault, times=1)
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone)
        assert [erred.code for erred in caller.of(e.AgentErred)] == ["unreadable-message"]
        assert frames_of(caller.of(e.AgentAudio)) == list(range(100))


async def test_h8_audio_that_is_no_base64_is_reported_and_survived(call: Any) -> None:
    async with ScriptedModel([say("Hello.", 1)], timing=SWIFT) as model, call(model) as caller:
        for delta in ("!!!!", "QUJ", 7, None):
            caller.server.send(
                "response.output_audio.delta",
                response_id="resp", item_id="item", content_index=0, output_index=0, delta=delta,
            )  # fmt: skip
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone)
        assert frames_of(caller.of(e.AgentAudio)) == list(range(50))


async def test_h8_nothing_but_garbage_is_a_loss(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        for _ in range(BAD_MESSAGES):
            caller.server.send_raw("]")
        assert (await caller.wait_for(e.AgentLost)).reason == "model-unreadable"
        assert len(caller.of(e.AgentErred)) == BAD_MESSAGES - 1
        await caller.over()


@pytest.mark.parametrize("kind", [e.ResponseStarted, e.AgentAudio, e.AgentChanged])
async def test_h8_an_error_in_the_call_itself_is_a_loss_with_a_reason(call: Any, kind: type[e.Event]) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        caller = call(model)

        def fail(event: e.Event) -> None:
            assert not isinstance(event, kind), "a fault of ours"

        caller.emit = fail
        caller.ring()
        caller.perform(c.Respond())
        assert (await caller.wait_for(e.AgentLost)).reason == "gateway-failed"
        await caller.over()


async def test_h9_an_unknown_event_is_not_the_end(call: Any) -> None:
    async with ScriptedModel([say("Hello.", 2)], timing=SWIFT) as model, call(model) as caller:
        model.faults.on(Fault.UNKNOWN_EVENT)
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone)
        assert frames_of(caller.of(e.AgentAudio)) == list(range(100))


async def test_h9_most_errors_are_not_the_end(call: Any) -> None:
    async with ScriptedModel([say("Hello.", 1)], timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.ForgetItem("item_of_nobody"), c.Respond())
        await caller.wait_for(e.ResponseDone)
        assert len(caller.of(e.AgentErred)) == 1
        assert frames_of(caller.of(e.AgentAudio)) == list(range(50))


async def test_h9_an_expired_session_is_the_end(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        await caller.server.strike(Fault.EXPIRED)
        assert (await caller.wait_for(e.AgentLost)).reason == "model-expired"
        await caller.over()


async def test_h12_an_unknown_tool_is_answered(call: Any) -> None:
    script = [call_tool("no_such_tool"), say("Sorry.", 1)]
    async with ScriptedModel(script, timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone, 2)
        assert frames_of(caller.of(e.AgentAudio)) == list(range(50))
        assert [erred.message for erred in caller.of(e.AgentErred)] == ["Tool no_such_tool not found"]


async def test_h14_nothing_of_a_long_answer_is_kept(call: Any) -> None:
    async with ScriptedModel([say("word " * 600, 240.0)], timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone, timeout=30)
        await asyncio.sleep(0)
        session = caller.side._session
        assert session is not None
        assert session._event_queue.qsize() == 0
        assert sum(audio.size for audio in caller.of(e.AgentAudio)) == 240 * 8000
        ears = vars(caller.side._ears)
        assert not [name for name, value in ears.items() if isinstance(value, list | dict | set) and len(value) > 1]


@pytest.mark.parametrize("hazard", ["h15 a list copied for each delta", "h16 histories that share their items"])
async def test_h15_h16_histories_are_let_go(call: Any, hazard: str) -> None:
    """Every ``history_updated`` holds a whole history; those that were taken must be collectable."""
    script = [say(f"This is {number}.", 0.1) for number in range(20)]
    async with ScriptedModel(script, timing=SWIFT) as model, call(model) as caller:
        for number in range(1, 21):
            caller.perform(c.Respond())
            await caller.wait_for(e.ResponseDone, number)
        gc.collect()
        alive = [each for each in gc.get_objects() if type(each).__name__ == "RealtimeHistoryUpdated"]
        assert len(alive) <= 2, hazard


async def test_h17_truncation_is_where_the_ear_is(call: Any) -> None:
    async with ScriptedModel([say("A long sentence.", 5)], timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Respond())
        audio = await caller.wait_for(e.AgentAudio)
        await caller.wait_for(e.ResponseDone)  # all of it is there; the phone plays on
        caller.heard = PlaybackState(audio.item_id, 0, 1234.5)
        caller.perform(c.Interrupt())
        await caller.wait_for(e.Interrupted)
        truncated = await caller.server.wait_for("conversation.item.truncate")
        assert (truncated["item_id"], truncated["content_index"], truncated["audio_end_ms"]) == (audio.item_id, 0, 1234)
        assert caller.server.events("response.cancel") == []


@pytest.mark.parametrize("heard_ms", [4999.0, 5000.0, 5001.0, 60_000.0])
async def test_h18_truncation_is_never_beyond_the_end(call: Any, heard_ms: float) -> None:
    async with ScriptedModel([say("A sentence.", 5)], timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Respond())
        audio = await caller.wait_for(e.AgentAudio)
        await caller.wait_for(e.ResponseDone)
        caller.heard = PlaybackState(audio.item_id, 0, heard_ms)
        caller.perform(c.Interrupt(), c.Tell("still here"))
        await caller.server.wait_for("conversation.item.create")
        truncations = caller.server.events("conversation.item.truncate")
        assert [each["audio_end_ms"] for each in truncations] == ([4999] if heard_ms < 5000 else [])
        assert caller.of(e.AgentErred) == []


async def test_h18_odd_lengths_are_not_overshot(call: Any) -> None:
    odd = say("Odd.", audio=bytes([0xD5]) * 8001)
    async with ScriptedModel([odd], timing=SWIFT, faults=[Fault.ODD_DELTAS]) as model, call(model) as caller:
        caller.perform(c.Respond())
        audio = await caller.wait_for(e.AgentAudio)
        caller.heard = PlaybackState(audio.item_id, 0, 1000.125)
        await caller.wait_for(e.ResponseDone)
        caller.perform(c.Interrupt(), c.Tell("still here"))
        await caller.server.wait_for("conversation.item.create")
        assert sum(size_of(each.payload) for each in caller.of(e.AgentAudio)) == 8001
        assert caller.server.events("conversation.item.truncate") == []


async def test_h21_there_is_no_tracing_unless_asked(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        async with call(model) as caller:
            caller.perform(c.Tell("x"))
            await caller.server.wait_for("conversation.item.create")
            assert len(caller.server.events("session.update")) == 1
            assert caller.server.config["tracing"] is None
        tracing = {"workflow_name": "calls", "group_id": "call-1"}
        async with call(model, settings={"tracing": tracing}) as caller:
            await caller.server.wait_for("session.update", 2)
            await caller.server.wait_for_sent("session.updated", 2)
            assert {**caller.server.config["tracing"], "metadata": None} == {**tracing, "metadata": None}


async def test_h22_the_socket_has_our_settings(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        assert "Sec-WebSocket-Extensions" not in caller.server.headers
        assert caller.server.headers["User-Agent"].startswith("telephony-voice-gateway/")
        await caller.server.strike(Fault.HUGE_MESSAGE)
        assert (await caller.wait_for(e.AgentLost)).reason == "model-lost"
        await caller.over()


async def test_h23_closing_does_not_wait_for_a_frozen_peer(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        caller = call(model)
        caller.ring()
        await caller.wait_for(e.AgentReady)
        await caller.server.strike(Fault.FROZEN)
        began = time.monotonic()
        caller.perform(c.CloseAgent())
        assert time.monotonic() - began < 0.1
        await caller.over(5)
        assert time.monotonic() - began < 2.5  # 0.9 s, and room for a busy machine; the SDK's own class takes 10
        assert caller.of(e.AgentLost) == []


async def test_h23_a_peer_that_went_silent_is_noticed(call: Any) -> None:
    transport = Transport(ping_interval=0.2, ping_timeout=0.2, close_timeout=0.2)
    async with ScriptedModel(timing=SWIFT) as model, call(model, transport=transport) as caller:
        await caller.server.strike(Fault.FROZEN)
        assert (await caller.wait_for(e.AgentLost, timeout=5)).reason == "model-lost"
        await caller.over()


def test_h23_the_default_transport_notices_within_five_seconds() -> None:
    transport = Transport()
    assert transport.ping_interval + transport.ping_timeout + transport.close_timeout <= 5


async def test_h24_fifty_sessions_leave_nothing_behind(call: Any) -> None:
    async def one(model: ScriptedModel, how: int) -> None:
        async with call(model) as caller:
            caller.perform(FRAME, c.Respond())
            await caller.wait_for(e.AgentAudio)
            if how == 1:
                await caller.server.strike(Fault.RESET)
            elif how == 2:
                await caller.server.strike(Fault.EXPIRED)
        await caller.server.closed.wait()

    async with ScriptedModel(timing=SWIFT) as model:
        await one(model, 0)
        await settled(model)
        tasks, files = len(asyncio.all_tasks()), open_files()
        for number in range(50):
            await one(model, number % 3)
        await settled(model)
        assert len(asyncio.all_tasks()) == tasks
        assert open_files() == files


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def settled(model: ScriptedModel) -> None:
    for session in model.sessions:
        await session.link.connection.wait_closed()
    await asyncio.sleep(0.05)
    gc.collect()


async def test_h25_what_we_send_raw_is_understood_by_the_sdk(call: Any) -> None:
    """The SDK logs and drops raw messages that it can't convert, so every kind is seen to arrive."""
    async with ScriptedModel([say("Yes.", 1)] * 2, timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Tell("The caller pressed 1."), c.Respond())
        await caller.wait_for(e.ResponseDone)
        item_id = caller.of(e.AgentAudio)[0].item_id
        caller.perform(c.ForgetItem(item_id), c.Respond("Greet the caller."))
        await caller.wait_for(e.ResponseDone, 2)
        assert caller.server.remembered()[0] == ("system", "The caller pressed 1.")
        assert item_id not in {item.id for item in caller.server.items}
        first, second = caller.server.events("response.create")
        assert "response" not in first
        assert second["response"] == {"instructions": "Greet the caller."}
        assert caller.of(e.AgentErred) == []


def test_h25_a_message_that_does_not_convert_would_be_noticed() -> None:
    assistant = {"item": {"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "x"}]}}
    message: Any = {"type": "conversation.item.create", "other_data": assistant}
    assert _ConversionHelper.try_convert_raw_message(RealtimeModelSendRawMessage(message)) is None
