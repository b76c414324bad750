"""What the carrier would find at the public URL: the certificate, our clock, a signed request, the media socket."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx2
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from gateway.carriers.twilio.signature import SIGNATURE_HEADER
from gateway.carriers.twilio.twiml import STATUS_PATH, Links
from gateway.checkup.certificate import days_left
from gateway.checkup.finding import Finding, fault, left_out, ok, warning, words

CLOCK: Final = 5.0
"""Seconds that this clock may be off."""
SOON: Final = 14
"""Days before its end from which a certificate is worth a word."""
SECONDS: Final = 10.0
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
_SIGNATURE: Final = (
    "TWILIO_AUTH_TOKEN and GATEWAY_PUBLIC_URL must be the same here and in the running gateway; "
    "its log says what was wrong"
)


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The public URL as the carrier uses it."""

    links: Links
    token: str
    account_sid: str
    client: httpx2.AsyncClient

    async def check(self) -> AsyncIterator[Finding]:
        """Go through everything; what depends on something that is not there is left out."""
        url = self.links.public_url
        if not url:
            yield left_out("public URL", "GATEWAY_PUBLIC_URL is not set", "set it to the https URL that Twilio calls")
            return
        certificate = await self._certificate()
        yield certificate
        if certificate.state == "fault":
            return
        async for finding in self._reachable():
            yield finding

    async def _certificate(self) -> Finding:
        parts = urlsplit(self.links.public_url)
        if parts.scheme != "https":
            if parts.hostname in _LOOPBACK:
                return left_out("TLS", "the public URL is of this machine only", "Twilio needs an https URL")
            return fault("TLS", "the public URL is not https", "Twilio signs and streams over TLS only: write https://")
        try:
            with anyio.fail_after(SECONDS):
                days = await anyio.to_thread.run_sync(
                    days_left, parts.hostname or "", parts.port or 443, abandon_on_cancel=True
                )
        except TimeoutError:
            return fault("TLS", f"{parts.netloc} does not answer", "does the name lead here, and is the port open?")
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or words(error)
            remedy = "Twilio refuses it too (31910, 11205): mend the certificate"
            return fault("TLS", f"{parts.netloc}: {reason}", remedy)
        except OSError as error:
            return fault("TLS", f"{parts.netloc}: {words(error)}", "does the name lead here, and is the port open?")
        if days < SOON:
            return warning("TLS", f"the certificate ends in {days} days", "renew it")
        return ok("TLS", f"the certificate is good for {days} days")

    async def _reachable(self) -> AsyncIterator[Finding]:
        base = self.links.public_url.rstrip("/")
        try:
            response = await self.client.get(f"{base}/healthz", timeout=SECONDS)
        except httpx2.TransportError as error:
            remedy = "start the gateway (gateway serve), and see that the URL leads to its port"
            yield fault("public URL", f"{base} can't be reached: {words(error)}", remedy)
            return
        if finding := clock(response):
            yield finding
        if not response.is_success:
            yield fault(
                "public URL", f"{base}/healthz answers {response.status_code}", "the URL leads to something else"
            )
            return
        yield ok("public URL", f"{base} leads to a gateway")
        if not self.token:
            yield left_out("signed request", "there is no token to sign with", "set TWILIO_AUTH_TOKEN")
            return
        yield await self._signed_request()
        yield await self._handshake()

    async def _signed_request(self) -> Finding:
        """Send what changes nothing: the status of a call that nobody knows."""
        url = self.links.public_url.rstrip("/") + STATUS_PATH
        form = {"CallSid": "CA" + "0" * 32, "AccountSid": self.account_sid, "CallStatus": "completed"}
        signature = str(RequestValidator(self.token).compute_signature(url, form))
        try:
            signed = await self.client.post(url, data=form, headers={SIGNATURE_HEADER: signature}, timeout=SECONDS)
            unsigned = await self.client.post(url, data=form, timeout=SECONDS)
        except httpx2.TransportError as error:
            return fault("signed request", f"no answer: {words(error)}", "see what is in front of the gateway")
        if signed.status_code == httpx2.codes.FORBIDDEN:
            return fault("signed request", "was refused", _SIGNATURE)
        if not signed.is_success:
            remedy = "something in front of the gateway answers in its place, or changes the request"
            return fault("signed request", f"was answered with {signed.status_code}", remedy)
        if unsigned.status_code != httpx2.codes.FORBIDDEN:
            remedy = "what answers there is not this gateway, or something in front of it answers everybody"
            return fault("signed request", f"one without signature was answered with {unsigned.status_code}", remedy)
        return ok("signed request", "was taken, and one without signature was refused")

    async def _handshake(self) -> Finding:
        url = self.links.media
        signature = str(RequestValidator(self.token).compute_signature(url, {}))
        began = time.monotonic()
        try:
            async with connect(
                url,
                additional_headers={SIGNATURE_HEADER.lower(): signature},
                open_timeout=SECONDS,
                compression=None,
                proxy=None,
            ):
                took = (time.monotonic() - began) * 1000
        except InvalidStatus as error:
            status = error.response.status_code
            remedy = _SIGNATURE if status == httpx2.codes.FORBIDDEN else "the proxy in front must pass WebSockets on"
            return fault("media socket", f"{url} refused the upgrade with {status} (Twilio: 31920)", remedy)
        except (InvalidHandshake, OSError, TimeoutError) as error:
            remedy = "the proxy in front must pass WebSockets on, and GATEWAY_STREAM_URL must lead here"
            return fault("media socket", f"{url}: {words(error)} (Twilio: 31901 to 31920)", remedy)
        return ok("media socket", f"{url} was opened in {took:.0f} ms")


def clock(response: httpx2.Response) -> Finding | None:
    """Compare our clock with an answer's; None where it has none. Whole seconds are all that there is."""
    try:
        there = parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return None
    off = time.time() - there
    if abs(off) > CLOCK:
        remedy = "let it be set by NTP: tokens of streams expire by it"
        return fault("clock", f"is {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}", remedy)
    return ok("clock", "agrees with what others say")
