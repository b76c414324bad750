"""The life of a call, rule by rule; both sides are played by hand (the rules are those of the design)."""

from __future__ import annotations

import pytest

from gateway.call import events as e
from gateway.call.commands import (
    CancelResponse,
    Clear,
    CloseAgent,
    CloseStream,
    Continue,
    DecideTool,
    EndCall,
    Finish,
    ForgetItem,
    Hear,
    Interrupt,
    OpenAgent,
    Play,
    Redirect,
    Respond,
    Tell,
)
from gateway.call.floor import TOOLS_IN_A_ROW
from gateway.call.plan import Connect, Dial, HangUp, Say
from gateway.call.policy import BargeIn, Clip, OnFailure, Policy, Target
from gateway.call.reason import EndReason
from gateway.call.state import State
from tests.call.by_hand import ByHand, payload

DESK = Target("desk", "+15005550009", timeout_s=20)


@pytest.fixture
def call() -> ByHand:
    call = ByHand()
    call.talk()
    return call


def lines_with(**changes) -> ByHand:
    call = ByHand(Policy("desk", greeting="Hello.", transfers={"desk": DESK}, **changes))
    call.talk()
    return call


# ---- The greeting ----------------------------------------------------------------------------------------------------


def test_the_agent_greets_once_both_are_there():
    call = ByHand()
    assert call.start() == []
    [respond] = call.tell(e.AgentReady(1))
    assert isinstance(respond, Respond)
    assert "Hello." in respond.instructions


def test_a_greeting_clip_plays_without_waiting_for_the_model_which_is_told():
    clip = Clip(*payload(1.0), text="Welcome.")
    call = ByHand(Policy("desk", greeting_clip=clip))
    assert sum(each.size for each in call.start() if isinstance(each, Play)) == 8000
    [told] = call.tell(e.AgentReady(1))
    assert isinstance(told, Tell)
    assert "Welcome." in told.text


def test_a_model_that_does_not_come_in_time_has_the_line_say_so():
    call = ByHand()
    call.start()
    call.run(call.call.policy.model_ready + 0.1)
    assert call.is_in(State.FAILING)
    assert call.all(CloseStream)
    [plan] = call.tell(e.ContinuationAsked("in-progress"))[:1]
    assert plan == Continue((Say(OnFailure().say, "en-US"), HangUp()))


def test_rule_8_what_the_caller_says_before_the_model_is_there_is_kept_for_it_in_order():
    call = ByHand()
    call.start()
    call.run(0.5)
    assert len(call.all(Hear)) == 25


# ---- Rule 2: the core decides a barge-in -----------------------------------------------------------------------------


def test_rule_2_speech_cuts_what_is_heard_at_once_and_truncates_after_response_done_too(call):
    call.answer(5.0)
    call.run(2.0)
    assert call.caller_speaks() == [Clear(), Interrupt()]
    assert call.call.playout.playing(call.now) is False


def test_rule_2_speech_while_nothing_plays_clears_nothing(call):
    call.answer(1.0)
    call.run(3.0)
    assert call.caller_speaks() == []


def test_rule_2_a_response_that_has_said_nothing_yet_is_stopped_without_a_clear(call):
    call.tell(e.ResponseStarted("r"))
    assert call.caller_speaks() == [Interrupt()]


def test_rule_2_a_line_with_a_least_speech_cuts_only_after_it_and_starts_every_response_itself():
    call = lines_with(barge_in=BargeIn(min_speech=0.4))
    call.answer(5.0)
    call.run(1.0)
    assert call.caller_speaks() == []
    call.run(0.3)
    assert call.caller_stops() == [], "a cough neither cuts nor is answered"
    call.run(0.3)
    assert not call.all(Clear)
    call.caller_speaks()
    call.run(0.5)
    assert len(call.all(Clear)) == 1
    assert isinstance(call.caller_stops()[-1], Respond)


def test_rule_2_a_line_without_barge_in_is_never_cut_and_answers_afterwards():
    call = lines_with(barge_in=BargeIn(allowed=False))
    call.answer(3.0)
    call.run(1.0)
    call.caller_speaks()
    call.run(0.5)
    before = len(call.all(Respond))
    call.caller_stops()
    assert len(call.all(Respond)) == before
    call.run(3.0)
    assert not call.all(Clear)
    assert len(call.all(Respond)) == before + 1


