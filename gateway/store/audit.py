"""Who listened, ended, exported, changed or erased what: a list that is only ever added to.

Each entry's hash covers the entry before it, so that one that was changed or taken out is found.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy import RowMapping, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import audit

_FIRST = "0" * 64


async def note(
    connection: AsyncConnection,
    actor: str,
    action: str,
    *,
    subject: str = "",
    line: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry, as part of the transaction that it tells of.

    Args:
        connection: a writing one.
        actor: who, as ``token:NAME``, ``cli:USER``, or ``gateway``.
        action: what, in kebab-case.
        subject: a call's id, or a file; never a phone number (see :func:`masked`).
        line: the line that it is about.
        detail: more, in plain JSON.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(7426002)"))
    newest = select(audit.c.hash).order_by(audit.c.number.desc()).limit(1)
    before = (await connection.execute(newest)).scalar() or _FIRST
    entry = {
        "at": time.time(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "line": line,
        "detail": dict(detail or {}),
        "before": before,
    }
    await connection.execute(insert(audit).values(**entry, hash=_hash(entry)))


async def entries(connection: AsyncConnection, *, line: str = "", since: float = 0.0) -> AsyncIterator[RowMapping]:
    """Yield entries in order; those of a line, and those of no line, where one is given."""
    asked = select(audit).where(audit.c.at >= since).order_by(audit.c.number)
    if line:
        asked = asked.where(audit.c.line.in_((line, "")))
    for row in (await connection.execute(asked)).mappings():
        yield row


async def newest(connection: AsyncConnection, action: str) -> Mapping[str, Any]:
    """Return the details of the newest entry of an action; none where there is no such entry."""
    asked = select(audit.c.detail).where(audit.c.action == action).order_by(audit.c.number.desc()).limit(1)
    return (await connection.execute(asked)).scalar() or {}


async def broken_at(connection: AsyncConnection) -> int | None:
    """Return the number of the first entry that is not as it was written, or does not follow the one before."""
    before = _FIRST
    async for row in entries(connection):
        entry = {key: row[key] for key in ("at", "actor", "action", "subject", "line", "detail", "before")}
        if row["before"] != before or row["hash"] != _hash(entry):
            return int(row["number"])
        before = row["hash"]
    return None


def masked(number: str) -> str:
    """Return a phone number as it may stand in an audit: the last two digits, and a hash to compare with."""
    return f"***{number[-2:]} sha256:{hashlib.sha256(number.encode()).hexdigest()[:16]}"


def _hash(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
