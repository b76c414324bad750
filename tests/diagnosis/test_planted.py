"""Calls in which one thing goes wrong, and the doctor says which."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.call import events as e
from gateway.call.policy import BargeIn, OnFailure, Policy, Target
from gateway.diagnosis.finding import Code
from tests.diagnosis.scenes import Scene, found, opened, start, talk
from tests.store.drama import USAGE

PLANTED: dict[str, tuple[Callable[[], Scene], Code, Mapping[str, Any]]] = {}
DESK = {"desk": Target("desk", "+14155550111")}


def plant(code: Code, **options: Any) -> Callable[[Callable[[], Scene]], Callable[[], Scene]]:
    """Say what a call's planted cause is; ``record`` and ``settings`` are how it is looked at."""

    def keep(call: Callable[[], Scene]) -> Callable[[], Scene]:
        PLANTED[call.__name__] = (call, code, options)
        return call

    return keep


# ---- Waiting --------------------------------------------------------------------------------------------------------


@plant(Code.LATE_GREETING)
def model_connects_slowly() -> Scene:
    scene = Scene(Policy("desk", greeting="Hello."))
    scene.begin(ready=3.2)
    scene.agent("Hello.", 1.0)
    return talk(scene)


@plant(Code.SLOW_DETECTION)
def turns_end_late() -> Scene:
    scene = talk(start(end_of_speech=2.4), 1)
    scene.caller("Is anybody open on Sunday?", 1.4, detection=2.4)
    scene.agent("We are closed on Sundays.", 1.6)
    return scene


@plant(Code.SLOW_TOOL)
def tool_takes_four_seconds() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Where is my order?")
    scene.tool("find_order", 4.0)
    scene.agent("It was shipped.", 1.2)
    return talk(scene, 1)


@plant(Code.SLOW_MODEL)
def model_thinks_for_three_seconds() -> Scene:
    scene = talk(start(), 1)
    scene.caller("What is the meaning of life?")
    scene.agent("Forty two.", 1.0, think=3.0)
    return talk(scene, 1)


@plant(Code.SLOW_GATEWAY)
def answer_waits_for_a_response_that_failed() -> Scene:
    """The line starts its own responses, and the one that is open keeps the next from being asked for."""
    scene = talk(start(barge_in=BargeIn(allowed=False)), 1)
    scene.run(0.3)
    scene.do(e.ResponseStarted("ghost"))
    scene.caller("Are you listening to me?", 1.2)
    scene.run(3.0)
    scene.do(e.ResponseDone("ghost", "cancelled"))
    scene.run(0.3)
    scene.agent("Yes, I am.", 1.0, think=0.2)
    return talk(scene, 1)


@plant(Code.SLOW_PLAYOUT)
def far_carrier() -> Scene:
    """What is sent is heard two seconds later."""
    scene = start()
    scene.run(0.5)
    scene.caller("Where are you?")
    scene.idle_at = scene.now + 2.4
    scene.agent("Far away.", 1.2)
    return scene


@plant(Code.SILENCE)
def dead_air_in_a_tool() -> Scene:
    """The agent says that it looks something up, and then nothing is heard for five seconds."""
    scene = talk(start(), 1)
    scene.caller("Where is my order?")
    scene.agent("One moment.", 0.8, heard_out=False)
    scene.tool("find_order", 6.0)
    scene.agent("It was shipped.", 1.2)
    return talk(scene, 1)


@plant(Code.UNANSWERED)
def short_yes_is_too_short() -> Scene:
    """The line asks for a second of speech; a yes is shorter, and nobody answers it."""
    scene = start(barge_in=BargeIn(min_speech=1.5))
    scene.run(0.5)
    scene.caller("Yes.", 0.4)
    scene.run(6.0)
    scene.caller("Are you still there, or what is it?", 2.0)
    scene.agent("I am.", 0.8)
    return scene


@plant(Code.CHOPPY_SPEECH)
def model_speaks_slower_than_people() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Tell me more.")
    scene.do(e.ResponseStarted("slow"))
    for _ in range(5):
        payload = "////" * 1333
        scene.do(e.AgentAudio(1, "slow", "slow-item", 0, payload, 3999))
        scene.run(0.9)
    scene.do(e.AgentTranscribed(1, "slow-item", 0, "This is more of it.", final=True))
    scene.do(e.AgentAudioDone(1, "slow-item", 0))
    scene.do(e.ResponseDone("slow", "completed", "", USAGE))
    scene.run(1.0)
    return scene