def test_rule_2_a_protected_greeting_is_heard_to_its_end_and_nothing_after_it_is_protected():
    call = lines_with(barge_in=BargeIn(protect_greeting=True))
    call.answer(2.0, "greeting", "r1")
    call.run(0.5)
    assert Clear() not in call.caller_speaks()
    call.caller_stops()
    call.run(3.0)
    call.answer(5.0, "next", "r2")
    call.run(1.0)
    assert Clear() in call.caller_speaks("again")


# ---- Rules 3, 4 and 5: the tracker, dead responses, guardrails --------------------------------------------------------


def test_rule_3_the_tracker_names_the_cut_item_until_the_truncation_has_left():
    call = ByHand()
    call.talk()
    call.answer(5.0)
    call.run(2.0)
    seen = []
    handle = call.call.handle

    def spy(event, now):
        if isinstance(event, e.Interrupted):
            seen.append(call.call.playback(now))
        return handle(event, now)

    call.call.handle = spy  # type: ignore[method-assign]
    call.caller_speaks()
    [state] = seen
    assert state.item_id == "item"
    assert state.heard_ms == pytest.approx(2000, abs=60)


def test_rule_4_late_audio_of_a_cut_response_is_dropped_and_items_nobody_heard_are_deleted_once_it_is_done(call):
    call.speak(4.0, "first", "r")
    call.speak(4.0, "second", "r")
    call.run(1.0)
    assert call.caller_speaks() == [Clear(), Interrupt()]
    sent = len(call.all(Play))
    text, size = payload(1.0)
    call.tell(e.AgentAudio(1, "r", "third", 0, text, size))
    assert len(call.all(Play)) == sent
    commands = call.tell(e.ResponseDone("r", "cancelled"))
    assert [each.item_id for each in commands if isinstance(each, ForgetItem)] == ["second", "third"]


def test_rule_4_the_next_response_is_heard(call):
    call.speak(4.0, "first", "r1")
    call.run(1.0)
    call.caller_speaks()
    call.tell(e.ResponseDone("r1", "cancelled"))
    call.caller_stops()
    assert any(isinstance(each, Play) for each in call.speak(1.0, "second", "r2"))


def test_rule_5_a_guardrail_takes_back_its_item_and_lets_the_innocent_one_at_the_ear_go_on(call):
    call.speak(3.0, "innocent", "r1")
    call.tell(e.ResponseDone("r1", "completed"))
    call.speak(3.0, "guilty", "r2")
    call.run(1.0)
    commands = call.tell(e.GuardrailTripped(("no",), "guilty", "r2"))
    assert Clear() in commands
    again = sum(each.size for each in commands if isinstance(each, Play)) / 8
    assert again == pytest.approx(2000, abs=60)
    forgotten = [*commands, *call.tell(e.ResponseDone("r2", "cancelled"))]
    assert ForgetItem("guilty") in forgotten
    call.run(4.0)
    assert call.call.playout.heard_ms(next(iter(call.call.playout._items))) == pytest.approx(3000, abs=60)


# ---- Rule 6: streams come and go -------------------------------------------------------------------------------------


def test_rule_6_stop_ends_the_stream_and_not_the_call_which_goes_on_with_the_next_one(call):
    call.run(1.0)
    call.stop("stop")
    assert call.is_in(State.DETACHED)
    call.run(2.0)
    commands = call.start()
    assert call.is_in(State.TALKING)
    assert any(isinstance(each, Tell) for each in commands)


def test_rule_6_a_lost_socket_is_opened_again_three_times_and_then_told():
    call = ByHand()
    call.talk()
    for _ in range(3):
        call.stop("lost")
        assert call.tell(e.ContinuationAsked("in-progress")) == [Continue((Connect(),))]
        call.start()
    call.stop("lost")
    commands = call.tell(e.ContinuationAsked("in-progress"))
    assert isinstance(commands[0], Continue)
    assert isinstance(commands[0].plan[0], Say)
    assert call.ended


