"""What servers and the SDK say, as events of a call; without a network."""

import asyncio
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from agents.exceptions import UserError
from agents.realtime import RealtimeAgent, RealtimeModelEvent, RealtimeSessionEvent
from agents.realtime import events as s
from agents.realtime import model_events as m
from agents.realtime.items import AssistantMessageItem
from agents.usage import Usage
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus, InvalidURI
from websockets.frames import Close
from websockets.http11 import Response

from gateway.call import commands as c
from gateway.call import events as e
from gateway.realtime.attribution import CALLS, ITEMS, Spoken, ToolCalls
from gateway.realtime.ears import Ears
from gateway.realtime.formats import audio_formats, speaks_mu_law
from gateway.realtime.loss import Loss, loss_of_error, worth_retrying
from gateway.realtime.model import AudioDelta, GatewayModel, UnreadableMessageError
from gateway.realtime.outbox import Outbox
from gateway.realtime.translate import error_of, translate

# ---- Server events -----------------------------------------------------------------------------------------------------

IN_ITEM = {"item_id": "item", "content_index": 1, "response_id": "resp"}
USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"cached_tokens": 5, "text_tokens": 8, "audio_tokens": 7},
    "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
}
FLAT_USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "cached_tokens": 5,
    "input_text_tokens": 8,
    "input_audio_tokens": 7,
    "output_text_tokens": 4,
    "output_audio_tokens": 6,
}


def done(status: str, details: Any = None, usage: Any = None) -> dict[str, Any]:
    return {"id": "resp", "status": status, "status_details": details, "usage": usage}


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("response.output_audio_transcript.delta", IN_ITEM | {"delta": "Hel"}, e.AgentTranscribed(2, "item", 1, "Hel")),
        (
            "response.output_audio_transcript.done",
            IN_ITEM | {"transcript": "Hello"},
            e.AgentTranscribed(2, "item", 1, "Hello", final=True),
        ),
        ("response.output_text.delta", IN_ITEM | {"delta": "Hel"}, e.AgentTranscribed(2, "item", 1, "Hel")),
        ("response.output_text.done", IN_ITEM | {"text": "Hello"}, e.AgentTranscribed(2, "item", 1, "Hello", final=True)),
        ("response.output_audio.done", IN_ITEM, e.AgentAudioDone(2, "item", 1)),
        (
            "input_audio_buffer.speech_started",
            {"item_id": "item", "audio_start_ms": 120},
            e.SpeechStarted("item", 120),
        ),
        ("input_audio_buffer.speech_stopped", {"item_id": "item", "audio_end_ms": 900}, e.SpeechStopped("item", 900)),
        (
            "conversation.item.input_audio_transcription.delta",
            IN_ITEM | {"delta": "a seat"},
            e.CallerTranscribed("item", "a seat"),
        ),
        (
            "conversation.item.input_audio_transcription.completed",
            IN_ITEM | {"transcript": "A seat."},
            e.CallerTranscribed("item", "A seat.", final=True),
        ),
        (
            "conversation.item.input_audio_transcription.failed",
            IN_ITEM | {"error": {"code": "audio_unintelligible"}},
            e.CallerTranscribed("item", "", final=True, failed=True),
        ),
        ("response.created", {"response": {"id": "resp"}}, e.ResponseStarted("resp")),
        ("response.done", {"response": done("completed", usage=USAGE)}, e.ResponseDone("resp", "completed", "", FLAT_USAGE)),
        (
            "response.done",
            {"response": done("failed", {"type": "failed", "error": {"type": "server_error", "code": "rate_limit_exceeded"}})},
            e.ResponseDone("resp", "failed", "rate_limit_exceeded"),
        ),
        (
            "response.done",
            {"response": done("failed", {"error": {"type": "server_error"}})},
            e.ResponseDone("resp", "failed", "server_error"),
        ),
        (
            "response.done",
            {"response": done("cancelled", {"type": "cancelled", "reason": "turn_detected"})},
            e.ResponseDone("resp", "cancelled", "turn_detected"),
        ),
        (
            "response.done",
            {"response": done("incomplete", {"reason": "max_output_tokens"})},
            e.ResponseDone("resp", "incomplete", "max_output_tokens"),
        ),
        ("rate_limits.updated", {"rate_limits": []}, None),
        ("session.updated", {"session": {}}, None),
        ("response.output_audio.delta", IN_ITEM | {"delta": "////"}, None),
        ("conversation.item.retrieved", {"item": {}}, None),
        ("of.tomorrow", {}, None),
    ],
)  # fmt: skip
def test_server_events_as_events_of_the_call(kind: str, fields: dict[str, Any], expected: e.AgentEvent | None) -> None:
    assert translate({"type": kind, "event_id": "event_1", **fields}, 2) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KINDS = [
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_text.done",
    "response.output_audio.done",
    "input_audio_buffer.speech_started",
    "conversation.item.input_audio_transcription.failed",
    "response.created",
    "response.done",
]


