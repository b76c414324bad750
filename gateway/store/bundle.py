"""What an auditor asks of a line: what is stored where and for how long, on whose consent, and who had access."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store import audit
from gateway.store.calls import first_id
from gateway.store.database import Database
from gateway.store.people import plain
from gateway.store.tables import calls, holds, recordings, tombstones


async def bundle(
    database: Database, line: str, *, since: float, settings: Mapping[str, Any], places: Mapping[str, str], by: str
) -> bytes:
    """Return a ZIP archive of JSON files about a line.

    Args:
        database: the records.
        line: its id.
        since: Unix seconds; what happened before is left out.
        settings: what is in effect on the line, by key.
        places: where calls' logs, recordings and records are, without secrets.
        by: who asks; the audit takes note.
    """
    async with database.write() as connection:
        await audit.note(connection, by, "audit-bundled", line=line)
        parts = {
            "storage.json": {"line": line, "places": dict(places), "settings": dict(settings)}
            | await _kept(connection, line),
            "consent.json": await _consent(connection, line, since),
            "retention.json": await _audited(
                connection, line, since, {"retention-ran", "hold-placed", "hold-released"}
            ),
            "erasures.json": await _erasures(connection, line, since),
            "audit.json": await _audited(connection, line, since, None),
            "integrity.json": {"checked": time.time(), "first_broken_entry": await audit.broken_at(connection)},
        }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, plain(content))
    return target.getvalue()


async def _kept(connection: AsyncConnection, line: str) -> dict[str, Any]:
    counted = select(
        func.count(calls.c.id).label("calls"),
        func.min(calls.c.began).label("began"),
        func.count(recordings.c.call_id).label("recordings"),
    ).outerjoin_from(calls, recordings, recordings.c.call_id == calls.c.id)
    row = (await connection.execute(counted.where(calls.c.line == line))).mappings().one()
    said = select(func.count()).where(calls.c.line == line, ~calls.c.words_removed)
    transcripts = (await connection.execute(said)).scalar()
    held = (await connection.execute(select(func.count()).select_from(holds))).scalar()
    return {"kept": {**row, "transcripts": transcripts}, "holds": held}


async def _consent(connection: AsyncConnection, line: str, since: float) -> list[dict[str, Any]]:
    asked = (
        select(recordings, calls.c.answered)
        .join(calls, calls.c.id == recordings.c.call_id)
        .where(calls.c.line == line, calls.c.id >= first_id(since))
        .order_by(calls.c.id)
    )
    return [dict(row) for row in (await connection.execute(asked)).mappings()]


async def _erasures(connection: AsyncConnection, line: str, since: float) -> list[dict[str, Any]]:
    asked = select(tombstones).where(tombstones.c.line == line, tombstones.c.erased >= since)
    return [dict(row) for row in (await connection.execute(asked.order_by(tombstones.c.erased))).mappings()]


async def _audited(
    connection: AsyncConnection, line: str, since: float, actions: set[str] | None
) -> list[dict[str, Any]]:
    found = [dict(entry) async for entry in audit.entries(connection, line=line, since=since)]
    return [entry for entry in found if actions is None or entry["action"] in actions]
