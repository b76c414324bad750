"""The wire of one session: what came, what went, and when; one outbox with one writer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

JSON: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """An event with the time of its arrival or sending, in seconds of the event loop's clock."""

    at: float
    event: JSON

    @property
    def type(self) -> str:
        """Its type, or nothing where it has none."""
        return str(self.event.get("type", ""))


class Record:
    """The messages of one direction in order, and by type so that waiting for one does not search all."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._events: dict[str, list[JSON]] = {}

    def add(self, message: Message) -> None:
        """Take the next message."""
        self.messages.append(message)
        self._events.setdefault(message.type, []).append(message.event)

    def events(self, kind: str) -> list[JSON]:
        """Give the events of type ``kind``."""
        return self._events.get(kind, [])

    def counts(self) -> dict[str, int]:
        """Give how many there are of each type."""
        return {kind: len(events) for kind, events in self._events.items()}


class Link:
    """A WebSocket connection that records both directions, and can be frozen or reset."""

    def __init__(self, connection: ServerConnection, *, record: bool) -> None:
        self.connection = connection
        self.record = record
        self.received = Record()
        self.sent = Record()
        self.closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._outbox: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._queued = 0
        self._written = 0
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def frozen(self) -> bool:
        """Neither reads nor writes."""
        return not self._thawed.is_set()

    def now(self) -> float:
        """Tell the time of the event loop's clock."""
        return self._loop.time()

    def send(self, event: JSON) -> None:
        """Send an event."""
        if self.record:
            self.sent.add(Message(self.now(), event))
        self.send_text(msgspec.json.encode(event))

    def send_text(self, text: str | bytes) -> None:
        """Send text that need not be an event."""
        self._queued += 1
        self._outbox.put_nowait(text)

    async def read(self, receive: Callable[[str | bytes], None]) -> None:
        """Give every message to ``receive`` until the connection is closed."""
        try:
            async for text in self.connection:
                await self._thawed.wait()
                receive(text)
                self.wake()
        except ConnectionClosed:
            pass  # How it ended is what the test looks at: connection.close_code.
        finally:
            self.closed.set()
            self.wake()

    async def write(self) -> None:
        """Write what is in the outbox until the connection is closed."""
        try:
            while True:
                text = await self._outbox.get()
                await self._thawed.wait()
                await self.connection.send(text, text=True)
                self._written += 1
                self.wake()
        except ConnectionClosed:
            pass  # The reader notices as well.

    async def flush(self) -> None:
        """Wait until what was sent so far has been written, or never will be."""
        queued = self._queued
        await self.until(lambda: self._written >= queued or self.closed.is_set() or self.frozen)

    def wake(self) -> None:
        """Let those who wait look again."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until ``ready``, which is asked after every message."""
        while not ready():
            waiting: asyncio.Future[None] = self._loop.create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)

    async def find(self, record: Record, kind: str, count: int, timeout: float) -> JSON:
        """Wait until ``record`` holds ``count`` events of type ``kind``, and give the last of these."""
        try:
            async with asyncio.timeout(timeout):
                await self.until(lambda: len(record.events(kind)) >= count or self.closed.is_set())
        except TimeoutError:
            pass  # Said below, with what there was instead.
        found = record.events(kind)
        if len(found) < count:
            raise TimeoutError(f"waited for {count} x {kind}; there were {record.counts()}")
        return found[count - 1]

    def freeze(self) -> None:
        """Read and write nothing any more, without closing; pings stay unanswered too."""
        self._thawed.clear()
        self.connection.transport.pause_reading()
        self.wake()

    def thaw(self) -> None:
        """Go on after ``freeze``."""
        self.connection.transport.resume_reading()
        self._thawed.set()

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        raw: socket.socket = self.connection.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the other end was faster, and has closed it
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()