# ---- Not heard ------------------------------------------------------------------------------------------------------


@plant(Code.GOODBYE_CUT)
def goodbye_is_longer_than_it_may_be() -> Scene:
    scene = talk(start(last_word=2.0), 1)
    scene.caller("That was all.")
    scene.do(e.HangUpAsked("agent", "done"))
    scene.agent("Goodbye, and thank you so much for your call, and all the best to your family.", 7.0, heard_out=False)
    return scene.leave()


@plant(Code.GOODBYE_CUT)
def goodbye_comes_too_late() -> Scene:
    """The agent hangs up first, and says goodbye when nobody is there any more."""
    scene = talk(start(), 1)
    scene.caller("That was all.")
    scene.tool("hang_up", 0.05, "The call ends.")
    scene.do(e.HangUpAsked("agent", "done"))
    scene.run(1.2)
    scene.agent("Goodbye.", 1.0, heard_out=False)
    return scene.leave()


@plant(Code.WORDS_NOT_HEARD)
def stream_breaks_in_a_sentence() -> Scene:
    return _broken_stream()


@plant(Code.TEXT_ONLY)
def answers_in_writing() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Say something.")
    scene.agent("I would rather write.", audio=False)
    scene.run(1.0)
    return scene


@plant(Code.GUARDRAIL_TRIPPED)
def guardrail_trips() -> Scene:
    scene = talk(start(), 1)
    scene.caller("What is the card number?")
    item = scene.agent("The number is 4242 4242 4242 4242.", 3.0, heard_out=False)
    scene.do(e.GuardrailTripped(("no_card_numbers",), item, f"resp{scene.responses}"))
    scene.agent("I may not tell you.", 1.2)
    return scene


# ---- Who may speak --------------------------------------------------------------------------------------------------


def _cut_by(text: str, seconds: float, said: str = "Your order has four parts, which I will now read to you.") -> Scene:
    scene = talk(start(), 1)
    scene.caller("What is in my order?")
    scene.agent(said, 8.0, heard_out=False)
    scene.run(2.5)
    scene.caller(text, seconds)
    scene.agent("Where was I?", 1.0)
    return talk(scene, 1)


@plant(Code.FALSE_BARGE_IN)
def cough_cuts() -> Scene:
    return _cut_by("", 0.4)


@plant(Code.FALSE_BARGE_IN)
def mhm_cuts() -> Scene:
    return _cut_by("Mm-hmm.", 0.5)


@plant(Code.ECHO)
def own_words_cut() -> Scene:
    return _cut_by("order has four parts which", 1.5)


@plant(Code.ECHO, record=True)
def line_returns_what_it_plays() -> Scene:
    """Heard on the recording: no cut comes of it, since the line allows none."""
    scene = Scene(Policy("desk", greeting="Hello.", barge_in=BargeIn(allowed=False)), echo=0.1)
    scene.begin()
    scene.agent("Hello, how can I help you today?", 2.0)
    return talk(scene, 4)


@plant(Code.TALKED_OVER)
def agent_may_not_be_cut() -> Scene:
    scene = talk(start(barge_in=BargeIn(allowed=False)), 1)
    scene.caller("What are your terms?")
    scene.agent("These are our terms and conditions, all forty of them, one by one.", 9.0, heard_out=False)
    scene.run(1.0)
    scene.caller("No, please, I only want to know when you are open tomorrow.", 3.5)
    scene.run(max(scene.idle_at - scene.now, 0) + 0.2)
    scene.agent("We open at nine.", 1.2)
    return scene


# ---- The model ------------------------------------------------------------------------------------------------------


@plant(Code.RESPONSE_FAILED)
def response_is_rate_limited() -> Scene:
    scene = talk(start(), 1)
    scene.caller("And now?")
    scene.agent("", audio=False, status="failed", code="rate_limit_exceeded", heard_out=False)
    scene.run(0.3)
    scene.agent("Now it works.", 1.0)
    return scene


@plant(Code.RESPONSE_INCOMPLETE)
def answer_reaches_its_limit() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Tell me everything.")
    scene.agent("Once upon a time there was", 4.0, status="incomplete", code="max_output_tokens")
    return scene


@plant(Code.RESPONSE_EMPTY)
def model_has_nothing_to_say() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Hm, well.")
    scene.do(e.ResponseStarted("nothing"))
    scene.run(0.3)
    scene.do(e.ResponseDone("nothing", "completed", "", USAGE))
    scene.run(3.0)
    scene.caller("Hello?")
    scene.agent("Yes?", 0.6)
    return scene


