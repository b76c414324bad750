"""Calls in which the conversation itself goes wrong: waits, words that nobody heard, who may speak."""

from gateway.call import events as e
from gateway.call.policy import BargeIn, Policy
from gateway.diagnosis.finding import Code
from tests.diagnosis.planting import Planter
from tests.diagnosis.scenes import Scene, start, talk
from tests.store.drama import USAGE

plant = Planter()


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
