"""The two requests to Twilio's REST API that a live call needs: end it, and make it follow other TwiML.

Both say what the call should be, so to say them twice does no harm, and they may be repeated after any failure.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import anyio
import httpx2
import msgspec
import structlog

from gateway.errors import CarrierError

log = structlog.get_logger()

MAX_TWIML: Final = 4000
"""Characters of TwiML that Twilio takes in a request (error 32018)."""
RETRIES: Final = 3
SECONDS: Final = 5.0
"""For one request, and for all repetitions of it together."""
BUSY_SECONDS: Final = 15.0
"""For all repetitions where Twilio says that it has too many requests, and when to come again."""
FIRST_PAUSE: Final = 0.2

_NOT_IN_PROGRESS: Final = 21220
_TOO_MANY: Final = 429
_REMEDIES: Final = {
    20003: "it does not know these credentials, or they may not do this: check TWILIO_ACCOUNT_SID and the first "
    "TWILIO_AUTH_TOKEN",
    20005: "the account is not active: see Twilio's console",
    20008: "these are test credentials: calls need live ones",
    20429: "too many requests at once, and it stayed so",
    12100: "it can't read the TwiML",
    32018: "the TwiML is too long",
}


class _Fault(msgspec.Struct):
    """Twilio's description of an error."""

    code: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Again:
    """A failure that may pass."""

    error: CarrierError
    pause: float
    budget: float = SECONDS


class TwilioRest:
    """Ends and redirects calls. ``client`` is shared, and its owner closes it."""

    def __init__(self, account_sid: str, token: str, base_url: str, client: httpx2.AsyncClient) -> None:
        self._calls = f"{base_url.rstrip('/')}/2010-04-01/Accounts/{quote(account_sid, safe='')}/Calls/"
        self._auth = (account_sid, token)
        self._client = client

    async def end_call(self, call_sid: str) -> bool:
        """End a call; False if it was over already.

        Raises:
            CarrierError: Twilio refused, or could not be reached within some seconds.
        """
        return await self._update(call_sid, {"Status": "completed"})

    async def redirect(self, call_sid: str, twiml: str) -> bool:
        """Make a call in progress follow this TwiML at once; its stream gets ``stop``. False if the call is over.

        Raises:
            CarrierError: Twilio refused, or could not be reached within some seconds.
        """
        if len(twiml) > MAX_TWIML:
            raise CarrierError(f"a redirect takes {MAX_TWIML} characters of TwiML, not {len(twiml)}", code=32018)
        return await self._update(call_sid, {"Twiml": twiml})

    async def _update(self, call_sid: str, fields: dict[str, str]) -> bool:
        began = anyio.current_time()
        attempt = 0
        while True:
            outcome = await self._attempt(call_sid, fields, began + SECONDS, attempt)
            if not isinstance(outcome, _Again):
                return outcome
            attempt += 1
            if attempt > RETRIES or anyio.current_time() + outcome.pause - began > outcome.budget:
                raise outcome.error
            log.info("twilio-again", call_sid=call_sid, attempt=attempt, why=str(outcome.error))
            await anyio.sleep(outcome.pause)

    async def _attempt(self, call_sid: str, fields: dict[str, str], deadline: float, attempt: int) -> bool | _Again:
        pause = FIRST_PAUSE * 2**attempt * (1 + random.random() / 4)  # noqa: S311  # spreads repetitions, no secret
        # A pause that Twilio asked for may have used up the time of the first tries; the next one still gets a second.
        seconds = min(SECONDS, max(1.0, deadline - anyio.current_time()))
        url = f"{self._calls}{quote(call_sid, safe='')}.json"
        try:
            with anyio.fail_after(seconds):
                response = await self._client.post(url, data=fields, auth=self._auth, timeout=SECONDS)
        except (httpx2.TransportError, TimeoutError) as error:
            return _Again(CarrierError(f"Twilio could not be reached: {type(error).__name__}"), pause)
        if response.is_success:
            return True
        return _judge(response, call_sid, pause)


def _judge(response: httpx2.Response, call_sid: str, pause: float) -> bool | _Again:
    """What an answer that is no success means."""
    status, fault = response.status_code, _fault(response)
    if status == httpx2.codes.NOT_FOUND or fault.code == _NOT_IN_PROGRESS:
        # The caller hung up while we asked: a normal race.
        log.debug("call-already-over", call_sid=call_sid, status=status, code=fault.code)
        return False
    code = fault.code or (20003 if status == httpx2.codes.UNAUTHORIZED else None)
    text = _REMEDIES.get(code or 0) or fault.message[:200] or "no reason given"
    error = CarrierError(f"Twilio refused ({status}, code {code}): {text}", status=status, code=code)
    if status == _TOO_MANY:
        # Twilio on 20429: such a request "is never processed and is always safe to retry".
        return _Again(error, _retry_after(response, pause), BUSY_SECONDS)
    if status >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return _Again(error, pause)
    raise error


def _fault(response: httpx2.Response) -> _Fault:
    try:
        return msgspec.json.decode(response.content, type=_Fault)
    except (msgspec.DecodeError, UnicodeError):
        return _Fault()  # a proxy's page, not Twilio's answer


def _retry_after(response: httpx2.Response, pause: float) -> float:
    said = response.headers.get("Retry-After", "")
    return max(float(said), 0.0) if said.isascii() and said.isdigit() else pause
