import random
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from gateway.call.events import ContinuationAsked
from gateway.call.plan import Reject
from gateway.carriers.twilio.diagnosis import Refusals
from gateway.carriers.twilio.signature import Verifier
from gateway.carriers.twilio.twiml import LAST_RESORT, Links
from gateway.carriers.twilio.webhooks import Webhooks

pytestmark = pytest.mark.anyio

TOKEN = "12345678901234567890123456789012"
PUBLIC = "https://gw.example"
CALL = {
    "CallSid": "CA" + "c" * 32,
    "AccountSid": "AC" + "a" * 32,
    "From": "+41445550111",
    "To": "+14155550199",
    "CallStatus": "ringing",
    "Direction": "inbound",
    "CallerCity": "",
}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


class Twilio:
    """Sends webhooks as Twilio does, or almost."""

    def __init__(self, app: Starlette, signed: Callable[..., str]) -> None:
        self._client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://10.0.0.9:8080")
        self._signed = signed

    async def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> httpx2.Response:
        fields = CALL if fields is None else fields
        signature = {"X-Twilio-Signature": self._signed(PUBLIC + path, fields)}
        return await self._client.post(path, content=urlencode(fields), headers=FORM_TYPE | signature | headers)

    async def get(self, path: str, fields: dict[str, str] | None = None) -> httpx2.Response:
        target = f"{path}?{urlencode(CALL if fields is None else fields)}"
        return await self._client.get(target, headers={"X-Twilio-Signature": self._signed(PUBLIC + target)})

    async def raw(self, method: str, path: str, content: bytes = b"", **headers: str) -> httpx2.Response:
        return await self._client.request(method, path, content=content, headers=headers)


@pytest.fixture
def app(exchange):
    return Starlette(routes=Webhooks(exchange, Verifier(PUBLIC, "", [TOKEN]), Links(PUBLIC)).routes())


@pytest.fixture
def twilio(app, signed):
    return Twilio(app, signed)


def verbs(response: httpx2.Response) -> list[str]:
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/xml")
    return [verb.tag for verb in ET.fromstring(response.content)]


# ---- What is asked and answered ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("line", ["", "/front_desk"])
async def test_voice(twilio, exchange, slash, method, line):
    response = await getattr(twilio, method)(f"/twilio/voice{line}{slash}")
    assert verbs(response) == ["Connect", "Hangup"]
    ((name, incoming),) = exchange.asked
    assert name == "offer"
    assert (incoming.call_sid, incoming.account_sid) == (CALL["CallSid"], CALL["AccountSid"])
    assert (incoming.caller, incoming.called) == ("+41445550111", "+14155550199")
    assert (incoming.direction, incoming.status, incoming.line) == ("inbound", "ringing", line.strip("/"))
    assert incoming.parameters == CALL


async def test_a_line_with_an_escaped_name_is_verified_as_it_was_sent(twilio, exchange):
    assert (await twilio.post("/twilio/voice/front%20desk")).status_code == 200
    assert exchange.asked[0][1].line == "front desk"


async def test_who_is_told_that_a_call_was_taken_can_rely_on_its_record(twilio, exchange):
    assert (await twilio.post("/twilio/voice")).status_code == 200
    assert exchange.recorded == [exchange.asked[0][1].call_sid]


async def test_a_repeated_delivery_gets_the_same_bytes(twilio):
    assert (await twilio.post("/twilio/voice")).content == (await twilio.post("/twilio/voice")).content


@pytest.mark.parametrize("slash", ["", "/"])
async def test_stream_ended_after_connect_and_after_dial(twilio, exchange, slash):
    assert verbs(await twilio.post(f"/twilio/stream-ended{slash}", CALL | {"CallStatus": "in-progress"})) == ["Hangup"]
    dialled = CALL | {"CallStatus": "in-progress", "DialCallStatus": "no-answer"}
    assert verbs(await twilio.post(f"/twilio/stream-ended{slash}", dialled)) == ["Hangup"]
    assert [asked[2] for asked in exchange.asked] == [
        ContinuationAsked("in-progress"),
        ContinuationAsked("in-progress", "no-answer"),
    ]