@plant(Code.RESPONSE_STUCK)
def response_never_ends() -> Scene:
    scene = talk(start(response_stuck=4.0), 1)
    scene.caller("And now?")
    scene.do(e.ResponseStarted("stuck"))
    scene.run(4.2)
    scene.agent("Here I am again.", 1.2)
    return scene


@plant(Code.RESPONSE_STUCK)
def response_never_begins() -> Scene:
    scene = talk(start(response_stuck=4.0), 1)
    scene.caller("And now?")
    scene.run(4.2)
    scene.agent("Here I am again.", 1.2)
    return scene


@plant(Code.MODEL_ERROR)
def server_reports_an_error() -> Scene:
    scene = talk(start(), 1)
    scene.do(e.AgentErred("invalid_value", "Invalid value: 'loud'. Supported values are: 'alloy'."))
    return talk(scene, 1)


@plant(Code.MODEL_LOST)
def model_goes_away() -> Scene:
    scene = talk(start(), 1)
    scene.do(e.AgentLost(1, "model-expired", "closed with 1001 Your session hit the maximum duration of 60 minutes."))
    return scene.leave()


@plant(Code.MODEL_LOST)
def key_is_refused() -> Scene:
    scene = Scene(Policy("desk"))
    scene.run(0.1)
    scene.do(e.AgentLost(1, "model-refused-key", "InvalidStatus: HTTP 401"))
    scene.run(0.1)
    scene.do(e.StreamStarted("MZ1", 1))
    return scene.leave()


@plant(Code.MODEL_NOT_READY)
def model_never_comes() -> Scene:
    scene = Scene(Policy("desk", on_failure=OnFailure("Sorry.")))
    scene.run(0.2)
    scene.do(e.StreamStarted("MZ1", 1))
    scene.began, scene.frame_at = scene.now, scene.now + 0.02
    scene.run(5.0)
    return scene.leave()


# ---- Tools and agents -----------------------------------------------------------------------------------------------


def _with_tool(output: str, seconds: float = 0.4) -> Scene:
    scene = talk(start(), 1)
    scene.caller("Where is my order?")
    scene.tool("find_order", seconds, output)
    scene.agent("This did not work, I am afraid.", 1.8)
    return scene


@plant(Code.TOOL_FAILED)
def tool_raises() -> Scene:
    return _with_tool("The tool find_order failed. Tell the caller that this did not work, and offer another way.")


@plant(Code.TOOL_TIMED_OUT)
def tool_times_out() -> Scene:
    return _with_tool("The tool find_order took longer than 10 seconds and was given up; what it was to do may", 10.0)


@plant(Code.TOOL_REFUSED)
def tool_gets_nonsense() -> Scene:
    return _with_tool("order: Field required. Correct the arguments and try again.")


@plant(Code.TOOL_OUTPUT_CUT)
def tool_returns_a_novel() -> Scene:
    return _with_tool("All orders: " + "12, " * 2000 + " [cut: the tool returned too much]")


@plant(Code.TOOL_UNENDED)
def tool_never_ends() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Where is my order?")
    scene.tool("find_order", 14.0, ends=False)
    return scene


@plant(Code.TOOL_LOOP)
def agent_only_calls_tools() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Where is my order?")
    for _ in range(26):
        scene.tool("find_order", 0.05)
    return scene.leave()


@plant(Code.HANDOFF_LOOP)
def agents_pass_the_caller_round() -> Scene:
    scene = talk(start(), 1)
    scene.caller("I have a question.")
    for number in range(4):
        scene.do(e.AgentChanged(*[("reception", "billing"), ("billing", "reception")][number % 2]))
        scene.run(0.2)
    scene.agent("Who am I?", 0.8)
    return scene


@plant(Code.APPROVAL_TIMED_OUT)
def nobody_approves() -> Scene:
    scene = talk(start(approval=5.0), 1)
    scene.caller("Cancel my order.")
    scene.do(e.ApprovalAsked("cancel_order", "{}", "call9"))
    scene.agent("Press 1 to confirm.", 1.2)
    scene.run(6.0)
    scene.agent("Then I leave it as it is.", 1.2)
    return scene


# ---- The caller's side ----------------------------------------------------------------------------------------------


@plant(Code.TRANSCRIPTION_FAILED)
def recogniser_fails() -> Scene:
    scene = talk(start(), 1)
    scene.caller("", failed=True)
    scene.agent("I heard you nevertheless.", 1.4)
    return scene


