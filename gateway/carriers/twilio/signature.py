"""Is this request Twilio's?

Twilio signs the URL that it was told to use, so the URL is built from settings, never from the request's headers: a
caller of ours can choose those. From Twilio's "Secure webhooks": a form's fields are signed with the URL, sorted by
name; a JSON body through its hash in the query (``bodySHA256``); the WebSocket's upgrade as a GET of the ``wss`` URL.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs

from starlette.datastructures import FormData
from twilio.request_validator import (
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from gateway.carriers.twilio.form import Form
from gateway.carriers.twilio.twiml import socket_url

__all__ = ["SIGNATURE_HEADER", "SIGNATURE_SETTINGS_HEADER", "Fields", "Refusal", "Verdict", "Verifier", "port_variants"]

Refusal: TypeAlias = Literal[
    "", "no-token", "account-unknown", "signature-missing", "signature-wrong", "algorithm-unknown", "body-changed"
]

Fields: TypeAlias = Form | FormData
"""A form that keeps repeated fields; of a plain ``dict`` the signature would be wrong."""

_DEFAULT_PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is Twilio's, and if not, why; true or false itself."""

    why: Refusal = ""

    def __bool__(self) -> bool:
        return not self.why


Accounts: TypeAlias = Callable[[], Mapping[str, Sequence[str]]]
"""Returns the tokens that are good for each account now, by its sid."""


class Verifier:
    """Checks signatures against the public URL, with every token that is good now (two during a rotation).

    Args:
        tokens: those of accounts that ``accounts`` does not name.
        accounts: accounts that sign with tokens of their own; a request of one must be signed with one of these.
    """

    def __init__(self, public_url: str, stream_url: str, tokens: Sequence[str], accounts: Accounts = dict) -> None:
        self.public_url = public_url.rstrip("/")
        self.stream_url = socket_url(stream_url or public_url)
        self._own = tuple(token for token in tokens if token)
        self._accounts = accounts
        self._http_bases = port_variants(self.public_url)
        self._socket_bases = port_variants(self.stream_url)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token of every account."""
        named = (token for tokens in self._accounts().values() for token in tokens)
        return tuple(dict.fromkeys((*self._own, *named)))

    def tokens_of(self, account_sid: str) -> tuple[str, ...]:
        """Return the tokens that an account may sign with; of any account where the request names none."""
        if not account_sid:
            return self.tokens
        named = self._accounts().get(account_sid)
        return self._own if named is None else tuple(named)

    def http(
        self,
        method: str,
        raw_path: str,
        raw_query: str,
        form: Fields | str | None,
        header: str | None,
        settings_header: str | None = None,
    ) -> Verdict:
        """Judge a webhook; path and query are as they came, still percent-encoded. ``form`` as text is a JSON body."""
        fields = form if method == "POST" else None
        account_sid = _account_sid(form, raw_query)
        target = f"{raw_path}?{raw_query}" if raw_query else raw_path
        if isinstance(fields, str):
            # The validator would raise where the hash is absent, so it is looked for first.
            hashes = parse_qs(raw_query).get("bodySHA256", [""])
            if not hmac.compare_digest(RequestValidator("").compute_hash(fields).encode(), hashes[0].encode()):
                return Verdict("body-changed")
            fields = None
        urls = (base + target for base in self._http_bases)
        return self._judge(urls, fields, header, settings_header, account_sid)

    def websocket(
        self, raw_path: str, header: str | None, settings_header: str | None = None, account_sid: str = ""
    ) -> Verdict:
        """Judge an upgrade; whose account it is shows in its first message only.

        Twilio's "Secure webhooks": "if you are having trouble verifying a WebSocket handshake request (e.g., for
        Programmable Voice Media Streams), try appending a trailing / character to the URL". Both are tried.
        """
        bare = raw_path.rstrip("/")
        urls = (base + path for base in self._socket_bases for path in (bare, f"{bare}/"))
        return self._judge(urls, None, header, settings_header, account_sid)

    def _judge(
        self,
        urls: Iterable[str],
        fields: Fields | None,
        header: str | None,
        settings_header: str | None,
        account_sid: str,
    ) -> Verdict:
        tokens = self.tokens_of(account_sid)
        if not tokens:
            return Verdict("account-unknown" if self.tokens else "no-token")
        if not header:
            return Verdict("signature-missing")
        algorithm = get_signature_algorithm(settings_header)
        signature = header.encode("utf-8", "surrogateescape")
        try:
            for url in urls:
                for token in tokens:
                    expected = RequestValidator(token).compute_signature(url, fields, algorithm)
                    if hmac.compare_digest(expected.encode(), signature):
                        return Verdict()
        except ValueError:  # an algorithm that the validator does not know
            return Verdict("algorithm-unknown")
        return Verdict("signature-wrong")


def _account_sid(form: Fields | str | None, raw_query: str) -> str:
    """Return whose request it says that it is; the answer decides only which token has to have signed it."""
    said = form.get("AccountSid") if isinstance(form, Form | FormData) else None
    first = said[0] if isinstance(said, list) and said else said
    return first if isinstance(first, str) else parse_qs(raw_query).get("AccountSid", [""])[0]


def port_variants(base: str) -> tuple[str, str]:
    """A base URL as it is, and with its port left out or the scheme's own put in: Twilio signs either.

    Not left to ``RequestValidator.validate``, which takes 80 for wss and can't read IPv6 addresses or credentials.
    """
    scheme, _, rest = base.partition("://")
    authority, slash, path = rest.partition("/")
    host, _, port = authority.rpartition(":")
    if not (host and port.isdigit()):
        host, authority = authority, f"{authority}:{_DEFAULT_PORTS.get(scheme.lower(), 443)}"
        return base, f"{scheme}://{authority}{slash}{path}"
    return base, f"{scheme}://{host}{slash}{path}"
