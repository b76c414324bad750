"""The database: SQLite in the data folder, or PostgreSQL; the same tables on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.errors import StoreError

BUSY = 10_000
"""Milliseconds that a writer waits for another one (SQLite has one at a time)."""
CHECKPOINT, CHECKPOINTS = 250, 40
"""Milliseconds that a try to empty SQLite's log waits for those who read, and tries."""


class Database:
    """Connections to the records' database; for one event loop.

    Args:
        url: ``sqlite:///path``, or ``postgresql://...`` (``postgres://`` too, as platforms give it).

    Raises:
        StoreError: the URL names no database that is supported, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = _driver_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        try:
            self._reader = self._engine("BEGIN")
            self._writer = self._engine("BEGIN IMMEDIATE") if self.is_sqlite else self._reader
        except ModuleNotFoundError as error:
            raise StoreError(f"{error}: install the gateway with its extra: pip install '.[postgres]'") from error

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Read in one transaction: everything as of one moment."""
        async with self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Write in one transaction, which is committed at the end and rolled back on an exception."""
        async with self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """Run statements outside of a transaction: what cleans up files."""
        async with self._writer.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    def make_folder(self) -> None:
        """Make the folder of a SQLite file.

        Raises:
            OSError: it can't be made.
        """
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)

    async def close(self) -> None:
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()

    def _engine(self, begin: str) -> AsyncEngine:
        if not self.is_sqlite:
            return create_async_engine(self.url, pool_size=5, max_overflow=5, pool_pre_ping=True)
        engine = create_async_engine(self.url, pool_size=1 if begin != "BEGIN" else 4, max_overflow=0)

        @event.listens_for(engine.sync_engine, "connect")
        def _connected(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # transactions begin as we say, below
            cursor = connection.cursor()
            for pragma in (
                f"busy_timeout={BUSY}",
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "foreign_keys=ON",
                "secure_delete=ON",  # what is erased is overwritten
                "cache_size=-500",  # KiB of each connection; with 16 MB batches take as long
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def _begun(connection: Any) -> None:
            if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
                connection.exec_driver_sql(begin)

        return engine

    async def scrub(self, *, thoroughly: bool = True) -> None:
        """Leave nothing of deleted rows in the database's files, as far as the database can be told to.

        Args:
            thoroughly: whether SQLite rewrites its whole file. Deleted rows are overwritten in any case, but pages
                that were rearranged before may hold another copy of one.

        Raises:
            StoreError: the file could not be rewritten, or somebody reads so long that SQLite's log can't be emptied.
        """
        async with self.alone() as connection:
            if not self.is_sqlite:
                await connection.execute(text("VACUUM"))
                return
            await connection.execute(text("INSERT INTO transcripts_words (transcripts_words) VALUES ('optimize')"))
            if thoroughly:
                try:
                    await connection.execute(text("VACUUM"))
                except OperationalError as error:  # no room for a second copy, or somebody writes for long
                    raise StoreError(
                        f"{self.url.database} could not be rewritten, and may still hold copies of what was removed:"
                        f" {error.orig}; run gateway purge"
                    ) from error
        await self.checkpoint()

    async def checkpoint(self) -> None:
        """Empty SQLite's write-ahead log, which still holds what was there before rows were deleted.

        Raises:
            StoreError: somebody reads for so long that it can't be emptied.
        """
        if not self.is_sqlite:
            return
        async with self.alone() as connection:
            # While it waits nobody can write, so it waits briefly, and often.
            await connection.execute(text(f"PRAGMA busy_timeout={CHECKPOINT}"))
            try:
                for _ in range(CHECKPOINTS):
                    busy, _, _ = (await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))).one()
                    if not busy:
                        return
                    await anyio.sleep(CHECKPOINT / 1000)
            finally:
                await connection.execute(text(f"PRAGMA busy_timeout={BUSY}"))
        raise StoreError(
            f"{self.url.database}-wal still holds what was removed, as another program reads the database for long:"
            " end that program, and run gateway purge"
        )


def database_url(url: str, data_dir: Path) -> str:
    """Return the URL in effect: the one given, or SQLite in the data folder."""
    return url or f"sqlite:///{data_dir / 'gateway.db'}"


def _driver_url(url: str) -> URL:
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        return make_url(url).set(drivername="sqlite+aiosqlite")
    if scheme in {"postgres", "postgresql"}:
        return make_url(url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+asyncpg")
    raise StoreError(f"DATABASE_URL: {scheme or 'nothing'} is no database that is supported: sqlite:///, postgresql://")
