"""The calls: what they were, what was said, and what happened."""

from __future__ import annotations

from datetime import datetime

from gateway.errors import StoreError
from gateway.store import calls as records
from gateway.store.calls import CallFilter
from gateway.store.database import Database
from gateway.store.retention import Shelf, erase
from gateway.web.api import models
from gateway.web.api.operation import NO_SUCH_CALL, Asked, Operation, Refused


class CallsApi:
    """Reads the records of calls, and erases them."""

    def __init__(self, shelf: Shelf) -> None:
        self._database = shelf.database
        self._shelf = shelf

    def operations(self) -> list[Operation]:
        one = "/calls/{call_id}"
        missing = (NO_SUCH_CALL,)
        return [
            Operation(
                "delete",
                one,
                "erase",
                "eraseCall",
                "Erase a call for good: its records, its log, its recording.",
                self._erase,
                models.Accepted,
                refusals=(
                    NO_SUCH_CALL,
                    (409, "The call is held, or lives."),
                    (503, "The call is erased, and yet still in a file of the database, which somebody reads."),
                ),
            ),
            Operation(
                "get",
                "/calls",
                "read",
                "listCalls",
                "Calls, the newest first; with `q`, those on which words were heard.",
                self._list,
                models.Calls,
                query=models.CallsQuery,
            ),
            Operation("get", one, "read", "getCall", "One call.", self._get, models.WholeCall, refusals=missing),
            Operation(
                "get",
                f"{one}/transcript",
                "read",
                "getTranscript",
                "Who said what, and what of it was heard.",
                self._transcript,
                models.Transcript,
                refusals=missing,
            ),
            Operation(
                "get",
                f"{one}/events",
                "read",
                "listEvents",
                "What happened on a call, in order.",
                self._events,
                models.Events,
                query=models.EventsQuery,
                refusals=missing,
            ),
        ]

    async def _list(self, asked: Asked) -> models.Calls:
        query: models.CallsQuery = asked.query
        wanted = CallFilter(
            line=query.line or "",
            caller=query.caller or "",
            called=query.called or "",
            call_sid=query.call_sid or "",
            result=query.result or "",
            reason=query.reason or "",
            status=query.status or "",
            live=query.live,
            since=seconds(query.since),
            until=seconds(query.until),
            words=query.q or "",
        )
        async with self._database.read() as connection:
            rows, more = await records.find_calls(connection, wanted, limit=query.limit, before=query.cursor or "")
        return models.Calls(calls=[models.FoundCall.model_validate(row) for row in rows], next=more or None)

    async def _get(self, asked: Asked) -> models.WholeCall:
        async with self._database.read() as connection:
            found = await records.get_call(connection, asked.path["call_id"])
        if found is None:
            raise await no_such_call(self._database, asked.path["call_id"])
        return models.WholeCall.model_validate(found)

    async def _erase(self, asked: Asked) -> models.Accepted:
        call_id = asked.path["call_id"]
        async with self._database.read() as connection:
            known = await records.get_call(connection, call_id)
        if known is None:
            raise await no_such_call(self._database, call_id)
        try:
            erased, _ = await erase(self._shelf, [call_id], by=asked.actor, why="asked by the API")
        except StoreError as error:
            async with self._database.read() as connection:
                if await records.get_call(connection, call_id) is not None:
                    raise  # the store of recordings is away, and nothing was erased
            raise Refused(503, "still-in-a-file", str(error)) from error
        if not erased:
            raise Refused(409, "held-or-live", "The call is held, or lives.")
        return models.Accepted()

    async def _transcript(self, asked: Asked) -> models.Transcript:
        call_id = asked.path["call_id"]
        async with self._database.read() as connection:
            if await records.get_call(connection, call_id) is None:
                raise await no_such_call(self._database, call_id)
            rows = await records.turns_of(connection, call_id)
        return models.Transcript(call_id=call_id, turns=[models.Turn.model_validate(row) for row in rows])

    async def _events(self, asked: Asked) -> models.Events:
        call_id, query = asked.path["call_id"], asked.query
        async with self._database.read() as connection:
            if await records.get_call(connection, call_id) is None:
                raise await no_such_call(self._database, call_id)
            rows = await records.events_of(connection, call_id, after=query.after, limit=query.limit)
        more = rows[-1]["number"] if len(rows) == query.limit else None
        return models.Events(events=[models.Event.model_validate(row) for row in rows], next=more)


async def no_such_call(database: Database, call_id: str) -> Refused:
    """Return the answer for a call that is not there: never was, or was erased."""
    async with database.read() as connection:
        erased = await records.tombstone_of(connection, call_id)
    if erased is not None:
        return Refused(404, "call-erased", "The call was erased.")
    return Refused(404, "no-such-call", "There is no such call.")


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
