"""How lines answer for now, because an operator said so at two in the morning: on every node, without an edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import anyio
import structlog
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from gateway.call.outcome import AgentAnswers, Outcome, Refused, TargetRings, WordsHeard
from gateway.store import audit
from gateway.store.database import Database
from gateway.store.tables import line_overrides

LOOK_EVERY = 2.0
"""Seconds until a node sees what was set on another."""

log = structlog.get_logger()


def parse_answer(text: str) -> Outcome:
    """Return what ``agent``, ``transfer:NAME``, ``say:TEXT`` or ``busy`` means.

    Raises:
        ValueError: it is none of these.
    """
    kind, colon, rest = text.partition(":")
    match kind, bool(colon), rest.strip():
        case "agent", False, _:
            return AgentAnswers()
        case "busy", False, _:
            return Refused("busy")
        case "transfer", True, str(name) if name:
            return TargetRings(name)
        case "say", True, str(words) if words:
            return WordsHeard(words)
        case _:
            raise ValueError(f"{text!r} is none of agent, transfer:NAME, say:TEXT and busy")


@dataclass(frozen=True, slots=True)
class LineOverride:
    """What a line does instead of what its file says."""

    line: str
    answer: str
    """As it was written; see :func:`parse_answer`."""
    by: str
    set_at: float
    until: float
    """Unix seconds, as ``set_at``; from then on the line answers as usual again."""


async def set_override(database: Database, override: LineOverride) -> None:
    """Put an override into effect, in place of the line's last one, and into the audit.

    Raises:
        SQLAlchemyError: the database can't be written to.
    """
    async with database.write() as connection:
        await connection.execute(delete(line_overrides).where(line_overrides.c.line == override.line))
        row = {
            "line": override.line,
            "answer": override.answer,
            "by": override.by,
            "set_at": override.set_at,
            "until": override.until,
        }
        await connection.execute(insert(line_overrides).values(row))
        detail = {"answer": override.answer, "until": override.until}
        await audit.note(connection, override.by, "line-override-set", line=override.line, detail=detail)


async def clear_override(database: Database, line: str, by: str) -> bool:
    """End a line's override before its time, and say so in the audit; false where it has none.

    Raises:
        SQLAlchemyError: the database can't be written to.
    """
    async with database.write() as connection:
        result = await connection.execute(delete(line_overrides).where(line_overrides.c.line == line))
        if result.rowcount == 0:
            return False
        await audit.note(connection, by, "line-override-cleared", line=line)
        return True


async def read_overrides(database: Database, now: float) -> Mapping[str, LineOverride]:
    """Return the overrides that are in effect at a moment in Unix seconds, by line.

    Raises:
        SQLAlchemyError: the database can't be read.
    """
    async with database.read() as connection:
        rows = await connection.execute(select(line_overrides).where(line_overrides.c.until > now))
        found = [LineOverride(**row) for row in rows.mappings()]
    return MappingProxyType({override.line: override for override in found})


class Overrides:
    """The overrides in effect, as a snapshot that calls are answered from; it is read anew off their path.

    Args:
        wall: Unix seconds.
    """

    def __init__(self, database: Database, wall: Callable[[], float]) -> None:
        self._database = database
        self._wall = wall
        self._found: Mapping[str, LineOverride] = MappingProxyType({})
        self._lost = False

    @property
    def current(self) -> list[LineOverride]:
        """Those that are not over, by line."""
        now = self._wall()
        return sorted((each for each in self._found.values() if each.until > now), key=lambda each: each.line)

    def of(self, line: str) -> Outcome | None:
        """Return how a line answers for now, or None where it answers as usual."""
        override = self._found.get(line)
        return parse_answer(override.answer) if override and override.until > self._wall() else None

    async def look(self) -> None:
        """Read what is in effect; where the database can't be read, what was is kept until its time is over."""
        try:
            found = await read_overrides(self._database, self._wall())
        except (SQLAlchemyError, OSError) as error:
            if not self._lost:
                log.warning("overrides-unread", reason=type(error).__name__)
            self._lost = True
            return
        self._lost = False
        for line in found.keys() | self._found.keys():
            self._tell(self._found.get(line), found.get(line))
        self._found = found

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(LOOK_EVERY)

    def _tell(self, before: LineOverride | None, after: LineOverride | None) -> None:
        if before == after:
            return
        if after is None and before is not None:
            log.info("line-override-ended", line=before.line)
        elif after is not None:
            kind = after.answer.partition(":")[0]
            log.warning("line-override", line=after.line, answer=kind, by=after.by, until=after.until)
