"""A bare client of the Realtime protocol, to look at a server event by event."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.testing.model.frames import FRAME_BYTES

JSON: TypeAlias = dict[str, Any]

PHONE: JSON = {
    "type": "realtime",
    "audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu"}}},
}
"""The least that makes a session speak G.711 mu-law both ways."""


class RawClient:
    """Sends what it is told, valid or not, and keeps every event that comes."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.headers = dict(headers or {})
        self.events: list[JSON] = []
        self.raw: list[str | bytes] = []
        """Messages that were not JSON objects."""
        self._ids = itertools.count(1)
        self._seen: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect."""
        self._socket = await connect(
            self.url, additional_headers=self.headers, compression=None, ping_interval=None, max_size=None, proxy=None
        )
        self._reader = asyncio.create_task(self._read(self._socket))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        assert self._reader is not None  # noqa: S101 - set on entering
        await self.socket.close()
        await self._reader

    @property
    def socket(self) -> ClientConnection:
        """The connection."""
        assert self._socket is not None  # noqa: S101 - used inside its context only
        return self._socket

    def kinds(self) -> list[str]:
        """Give the types of all events so far, in order."""
        return [event["type"] for event in self.events]

    def audio(self, item_id: str | None = None) -> bytes:
        """Give the audio that came (of one item)."""
        deltas = [event for event in self.events if event["type"] == "response.output_audio.delta"]
        return b"".join(base64.b64decode(each["delta"]) for each in deltas if item_id in {None, each["item_id"]})

    async def send(self, kind: str, **fields: Any) -> str:
        """Send a client event, and give the event_id that it bore."""
        event_id = f"test_{next(self._ids)}"
        await self.socket.send(json.dumps({"type": kind, "event_id": event_id, **fields}))
        return event_id

    async def hear(self, audio: bytes) -> None:
        """Append the caller's audio, frame by frame but without waiting."""
        for at in range(0, len(audio), FRAME_BYTES):
            piece = base64.b64encode(audio[at : at + FRAME_BYTES]).decode()
            await self.socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": piece}))

    async def configure(self, **audio_input: Any) -> JSON:
        """Switch to mu-law both ways and set the given fields of ``audio.input``; give the session that results."""
        session = json.loads(json.dumps(PHONE))
        session["audio"]["input"] |= audio_input
        await self.send("session.update", session=session)
        updated: JSON = (await self.expect("session.updated"))["session"]
        return updated

    async def expect(self, kind: str, timeout: float = 10) -> JSON:
        """Wait for the next event of type ``kind`` that was not expected before."""
        at = self._seen.get(kind, 0)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    found = [event for event in self.events if event["type"] == kind]
                    if len(found) > at:
                        self._seen[kind] = at + 1
                        return found[at]
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"waited for {kind}; there were {self.kinds()[-20:]}") from None

    async def closed(self) -> int | None:
        """Wait until the server has closed, and give the code (RFC 6455)."""
        await self.socket.wait_closed()
        return self.socket.close_code

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                try:
                    event = json.loads(text)
                except ValueError:
                    event = None
                if isinstance(event, dict):
                    self.events.append(event)
                else:
                    self.raw.append(text)
                self._changed.set()
        except ConnectionClosed:
            pass  # How it ended is what the test looks at.
