"""How long calls are kept: what a line says, what somebody erases, what a hold keeps."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import structlog
from sqlalchemy import ColumnElement, and_, delete, insert, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.config.directory import Directory
from gateway.config.units import in_seconds
from gateway.errors import StoreError
from gateway.store import audit
from gateway.store.database import Database
from gateway.store.log_lines import path_of
from gateway.store.recording.shelf import Recordings
from gateway.store.records import remove_deliveries, remove_rows, remove_words
from gateway.store.tables import calls, holds, recordings, tombstones


@dataclass(frozen=True, slots=True)
class Keep:
    """How long a line keeps what was said, and recordings, in seconds after the end of a call; None: without limit."""

    transcript: float | None = None
    recording: float | None = None


log = structlog.get_logger()


def keep_of(directory: Directory) -> dict[str, Keep]:
    """Return what the lines of a snapshot keep, by line."""
    return {
        line.id: Keep(in_seconds(line.keep_transcript), in_seconds(line.recording.keep))
        for line in directory.lines.values()
    }


@dataclass(frozen=True, slots=True)
class Purged:
    """How many calls lost what was said on them, their recording, or everything."""

    transcripts: int = 0
    recordings: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Shelf:
    """Everywhere that something of a call may be."""

    database: Database
    logs: Path
    recordings: Recordings

    async def remove_log(self, call_id: str) -> None:
        await anyio.to_thread.run_sync(lambda: path_of(self.logs, call_id).unlink(missing_ok=True))

    async def remove_recording(self, call_id: str) -> bool:
        """Remove a recording from wherever it is; false where there is none.

        Raises:
            StoreError: the store that it may be in can't be reached.
        """
        return await anyio.to_thread.run_sync(self.recordings.delete, call_id)

    def has_any(self, call_id: str) -> bool:
        """Say whether a file of a call is on this machine."""
        return path_of(self.logs, call_id).exists() or self.recordings.is_here(call_id)


@dataclass(frozen=True, slots=True)
class Retention:
    """Removes what is kept no longer.

    ``keep`` is what lines say now: a line that says less than it did when a call was made is believed at once, one that
    says more is not, since callers were promised the shorter time.
    """

    shelf: Shelf
    keep: Mapping[str, Keep] = field(default_factory=dict)

    async def run(self, *, by: str, thoroughly: bool = True) -> Purged:
        """Remove what lines keep no longer; what is held stays.

        Args:
            by: who asks, for the audit.
            thoroughly: see :meth:`Database.scrub`.

        Raises:
            StoreError: what was removed, now or before, is still in a file of the database; or the store of recordings
                can't be reached.
        """
        now = time.time()
        async with self.shelf.database.read() as connection:
            words = await self._due(connection, _words_due(now, self.keep))
            heard = await self._due(connection, _recordings_due(now, self.keep))
        for call_id in words:
            await self.shelf.remove_log(call_id)
        heard, away = await self._remove_recordings(heard)
        if words or heard:
            async with self.shelf.database.write() as connection:
                await remove_words(connection, [*words])
                await connection.execute(delete(recordings).where(recordings.c.call_id.in_([*heard])))
                for line in sorted({*words.values(), *heard.values()}):
                    counts = {
                        "transcripts": sum(of == line for of in words.values()),
                        "recordings": sum(of == line for of in heard.values()),
                    }
                    await audit.note(connection, by, "retention-ran", line=line, detail=counts)
            await self.shelf.database.scrub(thoroughly=thoroughly)
        else:
            await self.shelf.database.checkpoint()  # where an erasure could not
        away = await self._finish_erasures() or away
        if away is not None:
            raise away
        return Purged(len(words), len(heard))

    async def _remove_recordings(self, due: Mapping[str, str]) -> tuple[dict[str, str], StoreError | None]:
        """Remove recordings; return those that are gone, and why the others are not: what was said must go anyway."""
        gone: dict[str, str] = {}
        for call_id, line in due.items():
            try:
                await self.shelf.remove_recording(call_id)
            except StoreError as error:
                return gone, error
            gone[call_id] = line
        return gone, None

    async def _finish_erasures(self) -> StoreError | None:
        """Remove files of calls that were erased where these files are not, by another node; return why not all."""
        async with self.shelf.database.read() as connection:
            erased = (await connection.execute(select(tombstones.c.call_id))).scalars().all()
        left = await anyio.to_thread.run_sync(lambda: [each for each in erased if self.shelf.has_any(each)])
        for call_id in left:
            await self.shelf.remove_log(call_id)
        _, away = await self._remove_recordings(dict.fromkeys(left, ""))
        return away

    async def older_than(self, seconds: float, *, by: str) -> Purged:
        """Remove whole calls that ended so long ago; what is held stays.

        Raises:
            StoreError: what was removed is still in a file of the database.
        """
        over = calls.c.ended.is_not(None) & (calls.c.ended < time.time() - seconds)
        async with self.shelf.database.read() as connection:
            due = await self._due(connection, over)
        await _remove_whole(self.shelf, due)
        async with self.shelf.database.write() as connection:
            for line in sorted({*due.values()}):
                counts = {"calls": sum(of == line for of in due.values()), "older_than": seconds}
                await audit.note(connection, by, "retention-ran", line=line, detail=counts)
        await self.shelf.database.scrub()
        return Purged(calls=len(due))

    @staticmethod
    async def _due(connection: AsyncConnection, condition: ColumnElement[bool]) -> dict[str, str]:
        asked = (
            select(calls.c.id, calls.c.line)
            .where(condition, ~_is_held())
            .outerjoin_from(calls, recordings, recordings.c.call_id == calls.c.id)
        )
        return {row.id: row.line for row in await connection.execute(asked)}


async def every_hour(retention: Callable[[], Retention]) -> None:
    """Remove what is kept no longer, now and each hour, until cancelled; thoroughly once a day."""
    for hour in itertools.count():
        try:
            await retention().run(by="gateway", thoroughly=hour % 24 == 0)
        except StoreError as error:
            log.error("retention-failed", error=str(error))  # noqa: TRY400 - tried again
        except (SQLAlchemyError, OSError) as error:
            log.error("retention-failed", error=type(error).__name__)  # noqa: TRY400 - tried again
        await anyio.sleep(3600)


async def erase(shelf: Shelf, call_ids: Iterable[str], *, by: str, why: str) -> tuple[list[str], list[str]]:
    """Erase calls for good: a tombstone stays, with the call's id, line and moment, and nothing else.

    Returns:
        The ids of those that were erased, and of those that were not: held, or still live.

    Raises:
        StoreError: they are erased, and still in a file of the database; or the store of recordings can't be reached,
            and those whose recordings it may have are not erased.
    """
    wanted = [*dict.fromkeys(call_ids)]
    free = calls.c.ended.is_not(None) & ~_is_held()
    async with shelf.database.read() as connection:
        asked = select(calls.c.id, calls.c.line, calls.c.began).where(calls.c.id.in_(wanted), free)
        found = {row.id: row for row in await connection.execute(asked)}
    for call_id in found:
        await shelf.remove_recording(call_id)
        await shelf.remove_log(call_id)
    async with shelf.database.write() as connection:
        for call_id, row in found.items():
            stone = {"call_id": call_id, "line": row.line, "began": row.began, "erased": time.time(), "why": why}
            await connection.execute(insert(tombstones).values(**stone))
            await audit.note(connection, by, "call-erased", subject=call_id, line=row.line, detail={"why": why})
        await remove_rows(connection, [*found])
        await remove_deliveries(connection, [*found])
    if found:
        await shelf.database.scrub()
    return [*found], [call_id for call_id in wanted if call_id not in found]


async def hold(database: Database, subject: str, *, by: str, why: str) -> None:
    """Keep a call, or all calls of a number, until released, whatever lines and people say.

    Raises:
        StoreError: it is held already.
    """
    async with database.write() as connection:
        if (await connection.execute(select(holds).where(holds.c.subject == subject))).first() is not None:
            raise StoreError("it is held already")
        await connection.execute(insert(holds).values(subject=subject, placed=time.time(), by=by, why=why))
        await audit.note(connection, by, "hold-placed", subject=_named(subject), detail={"why": why})


async def release(database: Database, subject: str, *, by: str) -> bool:
    """Let retention go on; false where nothing was held."""
    async with database.write() as connection:
        done = await connection.execute(delete(holds).where(holds.c.subject == subject))
        if done.rowcount:
            await audit.note(connection, by, "hold-released", subject=_named(subject))
    return bool(done.rowcount)


async def held(database: Database) -> Sequence[dict[str, Any]]:
    async with database.read() as connection:
        rows = await connection.execute(select(holds).order_by(holds.c.placed))
        return [dict(row) for row in rows.mappings()]


async def _remove_whole(shelf: Shelf, call_ids: Iterable[str]) -> None:
    ids = [*call_ids]
    for call_id in ids:
        await shelf.remove_recording(call_id)
        await shelf.remove_log(call_id)
    async with shelf.database.write() as connection:
        await remove_rows(connection, ids)
        await remove_deliveries(connection, ids)


def _is_held() -> ColumnElement[bool]:
    subjects = select(holds.c.subject)
    return or_(calls.c.id.in_(subjects), calls.c.caller.in_(subjects), calls.c.called.in_(subjects))


def _words_due(now: float, keep: Mapping[str, Keep]) -> ColumnElement[bool]:
    shorter = (_ended(line, now, kept.transcript) for line, kept in keep.items() if kept.transcript is not None)
    return calls.c.ended.is_not(None) & ~calls.c.words_removed & or_(calls.c.keep_until <= now, *shorter)


def _recordings_due(now: float, keep: Mapping[str, Keep]) -> ColumnElement[bool]:
    shorter = (_ended(line, now, kept.recording) for line, kept in keep.items() if kept.recording is not None)
    return recordings.c.call_id.is_not(None) & or_(recordings.c.keep_until <= now, *shorter)


def _ended(line: str, now: float, seconds: float) -> ColumnElement[bool]:
    return and_(calls.c.line == line, calls.c.ended <= now - seconds)


def _named(subject: str) -> str:
    return audit.masked(subject) if subject.startswith("+") else subject
