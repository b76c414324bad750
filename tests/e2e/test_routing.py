"""Each way in which Twilio's users route calls, through the carrier's double and a gateway process (docs/routing.md)."""

import json
import os
import sys

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.testing import VOICE_URL, FakeTwilio, GatewayProcess, ScriptedModel
from gateway.testing.model import call_tool, say
from gateway.testing.twilio import tone
from gateway.testing.twilio.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WORKFLOW = "WW" + "0" * 32
APP = "AP" + "0" * 32
FLOW = "https://webhooks.twilio.com/v1/Accounts/AC0/Flows/FW0?FlowEvent=return"
LINES = {
    "desk.yaml": f"""
number: "+15550100"
default: true
vars: {{customer: nobody, sip_x_customer: unknown}}
greeting: Hello {{{{customer}}}}.
instructions: You talk to {{{{customer}}}} ({{{{sip_x_customer}}}}).
tools: [hang_up, transfer, note]
notes: {{topic: "what the caller wants, in a word"}}
transfer:
  flex: {{workflow: {WORKFLOW}, attributes: {{skill: billing, customer: "{{{{customer}}}}"}}, priority: 3}}
  pbx: {{to: "sip:desk@pbx.example", mode: refer}}
  app: {{to: "app:{APP}"}}
""",
    "notice.yaml": """
number: "+15550101"
vars: {site: "Bed & Breakfast"}
greeting: Hello.
instructions: Be brief.
twiml: twiml/notice.xml
""",
    "studio.yaml": f"""
number: "+15550102"
greeting: Hello.
instructions: Be brief.
tools: [hang_up]
return_to: {FLOW}
end_by: rest
""",
    "twiml/notice.xml": """<Response>
  <Say>This is {{site}}.</Say>
  {{connect}}
</Response>""",
}


class World:
    """Carrier, gateway and model, with a server of the user's own that gives TwiML by path."""

    def __init__(self, twilio, gateway, model):
        self.twilio, self.gateway, self.model = twilio, gateway, model
        self.documents = {}
        self.asked = []

    async def answer(self, request: Request) -> Response:
        form = dict(await request.form()) if request.method == "POST" else dict(request.query_params)
        self.asked.append((request.url.path, dict(request.query_params), form))
        document = self.documents[request.url.path]
        return Response(document if isinstance(document, str) else await document(form), media_type="text/xml")

    def number(self, url, number, **more):
        return self.twilio.add_number(number, url, **more)

    async def dial(self, to, *script, **more):
        self.model.script = list(script) or [say("Hello.", 0.5)]
        return await self.twilio.dial(to, **more)

    def told(self):
        """What the newest session of the model was told."""
        return self.model.sessions[-1].config["instructions"]

    async def ended(self, caller):
        """The call's record as the log tells it."""
        while True:
            found = [each for each in self.gateway.logged("call-began") if each["call_sid"] == caller.call.sid]
            ids = {each["call_id"] for each in found}
            ends = [each for each in self.gateway.logged("call-ended") if each["call_id"] in ids]
            if ends and len(ends) == len(found):
                return [(each["result"], each["reason"]) for each in ends]
            await anyio.sleep(0.05)


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents_config")
    (folder / "twiml").mkdir()
    for name, text in LINES.items():
        (folder / name).write_text(text)
    async with (
        ScriptedModel() as model,
        FakeTwilio(voice_url=VOICE_URL, seed=1) as twilio,
        GatewayProcess(folder, twilio=twilio, model_url=model.url) as gateway,
    ):
        world = World(twilio, gateway, model)
        async with serving(Starlette(routes=[Route("/{path:path}", world.answer, methods=["GET", "POST"])])) as url:
            elsewhere = ("bin.example", "webhooks.twilio.com", "app.example")
            twilio.connect_to = {"gw.example": gateway.base_url} | dict.fromkeys(elsewhere, url)
            yield world


async def test_a_number_whose_voice_url_is_ours(world):
    with anyio.fail_after(20):
        caller = await world.dial("+15550100")
        await caller.wait_for_speech()
        assert world.told() == "You talk to nobody (unknown)."
        caller.hang_up()
        assert await world.ended(caller) == [("success", "caller-hung-up")]
        assert caller.call.log.codes() == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_twiml_bin_that_redirects_with_variables(world, method):
    url = f"{VOICE_URL}/desk?customer=Ms%20%C3%84rger%20%26%20Co&amp;other=1"
    world.documents["/bin"] = f'<Response><Redirect method="{method}">{url}</Redirect></Response>'
    world.number("https://bin.example/bin", f"+1555020{method == 'GET':d}")
    with anyio.fail_after(20):
        caller = await world.dial(f"+1555020{method == 'GET':d}")
        await caller.wait_for_speech()
        assert world.told() == "You talk to Ms Ärger & Co (unknown)."
        [greeting] = [each["response"] for each in world.model.sessions[-1].events("response.create")]
        assert "Hello Ms Ärger & Co." in greeting["instructions"]
        caller.hang_up()
        await caller.wait_for_end()
        assert caller.call.log.codes() == []