@pytest.mark.parametrize("slash", ["", "/"])
async def test_status(twilio, exchange, slash):
    response = await twilio.post(f"/twilio/status{slash}", CALL | {"CallStatus": "completed"})
    assert (response.status_code, response.content) == (204, b"")
    assert exchange.asked == [("report", CALL["CallSid"], "completed")]


async def test_a_status_that_the_exchange_fails_on_is_only_logged(twilio, exchange):
    exchange.fails = {"report"}
    with capture_logs() as logs:
        assert (await twilio.post("/twilio/status")).status_code == 204
    assert [entry["event"] for entry in logs] == ["status-failed"]


@pytest.mark.parametrize("slash", ["", "/"])
async def test_fallback(twilio, exchange, slash):
    fields = CALL | {"ErrorCode": "11205", "ErrorUrl": "https://gw.example/twilio/voice"}
    assert verbs(await twilio.post(f"/twilio/fallback{slash}", fields)) == ["Say", "Hangup"]
    assert exchange.asked[0][0] == "apology"
    assert exchange.asked[0][2] == "11205"
    assert verbs(await twilio.get(f"/twilio/fallback{slash}", fields)) == ["Say", "Hangup"]


async def test_fallback_when_everything_else_is_broken(twilio, exchange):
    exchange.fails = {"offer", "continuation", "report", "apology"}
    with capture_logs() as logs:
        for path in ("/twilio/fallback", "/twilio/voice", "/twilio/stream-ended"):
            response = await twilio.post(path)
            assert response.text == LAST_RESORT
            assert verbs(response) == ["Say", "Hangup"]
        assert verbs(await twilio.post("/twilio/fallback", {"ErrorCode": "1"})) == ["Say", "Hangup"]
    assert sum(entry["event"] == "apology-failed" for entry in logs) == 4


@pytest.mark.parametrize("what", ["offer", "continuation"])
async def test_a_fault_is_an_apology_and_never_a_500(twilio, exchange, what):
    exchange.fails = {what}
    with capture_logs() as logs:
        response = await twilio.post("/twilio/voice" if what == "offer" else "/twilio/stream-ended")
    assert verbs(response) == ["Say", "Hangup"]
    assert exchange.asked[-1][0] == "apology"
    assert exchange.asked[-1][2] == f"{what}-failed"
    assert logs[0]["event"] == "webhook-failed"


async def test_a_plan_that_can_not_be_written_is_an_apology(twilio, exchange):
    exchange.offered = (Reject(), Reject())
    assert verbs(await twilio.post("/twilio/voice")) == ["Say", "Hangup"]


async def test_draining_is_the_exchange_s_answer(twilio, exchange):
    exchange.draining = True
    assert verbs(await twilio.post("/twilio/voice")) == ["Reject"]


@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/stream-ended", "/twilio/status"])
async def test_without_a_call_there_is_nothing_to_answer(twilio, exchange, path):
    assert (await twilio.post(path, {"From": "+1"})).status_code == 400
    assert exchange.asked == []


# ---- What is refused --------------------------------------------------------------------------------------------------


def shapes() -> Iterator[dict[str, str]]:
    """A thousand requests that Twilio did not sign as they are."""
    random.seed(7)
    signature = "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    yield from ({}, {"X-Twilio-Signature": ""}, {"X-Twilio-Signature": " "}, {"X-Twilio-Signature": signature})
    for algorithm in ("HMAC_SHA256", "NONE", "", "hmac_sha1", "HMAC_MD5"):
        yield {"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": f"key=k,algorithm={algorithm}"}
    alphabet = "ABCDEFabcdef0123456789+/="
    for _ in range(991):
        yield {"X-Twilio-Signature": "".join(random.choices(alphabet, k=random.choice([1, 27, 28, 29, 44, 300])))}


