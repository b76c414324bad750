"""Requests of the carrier: signed, delivered, and written down with their answers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx2

from gateway.testing.twilio.behaviour import Behaviour
from gateway.testing.twilio.log import CallLog, Requested
from gateway.testing.twilio.network import Network, Signer
from gateway.testing.twilio.twiml import Document, DocumentError, parse

_XML = {"text/xml", "application/xml", "text/html"}
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 5


class WebhookError(Exception):
    """A webhook gave no usable answer; ``code`` is the carrier's error."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook as it is configured: ``kind`` is what it is for, in the log."""

    kind: str
    url: str
    method: str = "POST"


class Webhooks:
    """Delivers the webhooks of one call."""

    def __init__(
        self,
        *,
        client: httpx2.AsyncClient,
        network: Network,
        signer: Signer,
        behaviour: Behaviour,
        log: CallLog,
        now_ms: Callable[[], float],
    ) -> None:
        self._client = client
        self._network = network
        self._signer = signer
        self._behaviour = behaviour
        self._log = log
        self._now_ms = now_ms

    async def document(self, target: Target, parameters: Mapping[str, str], *, twice: bool = False) -> Document:
        """Ask for TwiML; ``twice`` delivers the request two times, and the second answer counts.

        Raises:
            WebhookError: 11200, 11205, 12300, 12100 or 11750.
        """
        token = str(uuid.uuid4())
        if twice:
            await self.deliver(target, parameters, token)
        answer = await self.deliver(target, parameters, token)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _XML:
            raise WebhookError(12300, f"invalid Content-Type {kind!r} from {target.url}")
        try:
            return parse(answer.text, _without_fragment(target.url))
        except DocumentError as error:
            raise WebhookError(error.code, f"{error}, from {target.url}") from error

    async def deliver(self, target: Target, parameters: Mapping[str, str], token: str | None = None) -> httpx2.Response:
        """Send one request, following redirects as GET.

        Raises:
            WebhookError: 11200, a status that is no success; 11205, no answer in time or no connection.
        """
        url, method = _without_fragment(target.url), target.method.upper()
        for _ in range(_MAX_REDIRECTS):
            response = await self.send(target.kind, method, url, parameters, token=token)
            if response.status_code not in _REDIRECTS:
                break
            # A redirect is followed by GET, and the fields of a POST are lost on the way.
            url, method = str(httpx2.URL(url).join(response.headers.get("location", ""))), "GET"
            parameters = {}
        if not response.is_success:
            raise WebhookError(11200, f"HTTP retrieval failure: status {response.status_code} from {url}")
        return response

    async def send(
        self,
        kind: str,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        *,
        token: str | None = None,
        signature: str | None = None,
    ) -> httpx2.Response:
        """Send one request and give its answer, whatever it is; ``signature`` replaces the right one.

        Raises:
            WebhookError: 11205, no answer in time or no connection.
        """
        if method == "GET" and parameters:
            url += ("&" if urlsplit(url).query else "?") + urlencode(parameters)
        form = dict(parameters) if method == "POST" else {}
        route = self._network.route(url)
        parts = urlsplit(route.url)
        headers = {
            "Host": route.header,
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "I-Twilio-Idempotency-Token": token or str(uuid.uuid4()),
            "X-Twilio-Signature": self._signer.webhook(url, form) if signature is None else signature,
        }
        host = f"[{route.host}]" if ":" in route.host else route.host
        address = urlunsplit((parts.scheme, f"{host}:{route.port}", parts.path or "/", parts.query, ""))
        began, at_ms = time.monotonic(), self._now_ms()
        status, body = 0, ""
        try:
            response = await self._client.request(
                method,
                address,
                headers=headers,
                data=form if method == "POST" else None,
                timeout=self._behaviour.webhook_timeout,
            )
            status, body = response.status_code, response.text
        except (httpx2.TransportError, TimeoutError) as error:
            raise WebhookError(11205, f"HTTP connection failure: {type(error).__name__} at {url}") from error
        finally:
            took_ms = (time.monotonic() - began) * 1000
            self._log.requests.append(
                Requested(kind, method, url, dict(parameters), headers, status, body, took_ms, at_ms)
            )
        return response


def _without_fragment(url: str) -> str:
    """The fragment holds connection overrides; it is neither sent nor signed."""
    return urlsplit(url)._replace(fragment="").geturl()
