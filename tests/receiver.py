"""Whoever is told of calls: an HTTP server on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Self


class Receiver:
    """An HTTP server that answers what it is told to, and remembers what it got.

    Attributes:
        url: where it listens.
        got: each request: its path, headers and body.
        answers: status and content of the next answers; 200 where there are none, and none at all where it is 0.
    """

    def __init__(self) -> None:
        self.url = ""
        self.got: list[SimpleNamespace] = []
        self.answers: list[tuple[int, str]] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
            if name
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append(SimpleNamespace(path=head.split()[1], headers=headers, body=body))
        status, content = self.answers.pop(0) if self.answers else (200, "{}")
        if status:
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n{content}".encode()
            )
            await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self
