"""What an account at Twilio says of itself and its numbers, and how its numbers are pointed at us."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import anyio
import httpx2
import msgspec

from gateway.carriers.twilio.alerts import Alert
from gateway.errors import CarrierError

SECONDS: Final = 20.0
"""For one request."""
PAGE: Final = 200
MOST_PAGES: Final = 50
"""Of alerts: Twilio gives out 10,000 at most."""
TRIES: Final = 3
"""For requests that change nothing, or that Twilio did not process (429)."""
_TOO_MANY: Final = 429
_GLOBAL: Final = 2
"""The dots in ``api.twilio.com``."""

VOICE_FIELDS: Final = (
    "VoiceUrl",
    "VoiceMethod",
    "VoiceFallbackUrl",
    "VoiceFallbackMethod",
    "StatusCallback",
    "StatusCallbackMethod",
)
"""The fields of a number that say what its calls do, by the names of requests."""


class Number(msgspec.Struct, frozen=True):
    """A phone number as Twilio has it configured (IncomingPhoneNumber); what is not set is empty."""

    sid: str
    phone_number: str
    friendly_name: str | None = None
    voice_url: str | None = None
    voice_method: str | None = None
    voice_fallback_url: str | None = None
    voice_fallback_method: str | None = None
    status_callback: str | None = None
    status_callback_method: str | None = None
    voice_application_sid: str | None = None
    trunk_sid: str | None = None

    def fields(self) -> dict[str, str]:
        """Return what its calls do, as a request would say it."""
        return {name: getattr(self, _attribute(name)) or "" for name in VOICE_FIELDS}


class Application(msgspec.Struct, frozen=True):
    """A TwiML App: webhooks that stand in for those of the numbers that name it."""

    sid: str
    friendly_name: str | None = None
    voice_url: str | None = None
    voice_method: str | None = None
    voice_fallback_url: str | None = None
    status_callback: str | None = None


class Owner(msgspec.Struct, frozen=True):
    """The account itself: ``type`` is ``Trial`` or ``Full``, ``status`` ``active``, ``suspended`` or ``closed``."""

    sid: str
    friendly_name: str = ""
    status: str = ""
    type: str = ""


class _Page(msgspec.Struct, frozen=True):
    incoming_phone_numbers: list[Number]
    next_page_uri: str | None = None


class _Meta(msgspec.Struct, frozen=True):
    next_page_url: str | None = None


class _Alerts(msgspec.Struct, frozen=True):
    alerts: list[Alert]
    meta: _Meta = _Meta()


class _Fault(msgspec.Struct, frozen=True):
    code: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """One account, over REST. ``client`` is shared, and its owner closes it."""

    sid: str
    token: str
    base_url: str
    client: httpx2.AsyncClient

    async def owner(self) -> Owner:
        """Return the account itself.

        Raises:
            CarrierError: Twilio refused, or could not be reached; so for all requests.
        """
        return msgspec.json.decode(await self._get(f"/2010-04-01/Accounts/{_part(self.sid)}.json"), type=Owner)

    async def numbers(self) -> AsyncIterator[Number]:
        """Go through all phone numbers."""
        path: str | None = f"{self._base}/IncomingPhoneNumbers.json?PageSize={PAGE}"
        while path:
            page = msgspec.json.decode(await self._get(path), type=_Page)
            for number in page.incoming_phone_numbers:
                yield number
            path = page.next_page_uri

    async def application(self, sid: str) -> Application:
        """Return a TwiML App."""
        return msgspec.json.decode(await self._get(f"{self._base}/Applications/{_part(sid)}.json"), type=Application)

    async def change(self, number_sid: str, fields: Mapping[str, str]) -> Number:
        """Change what a number's calls do, and return the number as it is then."""
        path = f"{self._base}/IncomingPhoneNumbers/{_part(number_sid)}.json"
        return msgspec.json.decode(await self._send("POST", path, dict(fields)), type=Number)

    async def region(self, phone_number: str) -> str:
        """Return the region that processes a number's calls, such as ``us1``; empty where Twilio does not say."""
        base = urlsplit(self.base_url)
        if base.netloc.startswith("api.") and base.netloc.count(".") > _GLOBAL:
            return ""  # an account of a region, which its table row names
        routes = base._replace(netloc=re.sub(r"^api\.", "routes.", base.netloc)).geturl()
        path = f"/v2/PhoneNumbers/{_part(phone_number)}"
        try:
            answer = msgspec.json.decode(await self._send("GET", path, base=routes), type=dict[str, Any])
        except CarrierError as error:
            if error.status == httpx2.codes.NOT_FOUND:
                return ""
            raise
        return str(answer.get("voice_region") or "")

    async def alerts(self, call_sid: str) -> set[str]:
        """Return the codes of the errors and warnings that the account's debugger has of a call, among the newest."""
        page = await self._alerts(f"/v1/Alerts?PageSize={PAGE}")
        return {alert.error_code for alert in page.alerts if alert.resource_sid == call_sid}

    async def alerts_of(self, call_sid: str) -> list[Alert]:
        """Return the errors and warnings of a call, the oldest first; Twilio keeps them for 30 days."""
        found: list[Alert] = []
        path: str | None = f"/v1/Alerts?PageSize={PAGE}"
        for _ in range(MOST_PAGES):
            if path is None:
                break
            page = await self._alerts(path)
            found += [alert for alert in page.alerts if alert.resource_sid == call_sid]
            path = page.meta.next_page_url and re.sub(r"^https?://[^/]+", "", page.meta.next_page_url)
        return found[::-1]

    async def _alerts(self, path: str) -> _Alerts:
        monitor = re.sub(r"//api\.", "//monitor.", self.base_url, count=1)
        return msgspec.json.decode(await self._send("GET", path, base=monitor), type=_Alerts)

    @property
    def _base(self) -> str:
        return f"/2010-04-01/Accounts/{_part(self.sid)}"

    async def _get(self, path: str) -> bytes:
        return await self._send("GET", path)

    async def _send(self, method: str, path: str, fields: dict[str, str] | None = None, base: str = "") -> bytes:
        url = urljoin((base or self.base_url).rstrip("/") + "/", path.lstrip("/"))
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                with anyio.fail_after(SECONDS):
                    response = await self.client.request(
                        method, url, data=fields, auth=(self.sid, self.token), timeout=SECONDS
                    )
            except (httpx2.TransportError, TimeoutError) as error:
                if last or method == "POST":
                    raise CarrierError(f"Twilio could not be reached: {str(error) or type(error).__name__}") from error
                continue
            if response.is_success:
                return response.content
            again = response.status_code == _TOO_MANY or (method == "GET" and response.is_server_error)
            if last or not again:
                raise _refusal(response)
            await anyio.sleep(1.0)
        raise AssertionError  # the last try returned or raised


def _refusal(response: httpx2.Response) -> CarrierError:
    try:
        fault = msgspec.json.decode(response.content, type=_Fault)
    except (msgspec.DecodeError, UnicodeError):
        fault = _Fault()
    code = fault.code or (20003 if response.status_code == httpx2.codes.UNAUTHORIZED else None)
    text = fault.message[:200] or "no reason given"
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        text += "; are TWILIO_ACCOUNT_SID and the first of TWILIO_AUTH_TOKEN (or the account's in _numbers.yaml) right?"
    return CarrierError(
        f"Twilio refused ({response.status_code}, code {code}): {text}", status=response.status_code, code=code
    )


def _part(text: str) -> str:
    return quote(text, safe="")


def _attribute(field: str) -> str:
    """``VoiceFallbackUrl`` as answers spell it: ``voice_fallback_url``."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field).removeprefix("_")
