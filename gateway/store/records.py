"""Writing the rows of calls, and removing them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from sqlalchemy import BindParameter, Insert, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store import tables
from gateway.store.filters import first_id
from gateway.store.projection import Row, Rows

_AT_ONCE = 500
"""Rows, or ids, of one statement."""
_WORDS = (tables.turns, tables.events, tables.tool_calls, tables.guardrail_trips, tables.notes, tables.transcripts)
"""Tables that hold what was said."""
_SOME: BindParameter[Sequence[str]] = bindparam("call_ids", expanding=True)
# What is asked of every batch is built once: a statement leaves garbage that is not collected while there are calls.
_ERASED = select(tables.tombstones.c.call_id).where(tables.tombstones.c.call_id.in_(_SOME))
_HEARD = select(*(tables.turns.c[name] for name in ("call_id", "began", "item_id", "heard"))).where(
    tables.turns.c.heard != "", tables.turns.c.call_id.in_(_SOME)
)


async def save(connection: AsyncConnection, rows: Rows) -> None:
    """Insert rows, or put them in place of those with the same keys; an erased call gets none any more.

    Of a transcript only the outcome is given; what was heard comes from the turns that are there by then.
    """
    ids = {row["id"] if table is tables.calls else row["call_id"] for table, some in rows.items() for row in some}
    erased = await _erased(connection, [*ids])
    for table in tables.PROJECTIONS:
        key = "id" if table is tables.calls else "call_id"
        if kept := [row for row in rows.get(table, ()) if row[key] not in erased]:
            whole = await _with_turns(connection, kept) if table is tables.transcripts else kept
            await _upsert(connection, table, whole)


async def replace_call(connection: AsyncConnection, call_id: str, rows: Rows) -> None:
    """Put these rows in place of everything that is known of a call."""
    await remove_rows(connection, [call_id])
    await save(connection, rows)


async def remove_rows(connection: AsyncConnection, call_ids: Sequence[str]) -> None:
    """Remove what was made from the logs of these calls."""
    for some in _parts(call_ids):
        for table in tables.PROJECTIONS:
            key = table.c.id if table is tables.calls else table.c.call_id
            await connection.execute(delete(table).where(key.in_(some)))


async def remove_words(connection: AsyncConnection, call_ids: Sequence[str]) -> None:
    """Remove what was said on these calls; that they took place, and how they ended, stays."""
    for some in _parts(call_ids):
        for table in _WORDS:
            await connection.execute(delete(table).where(table.c.call_id.in_(some)))
        await connection.execute(
            update(tables.calls).where(tables.calls.c.id.in_(some)).values(outcome=None, words_removed=True)
        )


async def remove_deliveries(connection: AsyncConnection, call_ids: Sequence[str]) -> None:
    """Remove what was, or was to be, told of these calls to others."""
    for some in _parts(call_ids):
        await connection.execute(delete(tables.hooks).where(tables.hooks.c.call_id.in_(some)))


async def closed_calls(connection: AsyncConnection) -> frozenset[str]:
    """Return the ids of all calls whose record is closed."""
    found = await connection.execute(select(tables.calls.c.id).where(tables.calls.c.ended.is_not(None)))
    return frozenset(found.scalars())


async def calls_without_outcome(connection: AsyncConnection, *, since: float) -> frozenset[str]:
    """Return the ids of calls that began since a moment, are over, and of which nobody knows what they came to."""
    calls = tables.calls
    over = calls.c.ended.is_not(None) & (calls.c.outcome_status == "") & (calls.c.id >= first_id(since))
    return frozenset((await connection.execute(select(calls.c.id).where(over))).scalars())


async def ended_of(connection: AsyncConnection, call_id: str) -> float | None:
    """Return when a call ended, in Unix seconds; None where it is live or not known."""
    found = await connection.execute(select(tables.calls.c.ended).where(tables.calls.c.id == call_id))
    return found.scalar()


def merge(into: Rows, rows: Rows) -> None:
    """Add rows to others; of two rows with the same key the later one counts."""
    for table, more in rows.items():
        into.setdefault(table, []).extend(more)


async def _erased(connection: AsyncConnection, call_ids: Sequence[str]) -> frozenset[str]:
    erased: set[str] = set()
    for some in _parts(call_ids):
        erased.update((await connection.execute(_ERASED, {"call_ids": some})).scalars())
    return frozenset(erased)


async def _with_turns(connection: AsyncConnection, transcripts: Sequence[Row]) -> Sequence[Row]:
    """Return transcripts with what was heard on their calls."""
    heard: dict[str, list[str]] = {row["call_id"]: [] for row in transcripts}
    for some in _parts([*heard]):
        for call_id, _, _, words in sorted(map(tuple, await connection.execute(_HEARD, {"call_ids": some}))):
            heard[call_id].append(words)
    return [{**row, "text": "\n".join(filter(None, (*heard[row["call_id"]], row["text"])))} for row in transcripts]


async def _upsert(connection: AsyncConnection, table: Table, rows: Iterable[Row]) -> None:
    keys = _keys(table)
    newest = {tuple(row[key] for key in keys): row for row in rows}
    await connection.execute(_insertion(table, connection.dialect.name), list(newest.values()))


@cache
def _insertion(table: Table, dialect: str) -> Insert:
    """The statement that puts rows into a table, in place of those with the same keys; making it costs 50 rows."""
    keys = _keys(table)
    made: postgresql.Insert | sqlite.Insert
    made = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    others = {column.name: made.excluded[column.name] for column in table.columns if column.name not in {*keys, "seq"}}
    return made.on_conflict_do_update(index_elements=keys, set_=others)


def _keys(table: Table) -> list[str]:
    return ["call_id"] if table is tables.transcripts else [column.name for column in table.primary_key]


def _parts(call_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(call_ids), _AT_ONCE):
        yield call_ids[start : start + _AT_ONCE]
