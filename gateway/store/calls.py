"""Reading the records: calls by what they are, by what was said on them, and what happened on one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store import tables
from gateway.store.filters import CallFilter, conditions, first_id
from gateway.store.search import search
from gateway.store.tables import calls

__all__ = [
    "CallFilter",
    "events_of",
    "find_calls",
    "first_id",
    "get_call",
    "ids_of",
    "summary",
    "tombstone_of",
    "turns_of",
]

Row: TypeAlias = dict[str, Any]

_PARTS = ("visits", "legs", "tool_calls", "handoffs", "guardrail_trips", "recordings", "usage")


async def find_calls(
    connection: AsyncConnection, wanted: CallFilter, *, limit: int, before: str = ""
) -> tuple[list[Row], str]:
    """Return calls, the newest first, and from where to go on: empty at the end.

    With words, calls come in the order in which they ended, with ``match``, a piece of what was said.
    """
    if wanted.words:
        return await search(connection, wanted, limit=limit, before=before)
    asked = select(calls).where(*conditions(wanted)).order_by(calls.c.id.desc()).limit(limit + 1)
    if before:
        asked = asked.where(calls.c.id < before)
    rows = [dict(row) for row in (await connection.execute(asked)).mappings()]
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else ""


async def get_call(connection: AsyncConnection, call_id: str) -> Row | None:
    """Return a call with its visits, legs, tools, handoffs, guardrail trips, recordings and usage."""
    row = (await connection.execute(select(calls).where(calls.c.id == call_id))).mappings().one_or_none()
    if row is None:
        return None
    found = dict(row)
    for name in _PARTS:
        found[name] = await _part(connection, name, call_id)
    return found


async def turns_of(connection: AsyncConnection, call_id: str) -> list[Row]:
    """Return who said what, in the order in which it was said."""
    turns = tables.turns
    asked = select(turns).where(turns.c.call_id == call_id).order_by(turns.c.began, turns.c.item_id)
    return [dict(row) for row in (await connection.execute(asked)).mappings()]


async def events_of(connection: AsyncConnection, call_id: str, *, after: int = 0, limit: int = 1000) -> list[Row]:
    """Return what happened, in order, behind the event with this number."""
    events = tables.events
    asked = select(events).where(events.c.call_id == call_id, events.c.number > after)
    return [dict(row) for row in (await connection.execute(asked.order_by(events.c.number).limit(limit))).mappings()]


async def tombstone_of(connection: AsyncConnection, call_id: str) -> Row | None:
    """Return what is left of an erased call."""
    stones = tables.tombstones
    row = (await connection.execute(select(stones).where(stones.c.call_id == call_id))).mappings().one_or_none()
    return None if row is None else dict(row)


async def ids_of(connection: AsyncConnection, given: str) -> Sequence[str]:
    """Return the id of the call that this means: an id or its beginning, or the carrier's id; two where several do."""
    asked = select(calls.c.id).where(calls.c.call_sid == given).order_by(calls.c.id.desc()).limit(1)
    if (by_sid := (await connection.execute(asked)).scalar()) is not None:
        return (str(by_sid),)
    if not re.fullmatch(r"[0-9a-f-]{4,36}", given):
        return ()
    asked = select(calls.c.id).where(calls.c.id >= given, calls.c.id <= given + "~").limit(2)
    return (await connection.execute(asked)).scalars().all()


async def summary(connection: AsyncConnection, *, since: float, until: float, line: str = "") -> Row:
    """Return figures over the calls that began in a span of time, live ones included."""
    where = [calls.c.id >= first_id(since), calls.c.id < first_id(until)]
    where += [calls.c.line == line] if line else []
    counts = await connection.execute(
        select(
            calls.c.line,
            calls.c.result,
            calls.c.reason,
            func.count().label("calls"),
            func.sum(calls.c.ended - calls.c.began).label("seconds"),
            func.sum(calls.c.barge_ins).label("barge_ins"),
            func.sum(calls.c.transfers).label("transfers"),
            func.sum(calls.c.cost).label("cost"),
        )
        .where(*where)
        .group_by(calls.c.line, calls.c.result, calls.c.reason)
        .order_by(calls.c.line, calls.c.result, calls.c.reason)
    )
    waits = select(calls.c.slowest_answer).where(*where, calls.c.slowest_answer.is_not(None))
    slowest = sorted((await connection.execute(waits)).scalars())
    return {
        "groups": [dict(row) for row in counts.mappings()],
        "slowest_answer_p50": _quantile(slowest, 0.5),
        "slowest_answer_p95": _quantile(slowest, 0.95),
    }


async def _part(connection: AsyncConnection, name: str, call_id: str) -> list[Row]:
    table = tables.metadata.tables[name]
    asked = select(table).where(table.c.call_id == call_id).order_by(*table.primary_key)
    rows = [dict(row) for row in (await connection.execute(asked)).mappings()]
    for row in rows:
        del row["call_id"]
    return rows


def _quantile(values: Sequence[float], part: float) -> float | None:
    return values[min(len(values) - 1, int(part * len(values)))] if values else None
