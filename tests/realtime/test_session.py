"""The agent's side of a call, over a real WebSocket to a scripted model."""

import asyncio
import base64
import math
import time
from typing import Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail
from agents.realtime import RealtimeAgent

import gateway.realtime.session as session_module
from gateway.call import commands as c
from gateway.call import events as e
from gateway.call.playout import PlaybackState
from gateway.realtime.socket import Transport
from gateway.testing.model import Fault, ScriptedModel, Timing, call_tool, compare_frames, encode_frame, hand_over, say

pytestmark = pytest.mark.anyio

SWIFT = Timing(first_audio=0.01, speed=math.inf, transcription=0.01)
SLOW = Timing(first_audio=0.01, speed=20, transcription=0.01)
VAD = {"type": "server_vad", "create_response": True, "interrupt_response": True}
SHY = {"type": "server_vad", "create_response": False, "interrupt_response": False}


def hear(number: int, *, loud: bool = True) -> c.Hear:
    frame = encode_frame(number, loud=loud)
    return c.Hear(base64.b64encode(frame).decode(), len(frame))


# ---- Connecting ----------------------------------------------------------------------------------------------------------


async def test_it_is_ready_when_the_formats_are_confirmed(call: Any) -> None:
    """Design rule 9."""
    async with ScriptedModel(timing=SWIFT) as model, call(model, session=3) as caller:
        assert caller.events == [e.AgentReady(3), e.AgentChanged("", "Triage")]
        audio = caller.server.config["audio"]
        assert audio["input"]["format"] == audio["output"]["format"] == {"type": "audio/pcmu"}
        assert caller.server.config["instructions"] == "You are the first."
        assert caller.server.headers["Authorization"] == "Bearer test"
        assert [tool["name"] for tool in caller.server.config["tools"]] == [
            "find_seat",
            "change_seat",
            "transfer_to_faq",
        ]


@pytest.mark.parametrize(
    ("query", "settings", "expected"),
    [
        ("", {}, {"model": ["gpt-realtime-2.1"]}),
        ("", {"model_name": "gpt-x"}, {"model": ["gpt-x"]}),
        ("?model=mine", {"model_name": "gpt-x"}, {"model": ["mine"]}),
        ("?api-version=1&x=%20y", {"model_name": "gpt x"}, {"api-version": ["1"], "x": [" y"], "model": ["gpt x"]}),
    ],
)
async def test_any_server_can_be_named(
    call: Any, query: str, settings: dict[str, Any], expected: dict[str, list[str]]
) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model, url=model.url + query, settings=settings) as caller:
        assert caller.server.path == "/v1/realtime"
        assert caller.server.query == expected


@pytest.mark.parametrize(
    ("headers", "key", "authorization"),
    [
        ({"api-key": "azure"}, "key", None),
        ({"API-Key": "azure"}, "key", None),
        ({"OpenAI-Project": "p"}, "key", "Bearer key"),
        ({"authorization": "Basic x"}, "key", "Basic x"),
        ({}, "", None),
    ],
)
async def test_headers_can_authorise_in_their_own_way(
    call: Any, headers: dict[str, str], key: str, authorization: str | None
) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model, headers=headers, api_key=key) as caller:
        assert caller.server.headers.get("Authorization") == authorization
        assert {name: caller.server.headers[name] for name in headers} == headers


@pytest.mark.parametrize(
    ("fault", "reason", "attempts"),
    [
        (Fault.HTTP_401, "model-refused-key", 1),
        (Fault.HTTP_403, "model-refused-key", 1),
        (Fault.HTTP_429, "model-rate-limited", 1),
        (Fault.HTTP_500, "model-unreachable", 3),
    ],
)
async def test_a_refused_connection_has_its_reason(call: Any, fault: Fault, reason: str, attempts: int) -> None:
    async with ScriptedModel(timing=SWIFT, faults=[fault]) as model:
        caller = call(model)
        caller.ring()
        assert (await caller.wait_for(e.AgentLost)).reason == reason
        await caller.over()
        assert len(caller.events) == 1
        assert model.attempts == attempts


