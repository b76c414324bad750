import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.token import Claims, StreamTokens
from gateway.errors import TokenError

CLAIMS = Claims(
    call_id="019a0000-0000-7000-8000-000000000001",
    call_sid="CA" + "c" * 32,
    account_sid="AC" + "a" * 32,
    line="front_desk",
    snapshot="5" * 64,
    stream=1,
    expires=1_000,
)
TOKENS = StreamTokens(b"0123456789abcdef0123456789abcdef")


def changed(**fields: object) -> Claims:

    return msgspec.structs.replace(CLAIMS, **fields)


def test_claims_come_back():
    assert TOKENS.verify(TOKENS.issue(CLAIMS), call_sid=CLAIMS.call_sid, now=999.9) == CLAIMS


def test_equal_claims_give_equal_tokens_that_fit_in_a_parameter():
    assert TOKENS.issue(CLAIMS) == TOKENS.issue(changed())
    assert len("token") + len(TOKENS.issue(CLAIMS)) < 400
    assert len(TOKENS.issue(changed(line="l" * 64))) < 490


def test_claims_that_do_not_fit_are_refused_when_issued():
    with pytest.raises(ValueError, match="does not fit"):
        TOKENS.issue(changed(line="l" * 300))


@pytest.mark.parametrize(
    ("token", "options", "why"),
    [
        ("", {}, "no token"),
        ("v1", {}, "shape"),
        ("v2." + TOKENS.issue(CLAIMS)[3:], {}, "shape"),
        (TOKENS.issue(CLAIMS) + "x" * 400, {}, "shape"),
        (TOKENS.issue(CLAIMS)[:-1] + "é", {}, "shape"),
        (StreamTokens(b"another secret, of some length").issue(CLAIMS), {}, "not signed"),
        (TOKENS.issue(CLAIMS).rpartition(".")[0] + ".", {}, "not signed"),
        (TOKENS.issue(CLAIMS), {"now": 1_000.0}, "expired"),
        (TOKENS.issue(CLAIMS), {"call_sid": "CA" + "d" * 32}, "another call"),
        (TOKENS.issue(CLAIMS), {"account_sid": "AC" + "d" * 32}, "another account"),
    ],
)
def test_what_is_not_good_is_refused(token, options, why):
    with pytest.raises(TokenError, match=why) as caught:
        TOKENS.verify(token, **({"call_sid": CLAIMS.call_sid, "now": 0.0} | options))
    assert not token or len(token) < 20 or token not in str(caught.value)


def test_every_changed_character_is_noticed():
    token = TOKENS.issue(CLAIMS)
    for index, character in enumerate(token):
        forged = token[:index] + ("A" if character != "A" else "B") + token[index + 1 :]
        with pytest.raises(TokenError):
            TOKENS.verify(forged, call_sid=CLAIMS.call_sid, now=0)


@given(st.text())
def test_no_text_passes_or_breaks_it(text):
    with pytest.raises(TokenError):
        TOKENS.verify(text, call_sid=CLAIMS.call_sid, now=0)


@pytest.mark.parametrize("body", [b"[]", b"{", b'["a"]', b"\xff"])
def test_signed_by_another_version(body):
    text = "v1." + base64.urlsafe_b64encode(body).decode().rstrip("=")
    seal = base64.urlsafe_b64encode(TOKENS._seal(text)).decode().rstrip("=")
    with pytest.raises(TokenError, match="another version"):
        TOKENS.verify(f"{text}.{seal}", call_sid=CLAIMS.call_sid, now=0)


def test_a_short_secret_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        StreamTokens(b"short")