async def test_studio_sends_a_call_gets_it_back_and_sends_it_again(world):
    """The TwiML Redirect widget: ``return=`` names the flow, which hears how it went, and may come a second time."""
    back = FLOW.replace("&", "%26").replace("?", "%3F").replace("=", "%3D")
    studio = f"<Response><Redirect>{VOICE_URL}/desk?customer=Ada&amp;return={back}</Redirect></Response>"
    world.documents["/start"] = studio
    world.documents["/v1/Accounts/AC0/Flows/FW0"] = studio
    world.asked.clear()
    world.number("https://webhooks.twilio.com/start", "+15550300")
    goodbye = say("Goodbye.", 0.6) + call_tool("hang_up", {"reason": "done"})
    sessions = len(world.model.sessions)
    with anyio.fail_after(40):
        note = call_tool("note", {"name": "topic", "value": "seat & meal"})
        caller = await world.dial("+15550300", say("Hello.", 0.5), note, goodbye)
        await caller.wait_for_speech()
        await caller.wait_for_silence()
        await caller.say(tone(800, 300.0, 1000.0))
        await caller.wait_for_stream(2, timeout=15)
        path, query, form = world.asked[-1]
        assert path == "/v1/Accounts/AC0/Flows/FW0"
        assert query == {"FlowEvent": "return", "result": "success", "reason": "done", "topic": "seat & meal"}
        assert form["CallSid"] == caller.call.sid
        world.documents["/v1/Accounts/AC0/Flows/FW0"] = "<Response><Hangup/></Response>"
        await caller.wait_for_speech()
        # The second visit is the same call, and its agent knows what was said in the first.
        [began] = [each for each in world.gateway.logged("call-began") if each["call_sid"] == caller.call.sid]
        second = await world.model.connected(sessions + 1)
        while "The conversation so far" not in str(second.remembered()):
            await anyio.sleep(0.02)
        await caller.wait_for_silence()
        caller.hang_up()
        assert await world.ended(caller) == [("success", "caller-hung-up")]
        assert began["call_id"]
        assert caller.call.log.codes() == []


async def test_a_line_that_returns_by_rest_and_the_sender_keeps_the_call(world):
    world.documents["/v1/Accounts/AC0/Flows/FW0"] = "<Response><Say>Good night.</Say><Hangup/></Response>"
    goodbye = say("Goodbye.", 0.6) + call_tool("hang_up", {"reason": "done"})
    world.asked.clear()
    world.number(VOICE_URL, "+15550102", status_callback="https://gw.example/twilio/status")
    with anyio.fail_after(30):
        caller = await world.dial("+15550102", goodbye)
        assert await caller.wait_for_end() == "twiml"
        assert [query["reason"] for _, query, _ in world.asked] == ["done"]
        assert caller.call.log.verb_names()[-3:] == ["Redirect", "Say", "Hangup"]
        assert await world.ended(caller) == [("success", "done")]


async def test_nobody_else_gets_a_call_back(world):
    evil = f"<Response><Redirect>{VOICE_URL}/desk?return=https%3A%2F%2Fevil.example%2F</Redirect></Response>"
    world.documents["/evil"] = evil
    world.number("https://bin.example/evil", "+15550301")
    with anyio.fail_after(30):
        caller = await world.dial("+15550301", say("Goodbye.", 0.6) + call_tool("hang_up", {"reason": "done"}))
        assert await caller.wait_for_end() == "twiml"
        assert caller.call.log.verb_names() == ["Redirect", "Connect", "Hangup"]
        assert world.gateway.logged("return-refused")


@pytest.mark.parametrize(
    ("to", "caller", "fields", "told"),
    [
        ("+15550100", "client:ada", {"customer": "Ada", "ApplicationSid": APP}, "You talk to Ada (unknown)."),
        (f"app:{APP}", "+14155550123", {"Param_customer": "Bob", "ApplicationSid": APP}, "You talk to Bob (unknown)."),
        (
            "sip:desk@acme.sip.twilio.com",
            "sip:ada@acme.example",
            {"SipHeader_X-Customer": "7"},
            "You talk to nobody (7).",
        ),
        ("+15550100", "+14155550123", {"SipCallId": "x", "SipHeader_X-Customer": "8"}, "You talk to nobody (8)."),
    ],
    ids=["client", "dial-application", "sip-domain", "byoc-trunk"],
)
async def test_calls_of_an_app_a_sip_domain_and_a_trunk(world, to, caller, fields, told):
    with anyio.fail_after(20):
        phone = await world.dial(to, caller=caller, fields=fields)
        await phone.wait_for_speech()
        assert world.told() == told
        phone.hang_up()
        await phone.wait_for_end()
        assert phone.call.log.codes() == []


