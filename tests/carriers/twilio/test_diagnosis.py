import base64
import hmac
import time

import pytest
from structlog.testing import capture_logs

from gateway.carriers.twilio.diagnosis import Arrival, Refusals, explain
from gateway.carriers.twilio.form import Form
from gateway.carriers.twilio.signature import Verifier

TOKEN = "12345678901234567890123456789012"
FIELDS = {"AccountSid": "AC" + "a" * 32, "CallSid": "CA1", "From": "+41445550111"}
FORM = Form({name: [value] for name, value in FIELDS.items()})
VERIFIER = Verifier("https://gw.example", "https://media.example", [TOKEN])


def sign(url: str, fields: dict[str, str] | None = None, token: str = TOKEN) -> str:
    text = url + "".join(name + value for name, value in sorted((fields or {}).items()))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()


@pytest.mark.parametrize(
    ("signed", "headers", "words"),
    [
        ("http://gw.example/twilio/voice", {}, "set GATEWAY_PUBLIC_URL=http://gw.example"),
        (
            "https://gw.example:8443/twilio/voice",
            {"host": "gw.example:8443"},
            "set GATEWAY_PUBLIC_URL=https://gw.example:8443",
        ),
        (
            "https://abc.ngrok.example/twilio/voice",
            {"host": "abc.ngrok.example"},
            "PUBLIC_URL=https://abc.ngrok.example",
        ),
        (
            "https://front.example/twilio/voice",
            {"x-forwarded-host": "front.example", "host": "10.0.0.1:8080"},
            "URL=https://front",
        ),
        (
            "https://gw.example/ivr/twilio/voice",
            {"x-forwarded-prefix": "/ivr"},
            "set GATEWAY_PUBLIC_URL=https://gw.example/ivr",
        ),
        (
            "https://gw.example/ivr/twilio/voice",
            {"x-original-uri": "/ivr/twilio/voice?a=1"},
            "PUBLIC_URL=https://gw.example/ivr",
        ),
        ("https://media.example/twilio/voice", {}, "set GATEWAY_PUBLIC_URL=https://media.example"),
        ("https://gw.example/twilio/voice/", {}, "last slash"),
    ],
)
def test_what_would_have_matched_and_what_to_change(signed, headers, words):
    arrival = Arrival("webhook", "/twilio/voice", sign(signed, FIELDS), form=FORM, headers=headers)
    hint = explain(VERIFIER, "signature-wrong", arrival)
    assert words in hint
    assert signed in hint


def test_a_prefix_that_does_not_belong():
    verifier = Verifier("https://gw.example/ivr", "", [TOKEN])
    arrival = Arrival("webhook", "/twilio/voice", sign("https://gw.example/twilio/voice", FIELDS), form=FORM)
    assert explain(verifier, "signature-wrong", arrival).endswith("set GATEWAY_PUBLIC_URL=https://gw.example")


def test_a_changed_body_or_query():
    arrival = Arrival("webhook", "/v", sign("https://gw.example/v"), form=FORM)
    assert "body" in explain(VERIFIER, "signature-wrong", arrival)
    arrival = Arrival("webhook", "/v", sign("https://gw.example/v", FIELDS), "added=1", form=FORM)
    assert "query" in explain(VERIFIER, "signature-wrong", arrival)


@pytest.mark.parametrize(
    ("signed", "words"),
    [
        ("https://media.example/twilio/media", "signed with https, where Twilio documents wss"),
        ("ws://media.example/twilio/media", "set GATEWAY_STREAM_URL=ws://media.example"),
        ("wss://gw.example/twilio/media", "set GATEWAY_STREAM_URL=wss://gw.example"),
        ("wss://other.example/twilio/media", "set GATEWAY_STREAM_URL=wss://other.example"),
    ],
)
def test_upgrades(signed, words):
    arrival = Arrival("websocket", "/twilio/media", sign(signed), headers={"host": "other.example"})
    assert words in explain(VERIFIER, "signature-wrong", arrival)


def test_a_token_with_quotes_around_it():
    verifier = Verifier("https://gw.example", "", [f'"{TOKEN}"'])
    arrival = Arrival("webhook", "/v", sign("https://gw.example/v", FIELDS), form=FORM)
    assert "quotes" in explain(verifier, "signature-wrong", arrival)


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("no-token", "TWILIO_AUTH_TOKEN"),
        ("signature-missing", "X-Twilio-Signature"),
        ("algorithm-unknown", "algorithm"),
        ("signature-wrong", "not the token of account AC" + "a" * 32),
    ],
)
def test_when_nothing_matches(why, words):
    arrival = Arrival("webhook", "/v", sign("https://gw.example/v", FIELDS, "x"), form=FORM)
    assert words in explain(VERIFIER, why, arrival)


def test_hostile_headers_are_neither_used_nor_shown():
    headers = {
        "host": "evil\r\nx: y",
        "x-forwarded-host": "a b",
        "x-forwarded-prefix": "nope",
        "x-original-uri": "nope",
    }
    arrival = Arrival("webhook", "/v" * 200, "forged", form=Form({"AccountSid": ["ACx\n"]}), headers=headers)
    hint = explain(VERIFIER, "signature-wrong", arrival)
    assert "evil" not in hint
    assert "ACx" not in hint


def test_the_log_holds_no_secret_and_no_number():
    with capture_logs() as logs:
        refusals = Refusals(VERIFIER)
        for url in ("http://gw.example/v?From=%2B41445550111", "https://gw.example/x"):
            query = "From=%2B41445550111"
            refusals.note("signature-wrong", Arrival("webhook", "/v", sign(url), query, headers={"host": "h"}))
    assert len(logs) == 2
    assert TOKEN not in str(logs)
    assert "41445550111" not in str(logs)
    assert logs[0]["event"] == "signature-refused"
    assert logs[0]["hint"].endswith("set GATEWAY_PUBLIC_URL=http://gw.example")


def test_it_is_rationed():
    now = 0.0
    refusals = Refusals(VERIFIER, clock=lambda: now)
    with capture_logs() as logs:
        for _ in range(1000):
            refusals.note("signature-wrong", Arrival("webhook", "/v", "forged", form=FORM))
        assert len(logs) == 5
        now = 2.0
        refusals.note("signature-wrong", Arrival("webhook", "/v", "forged", form=FORM))
        assert len(logs) == 6
    assert logs[-1]["unlogged_before"] == 995
    assert refusals.counts == {"webhook": 1001}


def test_the_cost_is_bounded():
    """Generous: what matters is that it is no matter of seconds."""
    form = Form({f"n{index}": ["v" * 50] for index in range(250)})
    arrival = Arrival(
        "webhook", "/v", "forged", form=form, headers={"host": "a.example", "x-forwarded-host": "b.example"}
    )
    began = time.perf_counter()
    explain(Verifier("https://gw.example", "", [TOKEN, "b", "c"]), "signature-wrong", arrival)
    assert time.perf_counter() - began < 1
    too_long = Form({"a": ["v" * 20_000]})
    assert "not diagnosed" in explain(VERIFIER, "signature-wrong", Arrival("webhook", "/v", "forged", form=too_long))
