"""Changes of the gateway's own doing, such as new lines, on their way into the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.store import audit
from gateway.store.database import Database

LINES_CHANGED = "lines-changed"
WAITING = 1000
"""Changes that wait at most."""

log = structlog.get_logger()


class Changes:
    """Takes note of changes without waiting for the database; for one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._in, self._out = anyio.create_memory_object_stream[tuple[str, Mapping[str, Any]]](WAITING)

    def note(self, action: str, detail: Mapping[str, Any]) -> None:
        """Have a change audited."""
        try:
            self._in.send_nowait((action, detail))
        except anyio.WouldBlock:
            log.error("change-not-audited", action=action)  # noqa: TRY400 - the database is away, as others say

    async def starting(self, snapshot: str, lines: Sequence[str]) -> None:
        """Have it audited where a start brings other lines into effect than there were before."""
        async with self._database.read() as connection:
            before = (await audit.newest(connection, LINES_CHANGED)).get("after", "")
        if before != snapshot:
            self.note(LINES_CHANGED, {"before": before, "after": snapshot, "lines": [*lines]})

    async def run(self) -> None:
        """Write changes down until cancelled."""
        async with self._in, self._out:
            async for action, detail in self._out:
                try:
                    async with self._database.write() as connection:
                        await audit.note(connection, "gateway", action, detail=detail)
                except (SQLAlchemyError, OSError) as error:
                    log.error("change-not-audited", action=action, error=type(error).__name__)  # noqa: TRY400
