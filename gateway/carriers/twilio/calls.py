"""Twilio's calls, in the gateway's terms."""

from __future__ import annotations

from gateway.call.plan import Plan
from gateway.carriers.twilio.rest import TwilioRest
from gateway.carriers.twilio.twiml import Links, render


class TwilioCalls:
    """Ends calls, and has them follow another plan."""

    def __init__(self, rest: TwilioRest, links: Links) -> None:
        self._rest = rest
        self._links = links

    async def end(self, call_sid: str) -> None:
        """End a call; one that is over already is fine.

        Raises:
            CarrierError: Twilio refused, or could not be reached.
        """
        await self._rest.end_call(call_sid)

    async def redirect(self, call_sid: str, plan: Plan) -> None:
        """Have a live call follow a plan; one that is over already is fine.

        Raises:
            CarrierError: Twilio refused, or could not be reached.
        """
        await self._rest.redirect(call_sid, render(plan, self._links))
