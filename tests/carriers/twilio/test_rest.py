"""The REST requests against a server on loopback that answers as Twilio does."""

import base64
import socket
import time
from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl

import anyio
import httpx2
import pytest
from jsonschema import ValidationError
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.carriers.twilio import rest as module
from gateway.carriers.twilio.rest import TwilioRest
from gateway.errors import CarrierError

pytestmark = pytest.mark.anyio

ACCOUNT = "AC" + "a" * 32
CALL = "CA" + "c" * 32
TOKEN = "12345678901234567890123456789012"
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json"


def fault(status: int, code: int, message: str = "", **headers: str) -> Callable[[], Response]:
    body = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return lambda: JSONResponse(body, status, headers)


def ok() -> Response:
    return JSONResponse({"sid": CALL, "status": "completed"})


class Api:
    """Answers one after another, the last for ever; keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Callable[[], Response]] = [ok]
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.times: list[float] = []
        self.delay = 0.0

    async def endpoint(self, request):
        path = request.scope["raw_path"].decode()
        self.requests.append((request.method, path, dict(request.headers), (await request.body()).decode()))
        self.times.append(time.monotonic())
        await anyio.sleep(self.delay)
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()

    @property
    def fields(self):
        return [parse_qs(request[3], strict_parsing=True) for request in self.requests]


@pytest.fixture
def api():
    return Api()


@pytest.fixture
async def client():
    async with httpx2.AsyncClient(trust_env=False) as made:
        yield made


@pytest.fixture
async def rest(api, serve, client):
    routes = [Route("/{path:path}", api.endpoint, methods=["GET", "POST"])]
    async with serve(Starlette(routes=routes)) as address:
        yield TwilioRest(ACCOUNT, TOKEN, f"http://{address}/", client)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)


async def test_end_a_call(api, rest):
    assert await rest.end_call(CALL)
    ((method, path, headers, _),) = api.requests
    assert (method, path) == ("POST", PATH)
    assert headers["authorization"] == "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert api.fields == [{"Status": ["completed"]}]


async def test_redirect_a_call(api, rest):
    twiml = '<?xml version="1.0" encoding="UTF-8"?><Response><Say>Grüezi &amp; adieu</Say></Response>'
    assert await rest.redirect(CALL, twiml)
    assert api.fields == [{"Twiml": [twiml]}]


@pytest.mark.parametrize(
    "answer",
    [
        fault(404, 20404, "The requested resource was not found"),
        fault(400, 21220, "Call is not in-progress. Cannot redirect."),
        lambda: PlainTextResponse("not found", 404),
    ],
)
async def test_a_call_that_is_already_over_is_no_failure(api, rest, answer):
    api.answers = [answer]
    assert not await rest.end_call(CALL)
    assert not await rest.redirect(CALL, "<Response/>")
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (fault(401, 20003, "Authenticate"), 20003, "TWILIO_AUTH_TOKEN"),
        (lambda: PlainTextResponse("", 401), 20003, "TWILIO_ACCOUNT_SID"),
        (fault(403, 20005, "Account not active"), 20005, "not active"),
        (fault(400, 21218, "Invalid ApplicationSid"), 21218, "Invalid ApplicationSid"),
        (lambda: PlainTextResponse("<html>", 400), None, "no reason given"),
        (lambda: PlainTextResponse("", 302, {"Location": "/elsewhere"}), None, "302"),
        (lambda: JSONResponse([1], 400), None, "no reason given"),
    ],
)
async def test_what_will_not_pass_is_not_repeated(api, rest, answer, code, words):
    api.answers = [answer]
    with pytest.raises(CarrierError, match=words) as caught:
        await rest.end_call(CALL)
    assert caught.value.code == code
    assert caught.value.status == answer().status_code
    assert TOKEN not in str(caught.value)
    assert len(api.requests) == 1


async def test_a_server_that_is_down_three_times(api, rest):
    api.answers = [fault(503, 20503), fault(500, 20500), lambda: PlainTextResponse("", 502), ok]
    began = time.monotonic()
    assert await rest.end_call(CALL)
    assert len(api.requests) == 4
    assert time.monotonic() - began < 5


async def test_a_server_that_stays_down(api, rest):
    api.answers = [fault(503, 20503, "Service unavailable")]
    with pytest.raises(CarrierError, match="Service unavailable") as caught:
        await rest.end_call(CALL)
    assert (caught.value.status, caught.value.code) == (503, 20503)
    assert len(api.requests) == 4


async def test_too_many_requests_waits_as_long_as_it_is_told(api, rest):
    api.answers = [fault(429, 20429, **{"Retry-After": "1"}), ok]
    assert await rest.end_call(CALL)
    assert api.times[1] - api.times[0] >= 1


async def test_too_many_requests_without_a_time(api, rest):
    api.answers = [fault(429, 20429), fault(429, 20429, **{"Retry-After": "soon"}), ok]
    assert await rest.end_call(CALL)


async def test_a_wait_that_is_too_long_is_an_error_at_once(api, rest):
    api.answers = [fault(429, 20429, **{"Retry-After": "3600"})]
    with pytest.raises(CarrierError, match="too many requests"):
        await rest.end_call(CALL)
    assert len(api.requests) == 1


async def test_a_server_that_does_not_answer(api, rest, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.3)
    api.delay = 1.0
    with pytest.raises(CarrierError, match="could not be reached: TimeoutError"):
        await rest.end_call(CALL)
    assert 1 <= len(api.requests) <= 4


async def test_a_port_where_nobody_listens(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CarrierError, match="could not be reached: ConnectError") as caught:
        await TwilioRest(ACCOUNT, TOKEN, f"http://127.0.0.1:{port}", client).end_call(CALL)
    assert caught.value.status is None


async def test_twiml_that_twilio_would_refuse_is_not_sent(api, rest):
    with pytest.raises(CarrierError, match="4000"):
        await rest.redirect(CALL, "x" * 4001)
    assert api.requests == []


async def test_a_call_sid_stays_in_its_place(api, rest):
    await rest.end_call("CA/../../Keys?x=1#")
    assert api.requests[0][1] == PATH.replace(CALL, "CA%2F..%2F..%2FKeys%3Fx%3D1%23")


# ---- Twilio's own description -------------------------------------------------------------------------------------------


async def test_requests_are_what_twilio_describes(api, rest, twilio_api):
    await rest.end_call(CALL)
    await rest.redirect(CALL, "<Response><Hangup/></Response>")
    asked = [(method, path, dict(parse_qsl(body))) for method, path, _, body in api.requests]
    assert twilio_api.judge(asked) == {"POST Calls/{Sid}.json": 2}
    for wrong in ({"Status": "over"}, {"Twimll": "<Response/>"}):
        with pytest.raises((AssertionError, ValidationError)):
            twilio_api.judge([("POST", PATH, wrong)])
