"""Calls in which the caller's or the carrier's side goes wrong, and how calls end."""

from typing import Any

from gateway.call import events as e
from gateway.call.policy import Policy
from gateway.diagnosis.finding import Code
from tests.diagnosis.planting import DESK, Planter
from tests.diagnosis.scenes import Scene, opened, start, talk
from tests.store.drama import USAGE

plant = Planter()


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


@plant(Code.WORDS_NOT_HEARD)
def stream_breaks_in_a_sentence() -> Scene:
    return _broken_stream()


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