@given(
    kind=st.sampled_from(KINDS) | JSON,
    fields=st.dictionaries(
        st.sampled_from(["item_id", "content_index", "delta", "response", "transcript", "error", "audio_start_ms"]),
        JSON,
    ),
    response=st.none()
    | st.fixed_dictionaries({}, optional={"id": JSON, "status": JSON, "status_details": JSON, "usage": JSON}),
)
def test_whatever_a_server_sends_nothing_breaks(kind: Any, fields: dict[str, Any], response: Any) -> None:
    translate({"type": kind, **fields, "response": response}, 1)
    error_of({"type": "error", **fields})


def test_an_error_without_a_code_has_its_type() -> None:
    error = {"type": "invalid_request_error", "code": None, "message": "No."}
    assert error_of({"error": error}) == e.AgentErred("invalid_request_error", "No.")
    assert error_of({"error": error | {"code": "bad"}}) == e.AgentErred("bad", "No.")
    assert error_of({"error": "what?"}) == e.AgentErred("", "")


@pytest.mark.parametrize(
    ("session", "formats", "right"),
    [
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu"}}}},
         ("audio/pcmu", "audio/pcmu"), True),
        ({"audio": {"input": {"format": "g711_ulaw"}, "output": {"format": "PCMU"}}}, ("g711_ulaw", "pcmu"), True),
        ({"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}, ("g711_ulaw", "g711_ulaw"), True),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcm"}}}},
         ("audio/pcmu", "audio/pcm"), False),
        ({"audio": {"input": {"format": {"type": "audio/pcma"}}, "output": {"format": {"type": "audio/pcma"}}}},
         ("audio/pcma", "audio/pcma"), False),
        ({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, ("", "audio/pcmu"), False),
        ({"audio": None}, ("", ""), False),
        ({}, ("", ""), False),
        (None, ("", ""), False),
    ],
)  # fmt: skip
def test_formats_are_compared_in_every_shape(session: Any, formats: tuple[str, str], right: bool) -> None:
    assert audio_formats(session) == formats
    assert speaks_mu_law(session) is right


# ---- The two unions of the SDK -------------------------------------------------------------------------------------------


class Heard:
    """An ``Ears`` with what it told."""

    def __init__(self) -> None:
        self.events: list[e.Event] = []
        self.losses: list[Loss] = []
        self.updates = 0
        self.model = GatewayModel()
        self.ears = Ears(
            2, "Triage", self.model, tell=self.events.append, lose=self.losses.append, update_again=self._update
        )

    def _update(self) -> None:
        self.updates += 1

    def say(self, event: RealtimeModelEvent) -> None:
        asyncio.run(self.ears.on_event(event))


MU_LAW_SESSION = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}
UPDATED = m.RealtimeModelRawServerEvent({"type": "session.updated", "session": MU_LAW_SESSION})
READY = [e.AgentReady(2), e.AgentChanged("", "Triage")]
DELTA = AudioDelta("//8=", 2, response_id="resp", item_id="item", content_index=0)
BYTES = m.RealtimeModelAudioEvent(b"\xff\xff", "resp", "item", 0)
AUDIO = e.AgentAudio(2, "resp", "item", 0, "//8=", 2)
MESSAGE = AssistantMessageItem(item_id="item", content=[])