def test_rule_6_what_was_queued_when_the_stream_was_lost_is_out_of_the_models_memory(call):
    call.answer(4.0, "heard", "r1")
    call.answer(4.0, "unheard", "r2")
    call.run(1.0)
    commands = call.stop("lost")
    assert Interrupt() in commands
    assert ForgetItem("unheard") in commands


def test_rule_6_news_of_an_older_stream_changes_nothing(call):
    call.stop("lost")
    call.tell(e.ContinuationAsked("in-progress"))
    call.start()
    assert call.tell(e.StreamStopped(1, "lost")) == []
    assert call.is_in(State.TALKING)


# ---- Rule 7: the last word -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["stream", "rest"])
def test_rule_7_a_hang_up_waits_for_the_last_word_by_either_route(route):
    call = lines_with(end_by=route)
    call.speak(3.0, text="Goodbye.")
    call.tell(e.HangUpAsked("agent", "done"))
    call.tell(e.ResponseDone("r", "completed"))
    leaving = CloseStream if route == "stream" else EndCall
    call.run(2.5)
    assert not call.all(leaving)
    call.run(1.5)
    assert call.all(leaving)


def test_rule_7_the_goodbye_that_follows_the_tool_is_heard_too(call):
    call.tell(e.ResponseStarted("r1"))
    call.tell(e.ToolStarted("hang_up", "{}", "t"))
    call.tell(e.HangUpAsked("agent", "done"))
    call.tell(e.ResponseDone("r1", "completed"))
    call.tell(e.ToolEnded("hang_up", "", "t"))
    call.run(0.3)
    call.answer(2.0, "goodbye", "r2")
    call.run(1.5)
    assert not call.all(CloseStream)
    call.run(1.5)
    assert call.all(CloseStream)


def test_rule_7_the_wait_has_a_limit():
    call = lines_with(last_word=2.0)
    call.answer(30.0)
    call.tell(e.HangUpAsked("agent", "done"))
    call.run(2.1)
    assert call.all(CloseStream)


def test_rule_7_a_transfer_waits_too_and_is_made_when_the_carrier_asks():
    call = lines_with()
    call.speak(1.0, text="One moment.")
    call.tell(e.TransferAsked("agent", "desk"))
    call.tell(e.ResponseDone("r", "completed"))
    call.run(3.0)
    assert call.all(CloseStream)
    assert call.tell(e.ContinuationAsked("in-progress")) == [Continue((Dial(DESK.to, 20),))]
    assert call.is_in(State.MOVED)
    assert isinstance(call.tell(e.ContinuationAsked("in-progress", "completed"))[-1], Finish)


def test_rule_7_a_transfer_by_rest_redirects():
    call = lines_with(end_by="rest")
    call.tell(e.TransferAsked("agent", "desk"))
    call.run(1.0)
    assert call.all(Redirect) == [Redirect((Dial(DESK.to, 20),))]
    assert call.is_in(State.MOVED)


def test_rule_7_a_transfer_that_nobody_answers_comes_back_to_the_agent():
    call = lines_with()
    call.tell(e.TransferAsked("agent", "desk"))
    call.run(1.0)
    call.tell(e.ContinuationAsked("in-progress"))
    assert call.tell(e.ContinuationAsked("in-progress", "no-answer"))[0] == Continue((Connect(),))
    commands = call.start()
    assert any("no-answer" in each.text for each in commands if isinstance(each, Tell))


def test_rule_16_only_names_of_the_line_can_be_transferred_to():
    call = lines_with()
    [told] = call.tell(e.TransferAsked("agent", "+19005550000"))
    assert isinstance(told, Tell)
    assert call.is_in(State.TALKING)


def test_an_agent_that_only_calls_tools_is_ended_with_words(call):
    for number in range(TOOLS_IN_A_ROW + 1):
        call.tell(e.ToolStarted("find", "{}", str(number)))
        call.tell(e.ToolEnded("find", "", str(number)))
    assert call.is_in(State.FAILING)
    assert call.call.reason == EndReason("model", "tool-loop")


