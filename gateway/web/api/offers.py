"""Streams for calls that an application answers itself, with TwiML of its own."""

from __future__ import annotations

from gateway.call.incoming import IncomingCall
from gateway.call.plan import Connect
from gateway.carriers.twilio.arrival import clean_value
from gateway.carriers.twilio.twiml import Links, render
from gateway.exchange import Exchange
from gateway.store import audit
from gateway.store.database import Database
from gateway.web.api import models
from gateway.web.api.operation import Asked, Operation


class OffersApi:
    """Answers for a line as the voice webhook does, to a program that holds the call."""

    def __init__(self, database: Database, exchange: Exchange, links: Links) -> None:
        self._database = database
        self._exchange = exchange
        self._links = links

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "post",
                "/offers",
                "operate",
                "offerStream",
                "Offer a call to a line, and get what `<Connect><Stream>` needs for it; again, the same as long as no "
                "stream came.",
                self._offer,
                models.Offer,
                status=201,
                body=models.OfferedCall,
            )
        ]

    async def _offer(self, asked: Asked) -> models.Offer:
        body: models.OfferedCall = asked.body
        incoming = IncomingCall(
            call_sid=body.call_sid,
            account_sid=body.account_sid,
            caller=body.caller,
            called=body.called,
            line=body.line,
            vars={name: clean_value(value) for name, value in body.vars.items()},
            over_sip=body.caller.startswith(("sip:", "sips:")),
        )
        plan = self._exchange.offer(incoming)
        await self._exchange.on_record(body.call_sid)
        stream = next((verb for verb in plan if isinstance(verb, Connect)), None)
        live = next((call for call in self._exchange.calls if call.incoming.call_sid == body.call_sid), None)
        call_id = live.call_id if live is not None and stream is not None else None
        async with self._database.write() as connection:
            line = live.line.id if live is not None else body.line
            await audit.note(connection, asked.actor, "stream-offered", subject=call_id or body.call_sid, line=line)
        return models.Offer(
            call_id=call_id,
            token=stream.parameters["token"] if stream is not None else None,
            stream_url=self._links.media,
            action_url=self._links.stream_ended,
            twiml=render(plan, self._links),
        )
