"""Calls in which the model, a tool or an agent goes wrong."""

from gateway.call import events as e
from gateway.call.policy import OnFailure, Policy
from gateway.diagnosis.finding import Code
from tests.diagnosis.planting import Planter
from tests.diagnosis.scenes import Scene, start, talk
from tests.store.drama import USAGE

plant = Planter()


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
