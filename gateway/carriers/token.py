"""Stream tokens: the proof, carried through the carrier, that a media stream belongs to a call that we answered.

A token is self-contained, so that a stream which lands in another process can be checked there. It is not encrypted:
it holds ids alone. Spending it only once is the exchange's business.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec

from gateway.errors import TokenError

# Twilio, TwiML Voice <Stream>: "The combined length of each name and value must be under 500 characters." The name
# takes five ("token"), and some are left for it to be renamed.
MAX_LENGTH: Final = 490
MIN_SECRET: Final = 16

_VERSION: Final = "v1"
_PURPOSE: Final = b"telephony-voice-gateway stream token v1"


class Claims(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a token says.

    ``snapshot`` is the hash of the configuration that answered the call, ``stream`` the number of the stream that it
    was issued for, ``expires`` the first Unix second at which it is no longer good.
    """

    call_id: str
    call_sid: str
    account_sid: str
    line: str
    snapshot: str
    stream: int
    expires: int


class StreamTokens:
    """Issues and verifies tokens, with a key made of the gateway's secret (which all of its processes share)."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET:
            raise ValueError(f"the secret of stream tokens needs at least {MIN_SECRET} bytes, not {len(secret)}")
        # A key of its own: the same secret also signs other things, and none may pass for another.
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def issue(self, claims: Claims) -> str:
        """Sign claims; equal claims give equal tokens, under 490 characters of ``[A-Za-z0-9._-]``.

        Raises:
            ValueError: the claims are too long.
        """
        body = f"{_VERSION}.{_text(msgspec.json.encode(claims))}"
        token = f"{body}.{_text(self._seal(body))}"
        if len(token) >= MAX_LENGTH:
            raise ValueError(f"a stream token of {len(token)} characters does not fit in a <Parameter>")
        return token

    def verify(self, token: str, *, call_sid: str, now: float, account_sid: str | None = None) -> Claims:
        """Read a token that must be ours, unexpired at Unix time ``now``, and issued for this call (and account).

        Raises:
            TokenError: it is not; the message says why and holds nothing of the token.
        """
        if not token:
            raise TokenError("the stream brought no token")
        body, _, seal = token.rpartition(".")
        if len(token) >= MAX_LENGTH or not token.isascii() or not body.startswith(f"{_VERSION}."):
            raise TokenError("the stream's token has not the shape of one")
        if not hmac.compare_digest(seal, _text(self._seal(body))):
            raise TokenError(
                "the stream's token is not signed by this gateway (is GATEWAY_SECRET_KEY the same on all?)"
            )
        claims = _claims(body)
        if claims.call_sid != call_sid:
            raise TokenError("the stream's token was issued for another call")
        if account_sid is not None and claims.account_sid != account_sid:
            raise TokenError("the stream's token was issued for another account")
        if now >= claims.expires:
            raise TokenError("the stream's token has expired")
        return claims

    def _seal(self, body: str) -> bytes:
        return hmac.digest(self._key, body.encode(), hashlib.sha256)


def _claims(body: str) -> Claims:
    try:
        packed = body.removeprefix(f"{_VERSION}.")
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=Claims)
    except (binascii.Error, ValueError) as error:
        # Only who holds the secret gets here: another version of the gateway wrote it.
        raise TokenError("the stream's token was written by another version of the gateway") from error


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
