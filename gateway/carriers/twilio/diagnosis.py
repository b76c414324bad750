"""Why a signature did not match: which URL it does match, and which setting that means.

It admits nobody; what it finds goes to the log alone. It costs some hundred HMACs, so it is rationed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote, unquote

import structlog

from gateway.carriers.twilio.form import Form
from gateway.carriers.twilio.signature import Refusal, Verifier, port_variants
from gateway.carriers.twilio.twiml import socket_url

log = structlog.get_logger()

MAX_SIGNED: Final = 16 * 1024
"""Characters of fields beyond which no diagnosis is made."""
MAX_TRIES: Final = 1500
SECONDS_BETWEEN: Final = 2.0
BURST: Final = 5
MAX_SHOWN: Final = 120

_ACCOUNT: Final = re.compile(r"AC[0-9a-fA-F]{32}")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A refused request as it reached us."""

    kind: Literal["webhook", "websocket"]
    raw_path: str
    signature: str
    raw_query: str = ""
    form: Form = field(default_factory=Form)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Try:
    base: str
    path: str
    query: str
    with_fields: bool

    @property
    def url(self) -> str:
        return f"{self.base}{self.path}{'?' if self.query else ''}{self.query}"


class Refusals:
    """Logs refused requests, each with its diagnosis; under attack a few of them, and how many more there were.

    Attributes:
        counts: all that were refused, by kind.
    """

    def __init__(self, verifier: Verifier, clock: Callable[[], float] = time.monotonic) -> None:
        self._verifier = verifier
        self._clock = clock
        self._allowance = float(BURST)
        self._at = clock()
        self._unlogged = 0
        self.counts: Counter[str] = Counter()

    def note(self, why: Refusal, arrival: Arrival) -> None:
        """Count a refusal, and log it if the ration allows."""
        self.counts[arrival.kind] += 1
        if not self._may_log():
            self._unlogged += 1
            return
        hint = explain(self._verifier, why, arrival)
        unlogged, self._unlogged = self._unlogged, 0
        path = arrival.raw_path[:MAX_SHOWN]
        log.warning("signature-refused", kind=arrival.kind, why=why, path=path, hint=hint, unlogged_before=unlogged)

    def _may_log(self) -> bool:
        now = self._clock()
        self._allowance = min(BURST, self._allowance + (now - self._at) / SECONDS_BETWEEN)
        self._at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


def explain(verifier: Verifier, why: Refusal, arrival: Arrival) -> str:
    """One sentence for the log: what would have matched, and which setting to change."""
    match why:
        case "no-token":
            return "set TWILIO_AUTH_TOKEN: without it all carrier traffic is refused"
        case "account-unknown":
            return "it is of an account that is not under accounts: in _numbers.yaml, and TWILIO_AUTH_TOKEN is not set"
        case "signature-missing":
            return "it carries no X-Twilio-Signature: it is not Twilio's, or a proxy drops that header"
        case "algorithm-unknown":
            return "X-Twilio-Webhooks-Signature-Settings names an algorithm that this version does not know"
        case _:
            return _search(verifier, arrival)


def _search(verifier: Verifier, arrival: Arrival) -> str:
    fields = _signed_fields(arrival.form)
    if len(fields) > MAX_SIGNED:
        return "not diagnosed: its fields are too long"
    tokens = _tokens(verifier)
    for number, attempt in enumerate(_attempts(verifier, arrival)):
        if number * len(tokens) > MAX_TRIES:
            break
        message = (attempt.url + (fields if attempt.with_fields else "")).encode("utf-8", "surrogateescape")
        for token, remark in tokens.items():
            if _matches(token, message, arrival.signature):
                return remark or _advice(verifier, arrival, attempt)
    account = arrival.form.first("AccountSid")
    of = f" of account {account}" if _ACCOUNT.fullmatch(account) else ""
    return (
        f"it matches no URL that was tried, with none of {len(verifier.tokens)} tokens: it is forged, or "
        f"TWILIO_AUTH_TOKEN is not the token{of} (a sub-account signs with its own), or a proxy changes path or body"
    )