MODEL_CASES: list[tuple[RealtimeModelEvent, list[e.Event], list[str]]] = [
    (m.RealtimeModelErrorEvent(UnreadableMessageError("x")), [e.AgentErred("unreadable-message", "x")], []),
    (m.RealtimeModelErrorEvent(ValueError("unknown event")), [], []),
    (m.RealtimeModelToolCallEvent("find_seat", "call", "{}"), [], []),
    (DELTA, [AUDIO], []),
    (BYTES, [AUDIO], []),
    (m.RealtimeModelAudioInterruptedEvent("item", 0), [], []),
    (m.RealtimeModelAudioDoneEvent("item", 0), [], []),
    (m.RealtimeModelInputAudioTimeoutTriggeredEvent("item", 0, 6000), [], []),
    (m.RealtimeModelInputAudioTranscriptionCompletedEvent("item", "Hello."), [], []),
    (m.RealtimeModelTranscriptDeltaEvent("item", "Hel", "resp"), [], []),
    (m.RealtimeModelOutputTextDeltaEvent("item", "Hel", "resp"), [], []),
    (m.RealtimeModelItemUpdatedEvent(MESSAGE), [], []),
    (m.RealtimeModelItemDeletedEvent("item"), [], []),
    (m.RealtimeModelConnectionStatusEvent("disconnected"), [], []),
    (m.RealtimeModelEndOfStreamEvent(), [], ["model-lost"]),
    (m.RealtimeModelTurnStartedEvent(response_id="resp"), [], []),
    (m.RealtimeModelUsageEvent(Usage()), [], []),
    (m.RealtimeModelTurnEndedEvent(response_id="resp"), [], []),
    (m.RealtimeModelOtherEvent("?"), [], []),
    (m.RealtimeModelExceptionEvent(ConnectionResetError()), [], ["model-unreachable"]),
    (m.RealtimeModelExceptionEvent(ConnectionClosedError(None, None)), [], ["model-lost"]),
    (m.RealtimeModelRawServerEvent({"type": "response.created", "response": {"id": "resp"}}), [e.ResponseStarted("resp")], []),
    (m.RealtimeModelRawServerEvent({"type": "of.tomorrow"}), [], []),
]  # fmt: skip


@pytest.mark.parametrize(("event", "expected", "reasons"), MODEL_CASES, ids=lambda value: type(value).__name__)
def test_every_event_of_the_model(event: RealtimeModelEvent, expected: list[e.Event], reasons: list[str]) -> None:
    heard = Heard()
    heard.say(UPDATED)
    heard.say(event)
    assert heard.events == [*READY, *expected]
    assert [loss.reason for loss in heard.losses] == reasons


def test_the_model_has_no_event_that_is_not_among_them() -> None:
    assert {type(event) for event, _, _ in MODEL_CASES} - {AudioDelta} == set(get_args(RealtimeModelEvent))


INFO: Any = SimpleNamespace(context=None)
TRIAGE: RealtimeAgent[Any] = RealtimeAgent(name="Triage")
FAQ: RealtimeAgent[Any] = RealtimeAgent(name="FAQ")
TOOL: Any = SimpleNamespace(name="find_seat")
GUARDRAIL: Any = SimpleNamespace(guardrail=SimpleNamespace(get_name=lambda: "no_refunds"))

SESSION_CASES: list[tuple[RealtimeSessionEvent, list[e.Event]]] = [
    (s.RealtimeAgentStartEvent(TRIAGE, INFO), []),
    (s.RealtimeAgentEndEvent(TRIAGE, INFO), []),
    (s.RealtimeHandoffEvent(TRIAGE, FAQ, INFO), [e.AgentChanged("Triage", "FAQ")]),
    (s.RealtimeToolStart(TRIAGE, TOOL, '{"row": 3}', INFO), [e.ToolStarted("find_seat", '{"row": 3}', "call_1")]),
    (s.RealtimeToolEnd(TRIAGE, TOOL, '{"row": 3}', "3A", INFO), [e.ToolEnded("find_seat", "3A", "call_1")]),
    (
        s.RealtimeToolApprovalRequired(TRIAGE, TOOL, "call_1", '{"row": 3}', INFO),
        [e.ApprovalAsked("find_seat", '{"row": 3}', "call_1")],
    ),
    (s.RealtimeRawModelEvent(DELTA, INFO), []),
    (s.RealtimeAudioEnd(INFO, "item", 0), []),
    (s.RealtimeAudio(DELTA, "item", 0, INFO), []),
    (s.RealtimeAudioInterrupted(INFO, "item", 0), []),
    (s.RealtimeError("the model's own", INFO), []),
    (s.RealtimeError({"message": "Tool x not found"}, INFO), [e.AgentErred("agent-error", "Tool x not found")]),
    (s.RealtimeHistoryUpdated([MESSAGE], INFO), []),
    (s.RealtimeHistoryAdded(MESSAGE, INFO), []),
    (
        s.RealtimeGuardrailTripped([GUARDRAIL], "I prom", INFO),
        [e.GuardrailTripped(("no_refunds",), "item_2", "resp_1")],
    ),
    (s.RealtimeInputAudioTimeoutTriggered(INFO), []),
]