async def test_an_application_connects_the_call_itself_with_a_token_of_the_api(world):
    """The application asks for an offer while Twilio waits for its TwiML, and writes its own <Connect><Stream>."""
    command = [sys.executable, "-m", "gateway", "tokens", "create", "app", "--scope", "operate"]
    environment = {"PATH": os.environ["PATH"], "GATEWAY_DATA_DIR": str(world.gateway.data)}
    made = await anyio.run_process(command, env=environment, cwd=world.gateway.data.parent)
    headers = {"Authorization": f"Bearer {made.stdout.decode().strip()}"}

    async def document(form):
        call = {"call_sid": form["CallSid"], "account_sid": form["AccountSid"], "caller": form["From"]}
        async with httpx2.AsyncClient(base_url=world.gateway.base_url, headers=headers, trust_env=False) as client:
            body = call | {"line": "desk", "vars": {"customer": "Ada", "line": "x"}}
            offer = (await client.post("/api/v1/offers", json=body)).json()
            assert (await client.post("/api/v1/offers", json=body)).json() == offer
        return f"""<Response><Connect action="{offer["action_url"]}"><Stream url="{offer["stream_url"]}">
            <Parameter name="token" value="{offer["token"]}"/></Stream></Connect></Response>"""

    world.documents["/own"] = document
    world.number("https://app.example/own", "+15550400")
    with anyio.fail_after(40):
        caller = await world.dial("+15550400", say("Goodbye.", 0.6) + call_tool("hang_up", {"reason": "done"}))
        await caller.wait_for_stream()
        await caller.wait_for_speech()
        assert world.told() == "You talk to Ada (unknown)."
        await caller.wait_for_end()
        assert await world.ended(caller) == [("success", "done")]
        assert caller.call.log.codes() == []
        response = await world.gateway.get("/api/v1/offers")
        assert response.status_code == 401


async def test_a_document_of_the_operators_own_is_followed_before_ours(world):
    with anyio.fail_after(20):
        caller = await world.dial("+15550101")
        await caller.wait_for_stream()
        said, connected = caller.call.log.verbs
        assert (said.verb, said.text, connected.verb) == ("Say", "This is Bed & Breakfast.", "Connect")
        caller.hang_up()
        await caller.wait_for_end()
        assert caller.call.log.codes() == []


async def transferred(world, target, **more):
    move = say("One moment.", 0.6) + call_tool("transfer", {"target": target})
    caller = await world.dial("+15550100", move, **more)
    await caller.call.until(lambda: len(caller.call.log.verbs) > 1, "the transfer", 15)
    return caller, caller.call.log.verbs[1]


async def test_flex_gets_a_task_with_its_attributes_and_brings_the_caller_back(world):
    with anyio.fail_after(30):
        caller, verb = await transferred(world, "flex", caller="client:ada", fields={"customer": "Ada"})
        assert (verb.verb, verb.attributes["workflowSid"]) == ("Enqueue", WORKFLOW)
        [(noun, attributes, text)] = verb.nouns
        assert (noun, attributes) == ("Task", {"priority": "3"})
        assert json.loads(text) == {"skill": "billing", "customer": "Ada"}
        caller.call.leave_queue("queue-full")
        await caller.wait_for_stream(2)
        await caller.wait_for_speech()
        caller.hang_up()
        assert await world.ended(caller) == [("success", "caller-hung-up")]


async def test_refer_moves_calls_over_sip_and_others_are_dialled(world):
    with anyio.fail_after(30):
        caller, verb = await transferred(world, "pbx", caller="sip:ada@acme.example")
        assert (verb.verb, verb.nouns) == ("Refer", (("Sip", {}, "sip:desk@pbx.example"),))
        await caller.wait_for_end()
        assert await world.ended(caller) == [("success", "transferred")]
        caller, verb = await transferred(world, "pbx")
        assert (verb.verb, verb.nouns) == ("Dial", (("Sip", {}, "sip:desk@pbx.example"),))
        caller.hang_up()
        await caller.wait_for_end()


async def test_a_transfer_to_a_twiml_app(world):
    with anyio.fail_after(30):
        caller, verb = await transferred(world, "app")
        assert (verb.verb, verb.nouns) == ("Dial", (("Application", {}, APP),))
        caller.hang_up()
        await caller.wait_for_end()
