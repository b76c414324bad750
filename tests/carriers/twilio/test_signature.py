import base64
import hashlib
import hmac
import random

import pytest
from starlette.datastructures import FormData
from twilio.request_validator import RequestValidator

from gateway.carriers.twilio.form import Form, UnreadableError, parse
from gateway.carriers.twilio.signature import Fields, Verdict, Verifier, port_variants

TOKEN = "12345678901234567890123456789012"
OLD = "98765432109876543210987654321098"
FIELDS = {"CallSid": "CA1", "From": "+41445550111", "To": "+14155550199", "Caller Name": "Ann & Co", "Blank": ""}
FORM = Form({name: [value] for name, value in FIELDS.items()})
VERIFIER = Verifier("https://gw.example", "", [TOKEN, OLD])


def sign(url: str, fields: dict[str, str] | None = None, token: str = TOKEN, algorithm: str = "sha1") -> str:
    text = url + "".join(name + value for name, value in sorted((fields or {}).items()))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), algorithm).digest()).decode()


def post(
    path: str = "/twilio/voice",
    query: str = "",
    form: Fields | str | None = FORM,
    header: str | None = None,
    settings: str | None = None,
    verifier: Verifier = VERIFIER,
) -> Verdict:
    return verifier.http("POST", path, query, form, header, settings)


# ---- Webhooks ---------------------------------------------------------------------------------------------------------


def test_a_form():
    assert post(header=sign("https://gw.example/twilio/voice", FIELDS))


