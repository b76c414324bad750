"""Listening to recordings: whole, or in parts as players ask for them. Every listening is audited."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import partial

import anyio.to_thread
from starlette.responses import Response, StreamingResponse

from gateway.store import audit
from gateway.store import calls as records
from gateway.store.database import Database
from gateway.store.recording.shelf import Kept, Recordings
from gateway.web.api.calls import no_such_call
from gateway.web.api.operation import Asked, Operation, Refused

PART = 64 * 1024
"""Bytes that are read at once."""


class RecordingsApi:
    """Gives out recordings."""

    def __init__(self, database: Database, recordings: Recordings) -> None:
        self._database = database
        self._recordings = recordings

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "get",
                "/calls/{call_id}/recording",
                "listen",
                "getRecording",
                "The recording: WAV, mu-law, the caller left and the agent right. `Range` is honoured.",
                self._get,
                "audio/wav",
                refusals=((404, "There is no such call, or it has no recording."), (416, "The range is not in it.")),
            )
        ]

    async def _get(self, asked: Asked) -> Response:
        call_id = asked.path["call_id"]
        async with self._database.read() as connection:
            call = await records.get_call(connection, call_id)
        if call is None:
            raise await no_such_call(self._database, call_id)
        kept = await anyio.to_thread.run_sync(self._recordings.find, call_id)
        if kept is None:
            raise Refused(404, "no-recording", "The call has no recording.")
        size = await anyio.to_thread.run_sync(lambda: kept.size)
        span = _span(asked.request.headers.get("range", ""), size)
        start, end = span or (0, size)
        if start == 0:
            async with self._database.write() as connection:
                await audit.note(connection, asked.actor, "recording-listened", subject=call_id, line=call["line"])
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Length": str(end - start),
            "Cache-Control": "private, no-store",
            "Content-Disposition": f'inline; filename="{call_id}.wav"',
        }
        if span is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        status = 200 if span is None else 206
        return StreamingResponse(_parts(kept, start, end), status, headers, media_type="audio/wav")


async def _parts(kept: Kept, start: int, end: int) -> AsyncIterator[bytes]:
    while start < end:
        part = await anyio.to_thread.run_sync(partial(kept.read, start, min(end, start + PART)))
        if not part:
            return
        yield part
        start += len(part)


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """Return the bytes that a Range header means (RFC 9110, 14.2); None for everything.

    Raises:
        Refused: they are not there.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", asked.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None  # several ranges, or another unit: the whole is a right answer to these
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    if start >= size or end <= start:
        whole = {"Content-Range": f"bytes */{size}"}
        raise Refused(416, "no-such-range", f"The recording has {size} bytes.", whole)
    return start, end
