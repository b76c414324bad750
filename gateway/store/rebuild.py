"""Makes the records again from the logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.errors import LogError
from gateway.store.database import Database
from gateway.store.records import replace_call
from gateway.store.recovery import Price, logs_of, project, unpriced

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many calls were made again, are live and so were left alone, and have a log that can't be read."""

    calls: int
    live: int
    unreadable: tuple[str, ...]


async def rebuild(database: Database, folder: Path, price: Price = unpriced) -> Rebuilt:
    """Put rows made from the logs in place of those that are there; calls without a log keep theirs.

    Args:
        database: the records.
        folder: that of the logs.
        price: says what a call cost whose process died, and which is closed here.
    """
    calls = live = 0
    unreadable = []
    for call_id in logs_of(folder):
        try:
            projection = project(folder, call_id, price)
        except LogError as error:
            unreadable.append(str(error))
            continue
        if projection is None:
            live += 1
            continue
        async with database.write() as connection:
            await replace_call(connection, call_id, projection.take())
        calls += 1
    return Rebuilt(calls, live, tuple(unreadable))
