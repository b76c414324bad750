"""Writes the records of live calls, off the audio path: one queue, one thread, one transaction for each batch.

The queue is bounded. What does not fit, because the database is slow or away, is not lost: the call's log has it, and
the call is read from there once the queue is empty again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import anyio
import structlog
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.errors import LogError
from gateway.store import tables
from gateway.store.database import Database
from gateway.store.log_file import ends_with_note
from gateway.store.log_lines import header_of, path_of, read_lines, read_log
from gateway.store.projection import Projection, Row, Rows
from gateway.store.records import calls_without_outcome, closed_calls, ended_of, merge, replace_call, save
from gateway.store.recovery import Price, close_lost, logs_of, unpriced

QUEUE = 10_000
"""Pieces of logs that wait at most."""
BATCH = 500
"""Pieces in one transaction."""
EVERY = 1.0
"""Seconds between two batches."""
PORTION, REST = 0.001, 0.003
"""Seconds of work after which the thread rests, and for how long: while it computes no frame of any call moves on."""
RECENT = 512
"""Closed calls whose rows are remembered for notes that still come."""
NOTED = 86_400.0
"""Seconds before the start in which calls began whose logs may have notes that the database lacks."""
_RETRY = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries while the database is away."""

OnClosed: TypeAlias = Callable[[Row], None]
"""Told of each closed call's row once it is in the database; called on the projector's thread."""

log = structlog.get_logger()