def test_an_example_that_was_not_signed_here():
    """The one in the documentation and the test suites of Twilio's libraries."""
    form = parse("CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309")
    verifier = Verifier("https://mycompany.com", "", ["12345"])
    assert verifier.http("POST", "/myapp.php", "foo=1&bar=2", form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert not verifier.http("POST", "/myapp.php", "foo=1&bar=3", form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")


@pytest.mark.parametrize("token", [TOKEN, OLD])
def test_every_token_of_a_rotation(token):
    assert post(header=sign("https://gw.example/twilio/voice", FIELDS, token))


def test_a_get_is_signed_with_its_query_and_without_fields():
    url = "https://gw.example/twilio/voice/front%20desk?CallSid=CA1&From=%2B41"
    assert VERIFIER.http("GET", "/twilio/voice/front%20desk", "CallSid=CA1&From=%2B41", FORM, sign(url))
    assert not VERIFIER.http("GET", "/twilio/voice/front desk", "CallSid=CA1&From=%2B41", FORM, sign(url))


def test_repeated_and_blank_fields():
    form = parse("b=2&a=&b=1&b=2")
    assert form == {"b": ["2", "1", "2"], "a": [""]}
    signature = sign("https://gw.example/twilio/voice", {"a": "", "b": "1b2"})
    assert post(form=form, header=signature)
    assert post(form=FormData([("b", "2"), ("a", ""), ("b", "1"), ("b", "2")]), header=signature)


@pytest.mark.parametrize("signed", ["https://gw.example/v", "https://gw.example:443/v"])
def test_a_port_of_its_own_or_none(signed):
    assert post("/v", header=sign(signed, FIELDS))
    assert post("/v", header=sign(signed, FIELDS), verifier=Verifier("https://gw.example:443", "", [TOKEN]))


@pytest.mark.parametrize("base", ["https://gw.example:8443", "https://u:p@gw.example:8443", "https://[::1]:8443"])
def test_a_port_that_is_configured(base):
    verifier = Verifier(base, "", [TOKEN])
    assert post("/v", header=sign(f"{base}/v", FIELDS), verifier=verifier)
    assert post("/v", header=sign(base.removesuffix(":8443") + "/v", FIELDS), verifier=verifier)


def test_port_variants():
    assert port_variants("wss://h/a") == ("wss://h/a", "wss://h:443/a")
    assert port_variants("ws://[::1]") == ("ws://[::1]", "ws://[::1]:80")
    assert port_variants("https://u:p@h") == ("https://u:p@h", "https://u:p@h:443")


def test_a_path_before_ours():
    verifier = Verifier("https://gw.example/voice/", "", [TOKEN])
    assert post(header=sign("https://gw.example/voice/twilio/voice", FIELDS), verifier=verifier)


@pytest.mark.parametrize(
    ("header", "settings", "why"),
    [
        (None, None, "signature-missing"),
        ("", None, "signature-missing"),
        ("x", None, "signature-wrong"),
        ("\udcff\u20ac", None, "signature-wrong"),
        (sign("https://gw.example/twilio/voice", FIELDS, "another"), None, "signature-wrong"),
        (sign("http://gw.example/twilio/voice", FIELDS), None, "signature-wrong"),
        (sign("https://gw.example/twilio/voice/", FIELDS), None, "signature-wrong"),
        (sign("https://gw.example/twilio/voice", FIELDS), "key=k,algorithm=HMAC_SHA256", "signature-wrong"),
        (sign("https://gw.example/twilio/voice", FIELDS), "key=k,algorithm=NONE", "algorithm-unknown"),
    ],
)
def test_refusals(header, settings, why):
    verdict = post(header=header, settings=settings)
    assert not verdict
    assert verdict.why == why


def test_shared_keys():
    signature = sign("https://gw.example/twilio/voice", FIELDS, algorithm="sha256")
    assert post(header=signature, settings="key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
    assert not post(header=signature)


def test_without_tokens_nothing_passes():
    for tokens in ([], [""]):
        verdict = Verifier("https://gw.example", "", tokens).http(
            "POST", "/v", "", FORM, sign("https://gw.example/v", FIELDS, "")
        )
        assert verdict.why == "no-token"


def test_a_json_body_is_held_to_its_hash():
    body = '{"a":1}'
    query = "bodySHA256=" + hashlib.sha256(body.encode()).hexdigest()
    signature = sign(f"https://gw.example/v?{query}")
    assert post("/v", query, body, signature)
    assert post("/v", query, body + " ", signature).why == "body-changed"
    assert post("/v", "", body, sign("https://gw.example/v")).why == "body-changed"


def test_the_same_verdict_as_twilios_library():
    random.seed(1)
    for _ in range(200):
        fields = {"".join(random.choices("aAb =&é", k=3)): random.choice(["", "x", "+1"]) for _ in range(4)}
        form = Form({name: [value] for name, value in fields.items()})
        url = "https://gw.example/twilio/voice"
        signature = RequestValidator(TOKEN).compute_signature(url, fields)
        assert post(form=form, header=signature)
        assert RequestValidator(TOKEN).validate(url, fields, signature)


# ---- Upgrades ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrived", ["/twilio/media", "/twilio/media/"])
@pytest.mark.parametrize("signed", ["/twilio/media", "/twilio/media/"])
@pytest.mark.parametrize("port", ["", ":443"])
def test_an_upgrade_with_and_without_slash_and_port(arrived, signed, port):
    assert VERIFIER.websocket(arrived, sign(f"wss://gw.example{port}{signed}"))


@pytest.mark.parametrize(
    "signed", ["https://gw.example/twilio/media", "ws://gw.example/twilio/media", "wss://gw.example/"]
)
def test_an_upgrade_signed_otherwise(signed):
    assert VERIFIER.websocket("/twilio/media", sign(signed)).why == "signature-wrong"


def test_streams_may_have_a_url_of_their_own():
    verifier = Verifier("https://gw.example", "https://node-2.example:8443/a/", [TOKEN])
    assert verifier.websocket("/twilio/media", sign("wss://node-2.example:8443/a/twilio/media"))
    assert not verifier.websocket("/twilio/media", sign("wss://gw.example/twilio/media"))


def test_an_upgrade_without_signature():
    assert VERIFIER.websocket("/twilio/media", None).why == "signature-missing"


# ---- Forms ------------------------------------------------------------------------------------------------------------


def test_too_many_fields():
    with pytest.raises(UnreadableError) as caught:
        parse("a=1&" * 301)
    assert caught.value.status == 413