@pytest.mark.parametrize(("event", "expected"), SESSION_CASES, ids=lambda value: type(value).__name__)
def test_every_event_of_the_session(event: RealtimeSessionEvent, expected: list[e.Event]) -> None:
    heard = Heard()
    heard.say(m.RealtimeModelToolCallEvent("find_seat", "call_1", '{"row": 3}'))
    heard.say(m.RealtimeModelTranscriptDeltaEvent("item_1", "Hello.", "resp_1"))
    heard.say(m.RealtimeModelTranscriptDeltaEvent("item_2", "I promise", "resp_1"))
    heard.ears.take(event)
    assert heard.events == expected
    assert heard.losses == []


def test_the_session_has_no_event_that_is_not_among_them() -> None:
    assert {type(event) for event, _ in SESSION_CASES} == set(get_args(RealtimeSessionEvent))


# ---- Formats (design rule 9), responses, errors --------------------------------------------------------------------------


def test_audio_is_heard_only_while_the_formats_are_right() -> None:
    heard = Heard()
    heard.say(DELTA)
    assert heard.events == []
    heard.say(UPDATED)
    heard.say(DELTA)
    heard.say(m.RealtimeModelRawServerEvent({"type": "session.updated", "session": {}}))
    heard.say(DELTA)
    assert heard.events == [*READY, AUDIO]
    assert heard.updates == 1
    heard.say(m.RealtimeModelRawServerEvent({"type": "session.updated", "session": {}}))
    assert [loss.reason for loss in heard.losses] == ["model-misconfigured"]


def test_a_response_whose_end_was_lost_is_ended_once() -> None:
    heard = Heard()
    heard.say(m.RealtimeModelRawServerEvent({"type": "response.created", "response": {"id": "resp"}}))
    heard.say(m.RealtimeModelTurnEndedEvent(response_id="another"))
    heard.say(m.RealtimeModelTurnEndedEvent(response_id="resp"))
    heard.say(m.RealtimeModelTurnEndedEvent(response_id="resp"))
    assert heard.events == [e.ResponseStarted("resp"), e.ResponseDone("resp", "cancelled", "response-done-lost")]


@pytest.mark.parametrize(
    ("code", "ends", "reason"),
    [
        ("session_expired", True, "model-expired"),
        ("invalid_api_key", True, "model-refused-key"),
        ("insufficient_quota", False, "model-out-of-quota"),
        ("rate_limit_exceeded", False, "model-lost"),
        ("", False, "model-lost"),
    ],
)
def test_an_error_may_say_why_the_socket_closes_next(code: str, ends: bool, reason: str) -> None:
    heard = Heard()
    heard.say(UPDATED)
    heard.say(m.RealtimeModelRawServerEvent({"type": "error", "error": {"code": code, "message": "No."}}))
    assert bool(heard.losses) is ends
    heard.say(m.RealtimeModelEndOfStreamEvent())
    assert heard.losses[0].reason == reason


def test_an_error_in_the_ears_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    monkeypatch.setattr(heard.ears, "_take", lambda _: 1 / 0)
    heard.say(DELTA)
    assert heard.losses == [Loss("gateway-failed", "ZeroDivisionError")]


# ---- Losses --------------------------------------------------------------------------------------------------------------


def refused(status: int) -> InvalidStatus:
    return InvalidStatus(Response(status, "", Headers()))


def closed(code: int, reason: str) -> ConnectionClosedError:
    return ConnectionClosedError(Close(code, reason), None)