class Projector:
    """Turns what is written to logs into rows.

    Args:
        url: the database, whose tables are of this version.
        folder: that of the logs.
        on_closed: told of calls that are over.
        price: says what a call cost whose process died.
    """

    def __init__(self, url: str, folder: Path, on_closed: OnClosed | None = None, *, price: Price = unpriced) -> None:
        self._url = url
        self._folder = folder
        self._on_closed = on_closed
        self._price = price
        self._queue: deque[tuple[str, bytes]] = deque()
        self._lock = threading.Lock()
        self._behind: set[str] = set()
        self._calls: dict[str, Projection] = {}
        self._found: list[str] = []
        self._rested = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: anyio.run(self._run), name="records", daemon=True)
        self.failures = 0
        """Tries to write that failed."""

    def start(self) -> None:
        """Close what a crash left open, then follow the logs that begin from now on."""
        self._found = logs_of(self._folder)
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, if the database is there, and end the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def told(self, call_id: str, lines: bytes) -> None:
        """Take lines of a call's log; from any thread, without waiting."""
        with self._lock:
            if call_id in self._behind:
                return
            if len(self._queue) >= QUEUE:
                self._behind.add(call_id)
                return
            self._queue.append((call_id, lines))

    @property
    def waiting(self) -> int:
        """Pieces of logs that are not yet in the database."""
        return len(self._queue) + len(self._behind)

    # ---- On the thread ----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        database = Database(self._url)
        try:
            await self._recover(database)
            while not self._stop.is_set():
                if not await self._step(database):
                    await anyio.sleep(EVERY)
            while await self._step(database):
                pass
        finally:
            await database.close()

    async def _recover(self, database: Database) -> None:
        async with database.read() as connection:
            closed = await closed_calls(connection)
            bare = await calls_without_outcome(connection, since=time.time() - NOTED)
        lost = [call_id for call_id in self._found if call_id not in closed]
        for projection in close_lost(self._folder, lost, self._price):
            await self._store(database, projection.take(), replacing=projection.call["id"])
            self._announce([projection])
        for call_id in self._found:  # whose outcome came just before a crash, and is in the log alone
            if call_id in bare and ends_with_note(path_of(self._folder, call_id)):
                await self._catch_up(database, call_id)

    async def _step(self, database: Database) -> bool:
        """Write one batch; return whether more may wait."""
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            behind = self._behind.pop() if not batch and self._behind else None
        if behind is not None:
            await self._catch_up(database, behind)
            return True
        if not batch:
            return False
        rows: Rows = {}
        open_before = [call_id for call_id in dict(batch) if not self._is_over(call_id)]
        touched: dict[str, Projection] = {}
        for call_id, lines in batch:
            touched[call_id] = self._project(call_id, lines)
            await self._rest()
        for projection in touched.values():
            merge(rows, projection.take())
            await self._rest()
        await self._store(database, rows)
        self._announce([touched[call_id] for call_id in open_before])
        self._forget()
        return self.waiting > 0

    async def _rest(self) -> None:
        now = time.monotonic()
        if now >= self._rested + PORTION and not self._stop.is_set():
            await anyio.sleep(REST)
            self._rested = time.monotonic()

    def _is_over(self, call_id: str) -> bool:
        return call_id in self._calls and self._calls[call_id].closed

    def _project(self, call_id: str, lines: bytes) -> Projection:
        projection = self._calls.get(call_id)
        is_new = projection is None
        if projection is None:
            projection = self._calls[call_id] = Projection()
        try:
            for line in read_lines(lines, call_id):
                projection.feed(line)
        except LogError as error:
            log.error("call-log-unreadable", call_id=call_id, error=str(error))  # noqa: TRY400 - no fault of ours
        if not projection.known or (is_new and self._goes_on(call_id, projection)):
            # A note of a call that is long over, or one whose beginning did not fit into the queue, or was another
            # process's: the log has it all.
            del self._calls[call_id]
            with self._lock:
                self._behind.add(call_id)
            return Projection()
        return projection

    def _goes_on(self, call_id: str, projection: Projection) -> bool:
        """Say whether a call that is new here was begun by another process, which its log then begins with."""
        try:
            first = header_of(path_of(self._folder, call_id))
        except LogError:
            return False  # the disk is full, or the call was erased: what was told is all there is
        return bool(first.node != projection.call["node"])

    async def _catch_up(self, database: Database, call_id: str) -> None:
        projection = Projection()
        try:
            for line in read_log(path_of(self._folder, call_id), audio=False):
                projection.feed(line)
        except LogError as error:
            # An erased call has no log any more; of a damaged one the rest is kept.
            log.warning("call-log-unreadable", call_id=call_id, error=str(error))
        if projection.known:
            self._calls[call_id] = projection
            async with database.read() as connection:
                ended_before = await ended_of(connection, call_id)
            await self._store(database, projection.take(), replacing=call_id)
            self._announce([] if ended_before == projection.call["ended"] else [projection])

    async def _store(self, database: Database, rows: Rows, *, replacing: str = "") -> None:
        """Write rows, for as long as it takes; a process that ends tries once, since the logs have them."""
        tries = 0
        while rows:
            try:
                async with database.write() as connection:
                    if replacing:
                        await replace_call(connection, replacing, rows)
                    else:
                        await save(connection, rows)
            except (SQLAlchemyError, OSError, ValueError, OverflowError) as error:
                self.failures += 1
                if _is_refused(error):
                    log.error("rows-refused", error=type(error).__name__)  # noqa: TRY400 - the values are personal
                    await self._store_apart(database, rows)
                    return
                log.error("records-not-written", error=type(error).__name__, waiting=self.waiting)  # noqa: TRY400
                if self._stop.is_set():
                    return
                await anyio.sleep(_RETRY[min(tries, len(_RETRY) - 1)])
                tries += 1
            else:
                return

    async def _store_apart(self, database: Database, rows: Rows) -> None:
        """Write each call's rows by themselves: those that no database takes must not stop the others'."""
        ids = _ids(rows)
        for call_id in ids if len(ids) > 1 else ():
            await self._store(database, _of(rows, call_id))

    def _announce(self, projections: list[Projection]) -> None:
        for projection in projections:
            if self._on_closed is not None and projection.closed:
                self._on_closed(dict(projection.call))

    def _forget(self) -> None:
        over = [call_id for call_id, projection in self._calls.items() if projection.closed]
        for call_id in over[: max(0, len(over) - RECENT)]:
            del self._calls[call_id]


def _is_refused(error: Exception) -> bool:
    """Say whether the values are at fault, which no second try changes, and not a database that is away."""
    if isinstance(error, DBAPIError):
        refused = str(getattr(error.orig, "sqlstate", None) or "").startswith("22")
        return refused or (error.orig is not None and isinstance(error.orig.__cause__, ValueError))
    return isinstance(error, ValueError | OverflowError)


def _id(table: Table, row: Row) -> str:
    return str(row["id" if table is tables.calls else "call_id"])


def _ids(rows: Rows) -> list[str]:
    return [*dict.fromkeys(_id(table, row) for table, some in rows.items() for row in some)]


def _of(rows: Rows, call_id: str) -> Rows:
    mine = {table: [row for row in some if _id(table, row) == call_id] for table, some in rows.items()}
    return {table: some for table, some in mine.items() if some}