class _Untold(Scene):
    def do(self, event: e.Event) -> Any:
        return [] if isinstance(event, e.CallerTranscribed) else super().do(event)


@plant(Code.TRANSCRIPTION_MISSING, settings={"model.transcription.model": "gpt-4o-mini-transcribe"})
def nothing_is_written_down() -> Scene:
    scene = _Untold(Policy("desk", greeting="Hello."))
    scene.begin()
    scene.agent("Hello.", 1.0)
    return talk(scene, 3)


@plant(Code.CALLER_NEVER_HEARD)
def voice_detector_is_deaf() -> Scene:
    scene = start()
    scene.speaking = True
    scene.run(14.0)
    return scene


@plant(Code.CALLER_INAUDIBLE, record=True)
def caller_whispers() -> Scene:
    scene = start()
    scene.loud = 0.004
    return talk(scene, 2)


@plant(Code.ONE_WAY_AUDIO, record=True)
def caller_is_muted() -> Scene:
    scene = Scene(Policy("desk", greeting="Hello.", silence=12.0), noise=0.0)
    scene.begin()
    scene.agent("Hello, how can I help you today?", 2.0)
    scene.run(14.0)
    return scene.leave()


@plant(Code.ONE_WAY_AUDIO)
def carrier_sends_no_frame() -> Scene:
    scene = Scene(Policy("desk", greeting="Hello.", silence=12.0), frames=False)
    scene.begin()
    scene.agent("Hello, how can I help you today?", 2.0)
    scene.run(14.0)
    return scene.leave()


@plant(Code.ONE_WAY_AUDIO)
def caller_hears_nothing() -> Scene:
    scene = start()
    for _ in range(2):
        scene.run(1.0)
        scene.caller("Hello? Can you hear me?", 1.3)
        scene.agent("Yes, I hear you very well.", 1.6)
    return scene


@plant(Code.AGENT_INAUDIBLE, record=True)
def model_sends_silence() -> Scene:
    scene = opened()
    scene.agent("Hello, how can I help you today?", 2.0, value=0xFF)
    scene.run(0.5)
    scene.caller("Is this working?")
    scene.agent("It should.", 1.4, value=0xFF)
    return scene


# ---- The carrier's side ---------------------------------------------------------------------------------------------


@plant(Code.NO_STREAM)
def stream_never_comes() -> Scene:
    scene = Scene(Policy("desk"))
    scene.run(0.3)
    scene.do(e.AgentReady(1))
    scene.run(61.0)
    return scene


def _broken_stream() -> Scene:
    scene = talk(start(), 1)
    scene.caller("Tell me a story.")
    scene.agent("Once upon a time there was a telephone.", 6.0, heard_out=False)
    scene.run(1.5)
    scene.do(e.StreamStopped(1, "lost"))
    scene.do(e.ContinuationAsked("in-progress"))
    scene.frame_at = None
    scene.run(1.0)
    scene.do(e.StreamStarted("MZ2", 2))
    scene.began, scene.frame_at = scene.now, scene.now + 0.02
    scene.agent("As I said, there was a telephone.", 2.0)
    return scene


@plant(Code.STREAM_LOST)
def stream_breaks() -> Scene:
    return _broken_stream()


@plant(Code.AUDIO_GAP)
def frames_stop() -> Scene:
    scene = talk(start(), 1)
    scene.frames = False
    scene.run(3.5)
    scene.frame_at, scene.frames = scene.now + 0.02, True
    return talk(scene, 1)


@plant(Code.AUDIO_LATE)
def frames_come_late() -> Scene:
    """The network holds frames back for most of a second, and lets them all through then."""
    scene = talk(start(), 1)
    scene.frames = False
    scene.run(0.8)
    scene.frames = True
    for late in range(40):
        scene.do(e.CallerAudio(scene.spoken(), 160, round((scene.now - scene.began - 0.8) * 50) * 20 + late * 20))
    scene.frame_at = scene.now + 0.02
    return talk(scene, 1)


@plant(Code.AUDIO_DROPPED)
def model_takes_no_audio() -> Scene:
    scene = talk(start(), 1)
    scene.do(e.AudioDropped("agent", 1800))
    return talk(scene, 1)


@plant(Code.MARKS_MISSING)
def marks_never_come_back() -> Scene:
    scene = Scene(Policy("desk", greeting="Hello."), echoes=False)
    scene.begin()
    scene.agent("Hello, how can I help you today?", 2.0)
    return talk(scene, 2)


