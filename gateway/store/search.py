"""Full-text search over what was heard: SQLite's FTS5, or PostgreSQL's tsvector.

Calls come in the order in which they ended, which is that of their transcripts' numbers, so that a search for a word
of every call ends after one page. That is slow where few calls have the words, or pass the filter, and the few are far
apart; so the fewer of the two are looked up first, and then only these are looked through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal_column, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store import tables
from gateway.store.filters import CallFilter, conditions
from gateway.store.tables import calls, transcripts

Row: TypeAlias = dict[str, Any]

FEW = 1000
"""Transcripts with the words that are looked through one by one; of more, enough stand close together."""
FEW_PASSING = 500
"""The same of transcripts whose calls pass the filter: for each of them the words are looked up anew."""
_PHRASE = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"\w")
_SQLITE_ROW: ColumnElement[int] = literal_column("transcripts_words.rowid")
_TSVECTOR: ColumnElement[Any] = literal_column("transcripts.words")


async def search(connection: AsyncConnection, wanted: CallFilter, *, limit: int, before: str) -> tuple[list[Row], str]:
    """Return calls on which words were heard, with ``match``, and from where to go on: empty at the end."""
    sought = phrases(wanted.words)
    if not sought:
        return [], ""
    asked, number = await _narrowed(connection, sought, wanted)
    if before:
        asked = asked.where(number < select(transcripts.c.seq).where(transcripts.c.call_id == before).scalar_subquery())
    rows = [dict(row) for row in (await connection.execute(asked.limit(limit + 1))).mappings()]
    page, more = rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else ""
    excerpts = await _excerpts(connection, sought, [row.pop("seq") for row in page])
    for row, excerpt in zip(page, excerpts, strict=True):
        row["match"] = excerpt
    return page, more


def phrases(words: str) -> list[str]:
    """Split what somebody looks for into words and quoted phrases; what holds no letter or digit is left out."""
    found = (match[1] or match[2] or "" for match in _PHRASE.finditer(words))
    return [phrase.replace('"', " ").strip() for phrase in found if _WORD.search(phrase)]


async def _narrowed(
    connection: AsyncConnection, sought: Sequence[str], wanted: CallFilter
) -> tuple[Select[Any], ColumnElement[int]]:
    """Return the question, put to as few transcripts as can be known beforehand, and what numbers these there."""
    number, filtered = _number(connection), conditions(wanted)
    found = await _few(
        connection, select(number.label("seq")).select_from(_index(connection)).where(_has(connection, sought))
    )
    if found is not None:
        few = select(calls, transcripts.c.seq).join(transcripts, transcripts.c.call_id == calls.c.id)
        few = few.where(transcripts.c.seq.in_(found), *filtered).order_by(transcripts.c.seq.desc())
        return few, transcripts.c.seq
    passing = select(transcripts.c.seq).join(calls, calls.c.id == transcripts.c.call_id).where(*filtered)
    asked = _through(connection, sought, wanted)
    if wanted.since is not None or wanted.until is not None:
        spanned = passing.with_only_columns(func.min(transcripts.c.seq), func.max(transcripts.c.seq))
        first, last = (await connection.execute(spanned)).one()
        return asked.where(number.between(first, last)), number
    if filtered and (found := await _few(connection, passing, FEW_PASSING)) is not None:
        asked = asked.where(number.in_(found))
    return asked, number


async def _few(connection: AsyncConnection, asked: Select[Any], few: int = FEW) -> list[int] | None:
    """Return the numbers of transcripts, where these are few; None where they are many."""
    found = (await connection.execute(asked.limit(few + 1))).scalars().all()
    return [*found] if len(found) <= few else None


def _number(connection: AsyncConnection) -> ColumnElement[int]:
    return _SQLITE_ROW if connection.dialect.name == "sqlite" else transcripts.c.seq


def _index(connection: AsyncConnection) -> Any:
    return tables.words_of_sqlite if connection.dialect.name == "sqlite" else transcripts


def _has(connection: AsyncConnection, sought: Sequence[str]) -> ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        match: Any = text("transcripts_words MATCH :sought").bindparams(sought=_sqlite_match(sought))
        return match  # type: ignore[no-any-return]
    return and_(true(), *(_TSVECTOR.op("@@")(func.phraseto_tsquery("simple", phrase)) for phrase in sought))


def _through(connection: AsyncConnection, sought: Sequence[str], wanted: CallFilter) -> Select[Any]:
    number, asked = _number(connection), select(calls, transcripts.c.seq)
    if connection.dialect.name == "sqlite":
        joined = tables.words_of_sqlite.join(transcripts, transcripts.c.seq == number)
        asked = asked.select_from(joined.join(calls, calls.c.id == transcripts.c.call_id))
    else:
        asked = asked.join(transcripts, transcripts.c.call_id == calls.c.id)
    return asked.where(_has(connection, sought), *conditions(wanted)).order_by(number.desc())


def _sqlite_match(sought: Sequence[str]) -> str:
    return " ".join(f'"{phrase}"' for phrase in sought)


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