async def test_a_thousand_bad_signatures_reach_nothing(twilio, exchange):
    paths = ["/twilio/voice", "/twilio/voice/x", "/twilio/stream-ended", "/twilio/status", "/twilio/fallback/"]
    bodies = [urlencode(CALL).encode(), b"", b"a", b"=&=&", b"%ff=%00", "é=ü".encode(), b"a=1&" * 200]
    count = 0
    with capture_logs() as logs:
        for number, headers in enumerate(shapes()):
            method = "GET" if number % 7 == 3 else "POST"
            response = await twilio.raw(
                method, paths[number % 5], bodies[number % 7] if method == "POST" else b"", **FORM_TYPE, **headers
            )
            assert (response.status_code, response.content) == (403, b"")
            count += 1
    assert count == 1000
    assert exchange.asked == []
    assert len(logs) < 50


async def test_a_signature_is_good_for_its_own_request_alone(twilio, exchange, signed):
    good = {"X-Twilio-Signature": signed(f"{PUBLIC}/twilio/voice", CALL)}
    tampered = [
        ("/twilio/voice/", urlencode(CALL)),
        ("/twilio/voice?x=1", urlencode(CALL)),
        ("/twilio/voice/front_desk", urlencode(CALL)),
        ("/twilio/stream-ended", urlencode(CALL)),
        ("/twilio/voice", urlencode(CALL | {"From": "+41445550112"})),
        ("/twilio/voice", urlencode(CALL) + "&From=%2B1900"),
        ("/twilio/voice", urlencode(CALL) + "&Extra=1"),
        ("/twilio/voice", urlencode({name: value for name, value in CALL.items() if name != "To"})),
        ("/twilio//voice", urlencode(CALL)),
    ]
    for path, body in tampered:
        response = await twilio.raw("POST", path, body.encode(), **FORM_TYPE, **good, Host="gw.example")
        assert response.status_code in {403, 404}, path
    assert exchange.asked == []


async def test_headers_of_a_proxy_are_not_believed(twilio, exchange, signed):
    for host in ("evil.example", "gw.example"):
        signature = signed("https://evil.example/twilio/voice", CALL)
        headers = {"Host": host, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
        response = await twilio.raw(
            "POST",
            "/twilio/voice",
            urlencode(CALL).encode(),
            **FORM_TYPE,
            **headers,
            **{"X-Twilio-Signature": signature},
        )
        assert response.status_code == 403
    assert exchange.asked == []


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_other_content_types(twilio, exchange, kind):
    assert (await twilio.post("/twilio/voice", **{"Content-Type": kind})).status_code == 415
    assert exchange.asked == []


async def test_a_content_type_with_a_charset(twilio):
    response = await twilio.post(
        "/twilio/voice", **{"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    )
    assert response.status_code == 200


async def test_a_body_that_is_too_large_or_has_too_many_fields(twilio, exchange):
    for body in (b"a=" + b"x" * 65536, b"a=1&" * 400):
        response = await twilio.raw("POST", "/twilio/voice", body, **FORM_TYPE)
        assert response.status_code == 413
    assert exchange.asked == []


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods(twilio, exchange, method, signed):
    headers = {"X-Twilio-Signature": signed(f"{PUBLIC}/twilio/voice")}
    assert (await twilio.raw(method, "/twilio/voice", **headers)).status_code == 405
    assert exchange.asked == []


async def test_without_a_token_all_is_refused_and_the_log_names_it(exchange, signed):
    app = Starlette(routes=Webhooks(exchange, Verifier(PUBLIC, "", []), Links(PUBLIC)).routes())
    with capture_logs() as logs:
        response = await Twilio(app, lambda url, fields=None: signed(url, fields, "")).post("/twilio/voice")
    assert (response.status_code, response.content) == (403, b"")
    assert "TWILIO_AUTH_TOKEN" in logs[0]["hint"]
    assert exchange.asked == []


async def test_a_refusal_explains_itself_in_the_log_and_not_to_the_client(exchange, signed):
    verifier = Verifier("https://gw.example", "", [TOKEN])
    app = Starlette(routes=Webhooks(exchange, verifier, Links(PUBLIC), Refusals(verifier)).routes())
    twilio = Twilio(app, lambda url, fields=None: signed(url.replace("https:", "http:"), fields))
    with capture_logs() as logs:
        response = await twilio.post("/twilio/voice")
    assert (response.status_code, response.content) == (403, b"")
    assert logs[0]["hint"].endswith("set GATEWAY_PUBLIC_URL=http://gw.example")
    assert exchange.asked == []