@plant(Code.MESSAGES_REFUSED)
def carrier_stammers() -> Scene:
    scene = talk(start(), 1)
    scene.do(e.MessageRefused("not JSON"))
    return talk(scene, 1)


@plant(Code.CARRIER_REQUEST_FAILED)
def carrier_refuses_to_hang_up() -> Scene:
    scene = talk(start(end_by="rest"), 1)
    scene.caller("Bye.")
    scene.do(e.HangUpAsked("agent", "done"))
    scene.agent("Goodbye.", 1.0)
    scene.run(1.0)
    scene.do(e.CarrierFailed("hang-up", "Twilio refused (401, code 20003): Authenticate"))
    return scene.leave()


@plant(Code.TRANSFER_FAILED)
def nobody_picks_up() -> Scene:
    scene = talk(start(transfers=DESK), 1)
    scene.caller("A person, please.")
    scene.do(e.TransferAsked("agent", "desk"))
    scene.agent("I put you through.", 1.2)
    scene.run(1.0)
    scene.do(e.StreamStopped(1, "closed"))
    scene.frame_at = None
    scene.do(e.ContinuationAsked("in-progress"))
    scene.run(20.0)
    scene.do(e.ContinuationAsked("in-progress", "no-answer"))
    scene.do(e.StatusChanged("completed"))
    return scene


@plant(Code.TRANSFER_FAILED)
def nobody_of_that_name() -> Scene:
    scene = talk(start(transfers=DESK), 1)
    scene.caller("The boss, please.")
    scene.do(e.TransferAsked("agent", "boss"))
    scene.agent("The boss can't be reached.", 1.4)
    return scene


# ---- The end, and the bill ------------------------------------------------------------------------------------------


@plant(Code.ENDED_BY_LIMIT)
def call_is_too_long() -> Scene:
    scene = talk(start(max_duration=20.0), 6)
    return scene.leave()


@plant(Code.ENDED_BY_DEPLOY)
def gateway_is_stopped() -> Scene:
    scene = talk(start(), 1)
    scene.do(e.HangUpAsked("gateway", "drained"))
    return scene.leave()


def _priced(inside: int, cached: int, answers: int = 6) -> Scene:
    scene = start()
    used = USAGE | {"input_tokens": inside, "cached_tokens": cached}
    for number in range(answers):
        scene.run(0.5)
        scene.caller(f"Here is question number {number}.")
        scene.agent("This is the answer.", 1.5, usage=used)
    costs = {"input_text_tokens": 0.2, "cached_text_tokens": 0.02, "output_audio_tokens": 0.1}
    scene.note("cost", total=0.32, usage=costs, carrier=0.0)
    return scene


@plant(Code.COST_UNCACHED)
def cache_does_not_work() -> Scene:
    return _priced(6000, 128)


@plant(Code.COST_CONTEXT)
def instructions_are_a_book() -> Scene:
    scene = opened()
    scene.agent("Hello.", 1.0, usage=USAGE | {"input_tokens": 14_000})
    scene.run(0.5)
    scene.caller("What is on page ninety?")
    scene.agent("A lot.", 1.0, usage=USAGE | {"input_tokens": 14_100, "cached_tokens": 13_900})
    scene.note("cost", total=0.2, usage={"input_text_tokens": 0.1, "cached_text_tokens": 0.05}, carrier=0.0)
    return scene


@plant(Code.COST_UNHEARD)
def agent_makes_speeches() -> Scene:
    scene = start()
    for _ in range(5):
        scene.run(0.5)
        scene.caller("And then?")
        scene.agent("And then, and then, and then, and so on for a long time.", 30.0, heard_out=False)
        scene.run(0.5)
        scene.caller("No, please stop.", 0.9)
        scene.agent("Well.", 0.6)
    scene.note("cost", total=0.3, usage={"output_audio_tokens": 0.28}, carrier=0.0)
    return scene


# ---- What is found --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANTED)
def test_the_planted_cause_is_named(name: str, tmp_path: Path) -> None:
    call, code, options = PLANTED[name]
    scene = call()
    if not scene.over:
        scene.hang_up()
    settings = options.get("settings", {})
    findings = found(scene, tmp_path, record=options.get("record", False), **settings)
    print(name, *(f"\n  {each.at:6.1f} {each.turn} {each.code}: {each.seen} | {each.change}" for each in findings))  # noqa: T201
    assert code in {each.code for each in findings}
    for each in findings:
        assert each.seen
        assert each.change
        assert 0 <= each.at <= scene.now
    assert [each.at for each in findings] == sorted(each.at for each in findings)