def test_words_that_are_heard_between_tools_are_no_loop(call):
    for number in range(TOOLS_IN_A_ROW + 1):
        call.tell(e.ToolStarted("find", "{}", str(number)))
        call.tell(e.ToolEnded("find", "", str(number)))
        call.answer(0.1, f"item{number}", f"r{number}")
    assert call.is_in(State.TALKING)


def test_an_agent_that_asks_for_the_end_twice_has_nothing_more_to_say(call):
    call.tell(e.HangUpAsked("agent", "done"))
    call.tell(e.ResponseStarted("r"))
    assert call.tell(e.HangUpAsked("agent", "done")) == [CloseStream()]


# ---- Rules 8 and 10: the model comes and goes -------------------------------------------------------------------------


def test_rule_8_a_model_without_a_stream_is_closed_after_ten_seconds_and_opened_when_one_comes(call):
    call.answer(1.0, text="Hello.")
    call.run(2.0)
    call.stop("stop")
    call.run(9.5)
    assert not call.all(CloseAgent)
    call.run(1.0)
    assert call.all(CloseAgent)
    assert OpenAgent() in call.start()
    [told, *_] = [each for each in call.tell(e.AgentReady(2)) if isinstance(each, Tell)]
    assert "agent: Hello." in told.text, "the new session is told what was heard so far"


def test_rule_10_a_lost_model_has_the_line_speak_at_once(call):
    call.answer(5.0)
    call.run(1.0)
    commands = call.tell(e.AgentLost(1, "model-lost"))
    assert Clear() in commands
    assert CloseStream() in commands
    assert call.is_in(State.FAILING)


def test_rule_10_one_failed_response_is_tried_again_and_the_second_is_the_end(call):
    call.tell(e.ResponseStarted("r1"))
    call.tell(e.ResponseDone("r1", "failed", "server_error"))
    before = len(call.all(Respond))
    call.run(0.5)
    assert len(call.all(Respond)) == before + 1
    call.tell(e.ResponseStarted("r2"))
    call.tell(e.ResponseDone("r2", "failed", "server_error"))
    assert call.call.reason == EndReason("model", "response-failed-server_error")


def test_rule_10_a_model_that_owes_an_answer_is_asked_once_more_and_then_given_up(call):
    call.answer(0.5)
    call.run(2.0)
    call.caller_speaks()
    call.caller_stops()
    before = len(call.all(Respond))
    call.run(call.call.policy.response_stuck + 0.1)
    assert len(call.all(Respond)) == before + 1
    call.run(call.call.policy.response_stuck + 0.1)
    assert call.call.reason == EndReason("model", "model-stuck")


def test_a_stuck_response_is_cancelled_and_what_still_comes_of_it_is_dead(call):
    call.tell(e.ResponseStarted("r1"))
    call.run(call.call.policy.response_stuck + 0.1)
    assert call.all(CancelResponse) == [CancelResponse("r1")]
    text, size = payload(1.0)
    assert not any(isinstance(each, Play) for each in call.tell(e.AgentAudio(1, "r1", "late", 0, text, size)))


# ---- Rule 15: what was heard ------------------------------------------------------------------------------------------


def test_rule_15_the_transcript_holds_what_was_heard_beside_what_was_generated(call):
    call.answer(4.0, text="One two three four five six seven eight.")
    call.run(2.0)
    call.caller_speaks()
    [turn] = [each for each in call.call.turns.held if each.speaker == "agent"]
    assert turn.generated.endswith("eight.")
    assert turn.heard == "One two three four"
    assert turn.cut or turn.heard_ms < turn.generated_ms


def test_latencies_run_from_the_callers_last_sound_to_what_was_sent_and_heard(call):
    call.answer(0.5)
    call.run(2.0)
    call.caller_speaks()
    call.run(1.0)
    call.caller_stops()
    call.run(0.4)
    call.answer(1.0, "reply", "r2")
    call.run(2.0)
    turn = call.call.turns.of("reply")
    assert turn is not None
    waited = 0.4 + call.call.policy.end_of_speech
    assert turn.waited_sent == pytest.approx(waited, abs=0.05)
    assert turn.waited_heard is not None
    assert turn.waited_heard >= turn.waited_sent - 0.05


