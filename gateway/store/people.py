"""Everything that is known of a person who called, or was called: by their number."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
from sqlalchemy import or_, select

from gateway.store import audit
from gateway.store.calls import get_call, turns_of
from gateway.store.database import Database
from gateway.store.retention import Shelf
from gateway.store.tables import calls, legs


async def calls_of(database: Database, number: str) -> Sequence[str]:
    """Return the ids of all calls that a number made, got, or was joined to."""
    joined = select(legs.c.call_id).where(legs.c.number_dialled == number)
    asked = select(calls.c.id).where(or_(calls.c.caller == number, calls.c.called == number, calls.c.id.in_(joined)))
    async with database.read() as connection:
        return (await connection.execute(asked.order_by(calls.c.id))).scalars().all()


async def export(shelf: Shelf, number: str, *, by: str) -> tuple[bytes, int]:
    """Return a ZIP archive of what is known of a number, and of how many calls: a folder for each call."""
    ids = await calls_of(shelf.database, number)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for call_id in ids:
            async with shelf.database.read() as connection:
                call = await get_call(connection, call_id)
                turns = await turns_of(connection, call_id)
            archive.writestr(f"{call_id}/call.json", plain(call))
            archive.writestr(f"{call_id}/transcript.json", plain(turns))
            kept = await anyio.to_thread.run_sync(shelf.recordings.find, call_id)
            if kept is not None:
                archive.writestr(f"{call_id}/recording.wav", kept.read(0, kept.size))
    async with shelf.database.write() as connection:
        await audit.note(connection, by, "person-exported", subject=audit.masked(number), detail={"calls": len(ids)})
    return target.getvalue(), len(ids)


def plain(value: Any) -> str:
    """Return rows as indented JSON, with moments in ISO 8601 beside what they were."""
    return json.dumps(_dated(value), indent=2, ensure_ascii=False)


def _dated(value: Any) -> Any:
    if isinstance(value, dict):
        moments = ("began", "ended", "answered", "at", "keep_until", "erased", "placed")
        return {
            key: datetime.fromtimestamp(each, UTC).isoformat() if key in moments and each is not None else _dated(each)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_dated(each) for each in value]
    return value