async def test_a_server_that_is_not_there_is_tried_again(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        await model.refuse_connections()
        caller = call(model)
        caller.ring()
        await asyncio.sleep(0.1)
        await model.accept_connections()
        await caller.wait_for(e.AgentReady)
        caller.perform(c.CloseAgent())
        await caller.over()


async def test_a_server_that_never_answers_is_given_up(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "OPEN_WITHIN", 0.3)
    timing = Timing(handshake_delay=2)
    async with ScriptedModel(timing=timing, faults=[Fault.SLOW_HANDSHAKE]) as model:
        caller = call(model)
        caller.ring()
        assert (await caller.wait_for(e.AgentLost)).reason == "model-unreachable"
        await caller.over()


async def test_an_agent_that_can_not_be_asked_for_its_instructions(call: Any) -> None:
    def broken(_context: Any, _agent: Any) -> str:
        raise KeyError("caller_name")

    async with ScriptedModel(timing=SWIFT) as model:
        caller = call(model, RealtimeAgent(name="Broken", instructions=broken))
        caller.ring()
        assert (await caller.wait_for(e.AgentLost)).reason == "agent-failed"
        await caller.over()
        assert model.attempts == 0


@pytest.mark.parametrize("when", [0.0, 0.02, 0.2])
async def test_it_can_be_closed_while_it_connects(call: Any, when: float) -> None:
    timing = Timing(handshake_delay=2)
    async with ScriptedModel(timing=timing, faults=[Fault.SLOW_HANDSHAKE]) as model:
        caller = call(model)
        caller.ring()
        await asyncio.sleep(when)
        caller.perform(c.CloseAgent())
        await caller.over(2)
        assert caller.events == []


async def test_it_can_be_closed_before_it_runs(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        caller = call(model)
        caller.perform(c.CloseAgent())
        caller.ring()
        await caller.over(2)
        assert caller.events == []
        assert model.attempts == 0


async def test_it_closes_politely_and_says_nothing_more(call: Any) -> None:
    async with ScriptedModel([say("A long story.", 60)], timing=SLOW) as model, call(model) as caller:
        caller.perform(c.Respond())
        await caller.wait_for(e.AgentAudio)
        said = len(caller.events)
        caller.perform(c.CloseAgent())
        await caller.over(3)
        await caller.server.closed.wait()
        assert caller.server.close_code == 1000
        assert len(caller.events) == said


async def test_it_can_be_cancelled_with_the_call(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        caller = call(model)
        caller.ring()
        await caller.wait_for(e.AgentReady)
        assert caller.running is not None
        caller.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller.running
        await asyncio.wait_for(caller.server.closed.wait(), 3)
        assert caller.of(e.AgentLost) == []


async def test_its_session_has_the_context(call: Any) -> None:
    seen: list[Any] = []

    def instructions(context: Any, _agent: Any) -> str:
        seen.append(context.context)
        return "x"

    context = object()
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Curious", instructions=instructions)
    async with ScriptedModel(timing=SWIFT) as model, call(model, agent, context=context):
        assert seen == [context]


# ---- The caller's audio --------------------------------------------------------------------------------------------------


async def test_early_audio_is_kept_in_order(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        caller = call(model, turn_detection=None)
        caller.perform(*map(hear, range(40)), c.Tell("now"), *map(hear, range(40, 60)))
        caller.ring()
        caller.perform(*map(hear, range(60, 100)))
        await caller.wait_for(e.AgentReady)
        caller.perform(*map(hear, range(100, 150)))
        await caller.server.wait_for("input_audio_buffer.append", 150)
        assert compare_frames(bytes(caller.server.appended), range(150)).perfect
        kinds = [message.type for message in caller.server.received]
        assert kinds.index("conversation.item.create") == 1 + 40  # session.update was first
        caller.perform(c.CloseAgent())
        await caller.over()


async def test_only_the_last_five_seconds_wait_for_a_slow_model(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model:
        caller = call(model, turn_detection=None)
        caller.perform(*map(hear, range(400)), c.Tell("now"))
        caller.ring()
        assert await caller.wait_for(e.AudioDropped) == e.AudioDropped("agent", 3000)
        await caller.server.wait_for("conversation.item.create")
        assert compare_frames(bytes(caller.server.appended), range(150, 400)).perfect
        caller.perform(c.CloseAgent())
        await caller.over()


async def test_a_blocked_socket_drops_the_oldest_audio_and_no_command(call: Any) -> None:
    frames = [c.Hear(base64.b64encode(number.to_bytes(2) * 800).decode(), 1600) for number in range(2000)]
    patient = Transport(ping_interval=60)
    async with ScriptedModel(timing=SWIFT) as model, call(model, turn_detection=None, transport=patient) as caller:
        caller.server.link.connection.transport.pause_reading()
        for number, frame in enumerate(frames):  # what the system's own buffers take does not count
            caller.perform(frame)
            if number % 100 == 0:
                caller.perform(c.Tell(str(number)))
                await asyncio.sleep(0)
        assert caller.side._outbox._audio <= session_module.BACKLOG
        caller.server.link.connection.transport.resume_reading()
        caller.perform(c.Tell("last"))
        await caller.server.wait_for("conversation.item.create", 21, timeout=20)
        dropped = sum(each.milliseconds for each in caller.of(e.AudioDropped))
        assert dropped > 0
        assert dropped * 8 + len(caller.server.appended) == 2000 * 1600
        texts = [event["item"]["content"][0]["text"] for event in caller.server.events("conversation.item.create")]
        assert texts == [*map(str, range(0, 2000, 100)), "last"]


# ---- A conversation ------------------------------------------------------------------------------------------------------


async def test_a_turn_of_the_caller_and_the_answer(call: Any) -> None:
    async with ScriptedModel([say("Hello, who is there?", 1)], timing=SWIFT) as model, call(model) as caller:
        caller.server.ears.transcripts.append("Good morning.")
        caller.perform(*map(hear, range(50)), *(hear(number, loud=False) for number in range(50)))
        done = await caller.wait_for(e.ResponseDone)
        while not caller.of(e.CallerTranscribed) or not caller.of(e.CallerTranscribed)[-1].final:
            await caller.wait_for(e.CallerTranscribed, len(caller.of(e.CallerTranscribed)) + 1)
        transcript = caller.of(e.CallerTranscribed)[-1]
        started, stopped = caller.of(e.SpeechStarted)[0], caller.of(e.SpeechStopped)[0]
        assert started.item_id == stopped.item_id == transcript.item_id
        assert started.at_ms < stopped.at_ms
        assert (transcript.text, transcript.final) == ("Good morning.", True)
        heard = b"".join(base64.b64decode(audio.payload) for audio in caller.of(e.AgentAudio))
        assert compare_frames(heard, range(50)).perfect
        item_id = caller.of(e.AgentAudio)[0].item_id
        assert caller.of(e.AgentAudioDone) == [e.AgentAudioDone(1, item_id, 0)]
        said = [each for each in caller.of(e.AgentTranscribed) if not each.final]
        assert "".join(each.text for each in said) == "Hello, who is there?"
        assert caller.of(e.AgentTranscribed)[-1] == e.AgentTranscribed(
            1, item_id, 0, "Hello, who is there?", final=True
        )
        assert caller.of(e.ResponseStarted) == [e.ResponseStarted(done.response_id)]
        assert done.status == "completed"
        assert done.usage["total_tokens"] > 0
        order = [type(event) for event in caller.events]
        assert order.index(e.ResponseStarted) < order.index(e.AgentAudio) < order.index(e.ResponseDone)


async def test_a_transcription_that_failed(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT, faults=[Fault.TRANSCRIPTION_FAILED]) as model, call(model) as caller:
        caller.perform(*map(hear, range(50)), *(hear(number, loud=False) for number in range(50)))
        transcript = await caller.wait_for(e.CallerTranscribed)
        assert (transcript.text, transcript.failed) == ("", True)


async def test_a_tool_runs(call: Any) -> None:
    script = [call_tool("find_seat", {"row": 3}, call_id="call_1"), say("It is 3A.", 1)]
    async with ScriptedModel(script, timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone, 2)
        assert caller.of(e.ToolStarted) == [e.ToolStarted("find_seat", '{"row": 3}', "call_1")]
        assert caller.of(e.ToolEnded) == [e.ToolEnded("find_seat", "3A", "call_1")]


async def test_a_handoff_configures_the_session_anew(call: Any) -> None:
    script = [hand_over("FAQ"), say("I know everything.", 1)]
    async with ScriptedModel(script, timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone, 2)
        assert caller.of(e.AgentChanged) == [e.AgentChanged("", "Triage"), e.AgentChanged("Triage", "FAQ")]
        first, second = caller.server.events("session.update")
        assert second["session"]["instructions"] == "You know the answers."
        assert second["session"]["audio"] == first["session"]["audio"]
        assert sum(audio.size for audio in caller.of(e.AgentAudio)) == 8000
        assert len(caller.of(e.AgentReady)) == 1


async def test_a_handoff_that_the_server_refuses_is_a_loss(call: Any) -> None:
    async with ScriptedModel([hand_over("FAQ")], timing=SWIFT) as model, call(model) as caller:
        model.faults.on(Fault.UPDATE_REFUSED)
        caller.perform(c.Respond())
        assert (await caller.wait_for(e.AgentLost)).reason == "model-misconfigured"
        await caller.over()


@pytest.mark.parametrize("approved", [True, False])
async def test_a_person_decides_on_a_tool(call: Any, approved: bool) -> None:
    script = [call_tool("change_seat", {"row": 3}, call_id="call_1"), say("Very well.", 1)]
    async with ScriptedModel(script, timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Respond())
        assert await caller.wait_for(e.ApprovalAsked) == e.ApprovalAsked("change_seat", '{"row": 3}', "call_1")
        assert caller.of(e.ToolStarted) == []
        caller.perform(c.DecideTool("call_1", approved=approved), c.DecideTool("call_of_nobody", approved=approved))
        await caller.wait_for(e.ResponseDone, 2)
        ended = await caller.wait_for(e.ToolEnded)
        assert ended.tool_call_id == "call_1"
        assert (ended.output == "changed to 3") is approved
        assert len(caller.of(e.ToolStarted)) == int(approved)
        assert caller.of(e.AgentErred) == []


async def test_a_guardrail_names_the_item_and_silences_the_response(call: Any) -> None:
    async def no_refunds(_context: Any, _agent: Any, output: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered="refund" in output)

    agent: RealtimeAgent[Any] = RealtimeAgent(
        name="Triage", output_guardrails=[OutputGuardrail(no_refunds, "no_refunds")]
    )
    script = [say("You will get a refund, I promise, and so on and on.", 30), say("Sorry.", 1)]
    run_config = {"guardrails_settings": {"debounce_text_length": 5}}
    async with ScriptedModel(script, timing=SLOW) as model, call(model, agent, run_config=run_config) as caller:
        caller.perform(c.Respond())
        tripped = await caller.wait_for(e.GuardrailTripped)
        guarded = caller.of(e.AgentAudio)[0]
        assert tripped == e.GuardrailTripped(("no_refunds",), guarded.item_id, guarded.response_id)
        await caller.wait_for(e.ResponseDone, 2)
        assert len(caller.server.events("response.cancel")) == 1
        after = caller.events[caller.events.index(tripped) :]
        assert guarded.response_id not in {each.response_id for each in after if isinstance(each, e.AgentAudio)}
        assert caller.of(e.AgentAudio)[-1].response_id != guarded.response_id


async def test_audio_reaches_the_call_when_it_arrives(call: Any) -> None:
    """The first audio of an answer is there long before the answer is complete."""
    async with ScriptedModel([say("A long story.", 20)], timing=SLOW) as model, call(model) as caller:
        caller.perform(c.Respond())
        await caller.wait_for(e.AgentAudio, 3)
        assert caller.of(e.ResponseDone) == []
        assert len(caller.server.sent_events("response.output_audio.delta")) < 20


# ---- Cutting the agent short ---------------------------------------------------------------------------------------------


async def speaking(caller: Any) -> e.AgentAudio:
    """Let the agent begin an answer of which the caller has heard 150 ms."""
    caller.perform(c.Respond())
    audio: e.AgentAudio = await caller.wait_for(e.AgentAudio)
    await caller.wait_for(e.AgentAudio, 3)
    caller.heard = PlaybackState(audio.item_id, audio.content_index, 150.9)
    return audio


@pytest.mark.parametrize("vad", [VAD, SHY])
async def test_speech_alone_cuts_nothing(call: Any, vad: dict[str, Any]) -> None:
    script = [say("A long story.", 10)]
    async with ScriptedModel(script, timing=SLOW) as model, call(model, turn_detection=vad) as caller:
        await speaking(caller)
        await caller.server.speech_started(0)
        await caller.wait_for(e.SpeechStarted)
        done = await caller.wait_for(e.ResponseDone)
        assert done.status == ("cancelled" if vad is VAD else "completed")  # as the server itself decides
        kinds = {message.type for message in caller.server.received}
        assert kinds == {"session.update", "response.create"}


@pytest.mark.parametrize(
    ("vad", "speech", "cancels"),
    [
        (VAD, True, 0),  # the server has cancelled the response when it heard the speech
        (VAD, False, 1),  # a digit, or an operator: the server knows nothing of it
        (SHY, True, 1),
        (SHY, False, 1),
        (None, False, 1),
    ],
)
async def test_an_interruption_truncates_and_cancels_exactly_when_needed(
    call: Any, vad: dict[str, Any] | None, speech: bool, cancels: int
) -> None:
    script = [say("A long story.", 30), say("Yes?", 1)]
    async with ScriptedModel(script, timing=SLOW) as model, call(model, turn_detection=vad) as caller:
        audio = await speaking(caller)
        if speech:
            await caller.server.speech_started(0)
            await caller.wait_for(e.SpeechStarted)
        caller.perform(c.Interrupt())
        await caller.wait_for(e.Interrupted)
        done = await caller.wait_for(e.ResponseDone)
        assert (done.response_id, done.status) == (audio.response_id, "cancelled")
        caller.perform(c.Tell("marker"))
        await caller.server.wait_for("conversation.item.create")
        assert len(caller.server.events("response.cancel")) == cancels
        (truncated,) = caller.server.events("conversation.item.truncate")
        assert (truncated["item_id"], truncated["audio_end_ms"]) == (audio.item_id, 150)
        assert caller.of(e.AgentErred) == []
        caller.perform(c.Respond())
        await caller.wait_for(e.ResponseDone, 2)


async def test_an_interruption_still_says_so_to_the_session(call: Any) -> None:
    async with ScriptedModel([say("A long story.", 30)], timing=SLOW) as model, call(model) as caller:
        seen: list[str] = []
        ears = caller.side._ears
        take = ears.take

        def note(event: Any) -> None:
            seen.append(event.type)
            take(event)

        ears.take = note
        await speaking(caller)
        caller.perform(c.Interrupt())
        await caller.wait_for(e.ResponseDone)
        assert seen.count("audio_interrupted") == 1


async def test_an_interruption_with_nothing_at_the_ear_cancels_only(call: Any) -> None:
    async with ScriptedModel([say("A long story.", 30)], timing=SLOW) as model, call(model) as caller:
        await speaking(caller)
        caller.heard = PlaybackState(None, 0, 0.0)
        caller.perform(c.Interrupt())
        await caller.wait_for(e.Interrupted)
        assert (await caller.wait_for(e.ResponseDone)).status == "cancelled"
        assert caller.server.events("conversation.item.truncate") == []


async def test_an_interruption_of_silence_does_no_harm(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        caller.perform(c.Interrupt(), c.Interrupt(), c.Tell("marker"))
        await caller.server.wait_for("conversation.item.create")
        assert len(caller.of(e.Interrupted)) == 2
        assert {message.type for message in caller.server.received} == {"session.update", "conversation.item.create"}


async def test_the_truncation_has_left_when_interrupted_is_said(call: Any) -> None:
    """The ledger names the cut until then, and not a moment longer (design rule 3)."""
    async with ScriptedModel([say("A long story.", 30)], timing=SLOW) as model, call(model) as caller:
        await speaking(caller)
        asked: list[str] = []

        def note(event: e.Event) -> None:
            if isinstance(event, e.Interrupted):
                asked.append("interrupted")
                caller.heard = PlaybackState("item_of_tomorrow", 0, 0.0)

        caller.emit = note
        send = caller.side._model._send_raw_message

        async def watch(event: Any) -> None:
            await send(event)
            asked.append(event.type)

        caller.side._model._send_raw_message = watch
        caller.perform(c.Interrupt())
        await caller.wait_for(e.Interrupted)
        assert asked[0] == "conversation.item.truncate"
        assert asked[-1] == "interrupted"
        truncated = await caller.server.wait_for("conversation.item.truncate")
        assert truncated["item_id"] != "item_of_tomorrow"


async def test_one_response_waits_for_the_other(call: Any) -> None:
    async with ScriptedModel([say("One.", 1), say("Two.", 1)], timing=SLOW) as model, call(model) as caller:
        caller.perform(c.Respond("one"), c.Respond("two"))
        await caller.wait_for(e.ResponseDone, 2)
        assert [each["response"]["instructions"] for each in caller.server.events("response.create")] == ["one", "two"]
        assert caller.of(e.AgentErred) == []


async def test_a_response_is_cancelled_by_its_id(call: Any) -> None:
    async with ScriptedModel([say("A long story.", 30)], timing=SLOW) as model, call(model) as caller:
        audio = await speaking(caller)
        caller.perform(c.CancelResponse("resp_of_yesterday"), c.CancelResponse(audio.response_id))
        assert (await caller.wait_for(e.ResponseDone)).status == "cancelled"
        (cancel,) = caller.server.events("response.cancel")
        assert cancel["response_id"] == audio.response_id
        assert caller.server.events("conversation.item.truncate") == []


async def test_a_command_that_fails_is_reported(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedModel([say("Hello.", 1)], timing=SWIFT) as model, call(model) as caller:

        async def fail() -> None:
            raise ValueError("a fault of the SDK")

        monkeypatch.setattr(caller.side._model, "interrupt", fail)
        caller.perform(c.Interrupt(), c.Respond())
        await caller.wait_for(e.ResponseDone)
        assert caller.of(e.AgentErred) == [e.AgentErred("command-failed", "Interrupt: ValueError")]
        assert len(caller.of(e.Interrupted)) == 1


async def test_taking_a_command_takes_no_time(call: Any) -> None:
    async with ScriptedModel(timing=SWIFT) as model, call(model) as caller:
        began = time.perf_counter()
        for number in range(250):
            caller.perform(hear(number))
        assert time.perf_counter() - began < 0.5
        await caller.server.wait_for("input_audio_buffer.append", 250)