@pytest.mark.parametrize(
    ("error", "reason", "again"),
    [
        (refused(401), "model-refused-key", False),
        (refused(403), "model-refused-key", False),
        (refused(404), "model-not-found", False),
        (refused(429), "model-rate-limited", False),
        (refused(400), "model-misconfigured", False),
        (refused(503), "model-unreachable", True),
        (ConnectionRefusedError(111, "refused"), "model-unreachable", True),
        (TimeoutError(), "model-unreachable", True),
        (InvalidURI("x", "no"), "model-misconfigured", False),
        (UserError("two tools of one name"), "model-misconfigured", False),
        (closed(1011, "keepalive ping timeout"), "model-lost", False),
        (closed(1001, "Your session hit the maximum duration of 60 minutes."), "model-expired", False),
        (ConnectionClosedOK(Close(1000, ""), None), "model-lost", False),
        (ConnectionClosedError(None, None), "model-lost", False),
        (UnreadableMessageError("50 unreadable messages"), "model-unreadable", False),
        (KeyError("in an agent's own instructions"), "agent-failed", False),
    ],
)
def test_every_loss_has_its_reason(error: Exception, reason: str, again: bool) -> None:
    assert loss_of_error(error, connecting=True).reason == reason
    assert worth_retrying(error) is again


def test_a_users_error_in_a_running_session_is_the_agents() -> None:
    assert loss_of_error(UserError("a handoff to nobody")) == Loss("agent-failed", "UserError: a handoff to nobody")


# ---- Attribution ---------------------------------------------------------------------------------------------------------


def test_the_latest_item_that_begins_so_is_meant() -> None:
    spoken = Spoken()
    for item_id, delta in [("item_1", "You will"), ("item_2", "You will"), ("item_3", "Hello"), ("item_2", " get")]:
        spoken.add(item_id, f"resp_{item_id[-1]}", delta)
    assert spoken.find("You will") == ("item_2", "resp_2")
    assert spoken.find("You will get") == ("item_2", "resp_2")
    assert spoken.find("something else") == ("item_3", "resp_3")
    assert Spoken().find("x") == ("", "")


def test_alike_tool_calls_are_told_apart_by_their_order() -> None:
    calls = ToolCalls()
    for call_id in ("call_1", "call_2", "call_3"):
        calls.called("find_seat", "{}", call_id)
    assert calls.started("find_seat", "{}") == "call_1"
    assert calls.started("find_seat", "{}") == "call_2"
    assert calls.ended("find_seat", "{}") == "call_1"
    assert calls.ended("find_seat", "{}") == "call_2"
    assert calls.ended("find_seat", "{}") == "call_3"  # rejected: it never started
    assert calls.started("find_seat", "{}") == ""
    assert calls.ended("find_seat", "{}") == ""


def test_attribution_does_not_grow() -> None:
    spoken, calls = Spoken(), ToolCalls()
    for number in range(1000):
        spoken.add(f"item_{number}", "resp", "Hello.")
        calls.called("transfer_to_faq", "{}", f"call_{number}")
    assert len(spoken._items) == ITEMS
    assert len(calls._calls) == CALLS


# ---- The outbox ----------------------------------------------------------------------------------------------------------


def drain(outbox: Outbox) -> list[c.AgentCommand]:
    async def take() -> list[c.AgentCommand]:
        return [await outbox.get() for _ in range(len(outbox._commands))]

    return asyncio.run(take())


def test_audio_beyond_the_limit_drives_the_oldest_out_and_nothing_else() -> None:
    outbox = Outbox(limit=480)
    frames = [c.Hear(str(number), 160) for number in range(6)]
    control: list[c.AgentCommand] = [c.Tell("1"), c.Interrupt(), c.Respond(), c.ForgetItem("item")]
    for command in (control[0], frames[0], control[1], *frames[1:4], control[2], *frames[4:], control[3]):
        outbox.put(command)
    assert outbox.take_dropped() == 480
    assert outbox.take_dropped() == 0
    assert drain(outbox) == [control[0], control[1], frames[3], control[2], *frames[4:], control[3]]


@given(st.lists(st.integers(1, 4) | st.none(), max_size=40))
def test_what_is_queued_comes_out_in_order_or_was_counted(sizes: list[int | None]) -> None:
    outbox = Outbox(limit=5)
    put: list[c.AgentCommand] = [
        c.Tell(str(number)) if size is None else c.Hear(str(number), size) for number, size in enumerate(sizes)
    ]
    for command in put:
        outbox.put(command)
    dropped = outbox.take_dropped()
    got = drain(outbox)
    assert got == [command for command in put if command in got]
    assert [command for command in got if isinstance(command, c.Tell)] == [
        each for each in put if isinstance(each, c.Tell)
    ]
    assert sum(each.size for each in put if isinstance(each, c.Hear)) == dropped + sum(
        each.size for each in got if isinstance(each, c.Hear)
    )
    assert sum(each.size for each in got if isinstance(each, c.Hear)) <= 5
