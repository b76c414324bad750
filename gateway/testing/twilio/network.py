"""How requests leave: signed for the public URL, sent to wherever the server under test really listens."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

from twilio.request_validator import RequestValidator

from gateway.testing.twilio.behaviour import Behaviour, StreamSignature

WebSocketScheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_SECURE = {"https", "wss"}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def new_sid(prefix: str) -> str:
    """Make an id of the carrier's kind: two letters and 32 hexadecimal digits."""
    return prefix + uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: the URL to send, the host and port to connect to, the Host header."""

    url: str
    host: str
    port: int
    header: str


class Network:
    """Maps public addresses to real ones.

    ``connect_to`` is the base URL of the server under test (``http://127.0.0.1:8080``), used for every URL that is not
    of the loopback interface; or a mapping from public hosts (``gw.example``, ``gw.example:8443``) to base URLs.
    """

    def __init__(self, connect_to: str | Mapping[str, str] | None) -> None:
        self._connect_to = connect_to

    def route(self, url: str) -> Route:
        parts = urlsplit(url)
        target = self._target(parts)
        scheme = parts.scheme
        if target:
            scheme = target.scheme if scheme in {"http", "https"} else WebSocketScheme[target.scheme]
        to = target or parts
        return Route(
            url=urlunsplit((scheme, parts.netloc, parts.path, parts.query, "")),
            host=to.hostname or "",
            port=to.port or (443 if scheme in _SECURE else 80),
            header=parts.netloc.rpartition("@")[2],
        )

    def _target(self, parts: SplitResult) -> SplitResult | None:
        if self._connect_to is None:
            return None
        if isinstance(self._connect_to, str):
            return None if parts.hostname in _LOOPBACK else urlsplit(self._connect_to)
        base = self._connect_to.get(parts.netloc)
        return urlsplit(base) if base else None


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK


class Signer:
    """Signs what the carrier sends, as "Secure webhooks" says, in the variants that it leaves open."""

    def __init__(self, auth_token: str, behaviour: Behaviour) -> None:
        self._validator = RequestValidator(auth_token)
        self._behaviour = behaviour

    def webhook(self, url: str, form: Mapping[str, str]) -> str:
        """Sign a request (``form`` is empty for GET): the URL without its fragment, and the form."""
        parts = urlsplit(url)._replace(fragment="")
        if self._behaviour.webhook_signature_port and parts.scheme == "https" and not parts.port:
            parts = parts._replace(netloc=f"{parts.netloc}:443")
        return str(self._validator.compute_signature(urlunsplit(parts), dict(form)))

    def upgrade(self, url: str, how: StreamSignature = "valid") -> str | None:
        """Sign the upgrade of a stream: the URL with the scheme wss and no parameters; None where it goes unsigned."""
        if how == "missing":
            return None
        parts = urlsplit(url)._replace(scheme="wss")
        if self._behaviour.stream_signature_slash and not parts.path.endswith("/"):
            parts = parts._replace(path=parts.path + "/")
        if self._behaviour.stream_signature_port and not parts.port:
            parts = parts._replace(netloc=f"{parts.netloc}:443")
        signature = str(self._validator.compute_signature(urlunsplit(parts), {}))
        return _tamper(signature) if how == "tampered" else signature


def _tamper(signature: str) -> str:
    return ("A" if signature[0] != "A" else "B") + signature[1:]