def test_how_long_a_caller_waited_is_corrected_by_echoes_that_come_later(call):
    call.answer(0.5)
    call.run(2.0)
    call.caller_speaks()
    call.run(1.0)
    call.caller_stops()
    call.run(0.4)
    call.start_delay = 0.6  # far more than is assumed, and more than was learned from the first answer
    call.speak(0.5, "reply", "r2")
    call.run(0.3)
    call.tell(e.ResponseDone("r2", "completed"))  # by now the reply is believed to be heard
    early = call.call.turns.of("reply")
    assert early is not None
    assert early.waited_heard == pytest.approx(early.waited_sent, abs=0.15)
    call.call.turns.take_settled()
    call.run(2.0)
    [turn] = call.call.turns.take_settled()
    assert turn.waited_heard == pytest.approx(turn.waited_sent + 0.6, abs=0.05)
    assert turn.ended - turn.began > 1.0
    call.run(2.0)
    assert call.call.turns.take_settled() == []


def test_a_late_transcription_finds_its_place(call):
    call.caller_speaks("first")
    call.caller_stops("first")
    call.answer(0.5)
    call.tell(e.CallerTranscribed("first", "I was first.", final=True))
    assert [turn.speaker for turn in call.call.turns.held] == ["caller", "agent"]
    assert call.call.turns.held[0].heard == "I was first."


# ---- People, keys, time ------------------------------------------------------------------------------------------------


def test_keys_are_told_to_the_agent_as_one_entry(call):
    for digit in "4711":
        call.tell(e.DigitPressed(digit))
    assert not call.all(Tell)
    call.run(2.1)
    assert [each.text for each in call.all(Tell)] == ["The caller pressed these keys: 4711"]


def test_a_hash_ends_an_entry_at_once(call):
    call.tell(e.DigitPressed("1"))
    assert any(isinstance(each, Tell) for each in call.tell(e.DigitPressed("#")))


@pytest.mark.parametrize(("digit", "approved"), [("1", True), ("2", False)])
def test_a_caller_approves_by_a_key(call, digit, approved):
    asked = call.tell(e.ApprovalAsked("change_seat", "{}", "t1"))
    assert isinstance(asked[-1], Respond)
    assert DecideTool("t1", approved) in call.tell(e.DigitPressed(digit))


def test_an_approval_that_nobody_gives_is_a_no(call):
    call.tell(e.ApprovalAsked("change_seat", "{}", "t1"))
    call.run(call.call.policy.approval + 0.1)
    assert call.all(DecideTool) == [DecideTool("t1", approved=False)]


def test_a_silent_line_is_ended(call):
    call.answer(1.0)
    call.run(70.0)
    assert call.call.reason == EndReason("caller", "silence")


def test_the_longest_call_ends_after_its_last_word():
    call = lines_with(max_duration=10.0, silence=1000.0)
    call.run(9.0)
    call.answer(3.0)
    call.run(2.0)
    assert call.call.reason == EndReason("gateway", "max-duration")
    assert not call.all(CloseStream)
    call.run(2.0)
    assert call.all(CloseStream)


def test_a_call_whose_stream_never_comes_ends_as_the_carriers():
    call = ByHand()
    call.run(61.0)
    assert call.ended
    assert call.call.reason == EndReason("carrier", "no-stream")


@pytest.mark.parametrize(
    ("status", "reason"),
    [("completed", EndReason("success", "caller-hung-up")), ("failed", EndReason("carrier", "failed"))],
)
def test_the_carriers_last_status_ends_the_record_once(call, status, reason):
    call.tell(e.StatusChanged("in-progress"))
    assert not call.ended
    commands = call.tell(e.StatusChanged(status))
    assert commands[-1] == Finish(reason)
    assert call.tell(e.StatusChanged(status)) == []


def test_a_carrier_that_does_not_act_is_not_waited_for_for_ever(call):
    call.tell(e.HangUpAsked("agent", "done"))
    call.run(20.0)
    assert call.ended
