"""Reading the records: calls by what they are, by what was said on them, and what happened on one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal_column, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store import tables
from gateway.store.tables import calls, transcripts

Row: TypeAlias = dict[str, Any]

_PARTS = ("visits", "legs", "tool_calls", "handoffs", "guardrail_trips", "recordings", "usage")
_PHRASE = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"\w")
_SQLITE_ROW: ColumnElement[int] = literal_column("transcripts_words.rowid")
_TSVECTOR: ColumnElement[Any] = literal_column("transcripts.words")


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are wanted; what is empty or None does not matter. Moments are Unix seconds."""

    line: str = ""
    caller: str = ""
    called: str = ""
    result: str = ""
    reason: str = ""
    call_sid: str = ""
    live: bool | None = None
    since: float | None = None
    until: float | None = None
    words: str = ""
    """Words and ``"phrases"``, all of which were heard on the call or stand in its outcome."""


async def find_calls(
    connection: AsyncConnection, wanted: CallFilter, *, limit: int, before: str = ""
) -> tuple[list[Row], str]:
    """Return calls, the newest first, and from where to go on: empty at the end.

    With words, calls come in the order in which they ended, with ``match``, a piece of what was said.
    """
    if wanted.words:
        return await _search(connection, wanted, limit=limit, before=before)
    asked = select(calls).where(*_conditions(wanted)).order_by(calls.c.id.desc()).limit(limit + 1)
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


async def complete_id(connection: AsyncConnection, given: str) -> str | None:
    """Return the id of the call that this means: an id or its only beginning, or the carrier's id."""
    asked = select(calls.c.id).where(calls.c.call_sid == given).order_by(calls.c.id.desc()).limit(1)
    if (by_sid := (await connection.execute(asked)).scalar()) is not None:
        return str(by_sid)
    if not re.fullmatch(r"[0-9a-f-]{8,36}", given):
        return None
    asked = select(calls.c.id).where(calls.c.id >= given, calls.c.id <= given + "~").limit(2)
    found = (await connection.execute(asked)).scalars().all()
    return str(found[0]) if len(found) == 1 else None


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


def first_id(moment: float) -> str:
    """Return the least id of a call that began at a moment (ids are UUIDs of version 7)."""
    digits = f"{max(0, min(int(moment * 1000), (1 << 48) - 1)):012x}"
    return f"{digits[:8]}-{digits[8:]}"


# ---- Conditions and words -------------------------------------------------------------------------------------------


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    exact = ("line", "caller", "called", "result", "reason", "call_sid")
    found: list[ColumnElement[bool]] = [
        calls.c[name] == getattr(wanted, name) for name in exact if getattr(wanted, name)
    ]
    if wanted.live is not None:
        found.append(calls.c.ended.is_(None) if wanted.live else calls.c.ended.is_not(None))
    if wanted.since is not None:
        found.append(calls.c.id >= first_id(wanted.since))
    if wanted.until is not None:
        found.append(calls.c.id < first_id(wanted.until))
    return found


def phrases(words: str) -> list[str]:
    """Split what somebody looks for into words and quoted phrases; what holds no letter or digit is left out."""
    found = (match[1] or match[2] or "" for match in _PHRASE.finditer(words))
    return [phrase.replace('"', " ").strip() for phrase in found if _WORD.search(phrase)]


async def _search(connection: AsyncConnection, wanted: CallFilter, *, limit: int, before: str) -> tuple[list[Row], str]:
    sought = phrases(wanted.words)
    if not sought:
        return [], ""
    sqlite = connection.dialect.name == "sqlite"
    asked = (_sqlite_search if sqlite else _postgresql_search)(sought, wanted)
    if before:
        seq = select(transcripts.c.seq).where(transcripts.c.call_id == before).scalar_subquery()
        asked = asked.where((_SQLITE_ROW if sqlite else transcripts.c.seq) < seq)
    rows = [dict(row) for row in (await connection.execute(asked.limit(limit + 1))).mappings()]
    page, more = rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else ""
    excerpts = await _excerpts(connection, sought, [row.pop("seq") for row in page])
    for row, excerpt in zip(page, excerpts, strict=True):
        row["match"] = excerpt
    return page, more


def _sqlite_match(sought: Sequence[str]) -> str:
    return " ".join(f'"{phrase}"' for phrase in sought)


def _sqlite_search(sought: Sequence[str], wanted: CallFilter) -> Select[Any]:
    found = text("transcripts_words MATCH :sought").bindparams(sought=_sqlite_match(sought))
    return (
        select(calls, transcripts.c.seq)
        .select_from(
            tables.words_of_sqlite.join(transcripts, transcripts.c.seq == _SQLITE_ROW).join(
                calls, calls.c.id == transcripts.c.call_id
            )
        )
        .where(found, *_conditions(wanted))
        .order_by(_SQLITE_ROW.desc())
    )


def _postgresql_search(sought: Sequence[str], wanted: CallFilter) -> Select[Any]:
    matches = and_(true(), *(_TSVECTOR.op("@@")(func.phraseto_tsquery("simple", phrase)) for phrase in sought))
    return (
        select(calls, transcripts.c.seq)
        .join(transcripts, transcripts.c.call_id == calls.c.id)
        .where(matches, *_conditions(wanted))
        .order_by(transcripts.c.seq.desc())
    )


async def _excerpts(connection: AsyncConnection, sought: Sequence[str], seqs: Sequence[int]) -> list[str]:
    if not seqs:
        return []
    if connection.dialect.name == "sqlite":
        asked = text(
            "SELECT rowid AS seq, snippet(transcripts_words, 0, '', '', '…', 16) AS part FROM transcripts_words"
            " WHERE transcripts_words MATCH :sought AND rowid IN :places"
        ).bindparams(bindparam("places", expanding=True, value=[*seqs]), sought=_sqlite_match(sought))
        rows = (await connection.execute(asked)).mappings()
    else:
        query = func.phraseto_tsquery("simple", sought[0])
        options = "StartSel='', StopSel='', MaxWords=16, MinWords=8"
        part = func.ts_headline("simple", transcripts.c.text, query, options).label("part")
        rows = (await connection.execute(select(transcripts.c.seq, part).where(transcripts.c.seq.in_(seqs)))).mappings()
    parts = {row["seq"]: str(row["part"]).replace("\n", " ") for row in rows}
    return [parts.get(seq, "") for seq in seqs]


async def _part(connection: AsyncConnection, name: str, call_id: str) -> list[Row]:
    table = tables.metadata.tables[name]
    asked = select(table).where(table.c.call_id == call_id).order_by(*table.primary_key)
    rows = [dict(row) for row in (await connection.execute(asked)).mappings()]
    for row in rows:
        del row["call_id"]
    return rows


def _quantile(values: Sequence[float], part: float) -> float | None:
    return values[min(len(values) - 1, int(part * len(values)))] if values else None