def _signed_fields(form: Form) -> str:
    return "".join(name + value for name in sorted(form) for value in sorted(set(form[name])))


def _tokens(verifier: Verifier) -> dict[str, str]:
    """Every token to try, with what it means if it matches where the settings' own did not."""
    tokens = dict.fromkeys(verifier.tokens, "")
    for token in verifier.tokens:
        bare = token.strip().strip("\"'").strip()
        tokens.setdefault(bare, "TWILIO_AUTH_TOKEN has blanks or quotes around it: take them away")
    return tokens


def _matches(token: str, message: bytes, signature: str) -> bool:
    for algorithm in (hashlib.sha1, hashlib.sha256):
        seal = base64.b64encode(hmac.digest(token.encode(), message, algorithm))
        if hmac.compare_digest(seal, signature.encode("utf-8", "surrogateescape")):
            return True
    return False


def _attempts(verifier: Verifier, arrival: Arrival) -> Iterator[_Try]:
    """What Twilio may have signed, the likeliest mistakes first."""
    configured = verifier.public_url if arrival.kind == "webhook" else verifier.stream_url
    bases = _bases(configured, verifier, arrival.headers)
    paths = _paths(arrival)
    queries = list(dict.fromkeys((arrival.raw_query, "")))
    for with_fields in (True, False) if arrival.form else (True,):
        for query in queries:
            for path in paths:
                for base in bases:
                    yield _Try(base, path, query, with_fields)


def _bases(configured: str, verifier: Verifier, headers: Mapping[str, str]) -> list[str]:
    _, _, rest = configured.partition("://")
    authority, slash, prefix = rest.partition("/")
    hosts = [authority]
    hosts += [url.partition("://")[2].partition("/")[0] for url in (verifier.public_url, verifier.stream_url)]
    for name in ("x-forwarded-host", "x-original-host", "host"):
        host = headers.get(name, "").rpartition(",")[2].strip()
        if _HOST.fullmatch(host):
            hosts.append(host)
    forwarded = headers.get("x-forwarded-prefix", "").strip().rstrip("/")
    prefixes = [slash + prefix, "", *([forwarded] if forwarded.startswith("/") else [])]
    return list(
        dict.fromkeys(
            variant + prefix
            for prefix in dict.fromkeys(prefixes)
            for host in dict.fromkeys(hosts)
            for scheme in ("https", "wss", "http", "ws")
            for variant in port_variants(f"{scheme}://{host}")
        )
    )


def _paths(arrival: Arrival) -> list[str]:
    path = arrival.raw_path
    paths = [path, path.rstrip("/") if path.endswith("/") else f"{path}/", unquote(path), quote(unquote(path))]
    original = arrival.headers.get("x-original-uri", "") or arrival.headers.get("x-forwarded-uri", "")
    if original.startswith("/"):
        paths.append(original.partition("?")[0])
    return list(dict.fromkeys(paths))


def _advice(verifier: Verifier, arrival: Arrival, match: _Try) -> str:
    """What to do about a match; the query is left out of it, because it may hold a caller's number."""
    setting = "GATEWAY_PUBLIC_URL" if arrival.kind == "webhook" else "GATEWAY_STREAM_URL"
    configured = verifier.public_url if arrival.kind == "webhook" else verifier.stream_url
    found = f"the signature matches {match.base}{match.path}"
    if arrival.form and not match.with_fields:
        return f"{found} without its fields: a proxy changes the body, or repeats a GET as a POST"
    if arrival.raw_query != match.query:
        return f"{found} without a query: a proxy adds one"
    base = match.base
    if match.path != arrival.raw_path and match.path.endswith(arrival.raw_path):
        base += match.path.removesuffix(arrival.raw_path)
    if base in port_variants(configured):
        arrived = arrival.raw_path[:MAX_SHOWN]
        return f"{found}, where {arrived} arrived: a proxy rewrites the path, or adds or drops its last slash"
    scheme = match.base.partition(":")[0]
    if arrival.kind == "websocket" and scheme in {"http", "https"} and socket_url(match.base) == configured:
        return f"{found}: the upgrade was signed with {scheme}, where Twilio documents wss"
    return f"{found}: set {setting}={base}"
