"""The WebSocket of a media stream, as the carrier opens it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import broadcast
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from gateway.testing.twilio import wire
from gateway.testing.twilio.network import Network, is_loopback

UNREAD_LIMIT = 256 * 1024
"""Bytes that may wait for a server that does not read, about 13 s of frames; then 31930."""


class StreamError(Exception):
    """A stream could not be opened; ``code`` is the carrier's error, ``status`` the HTTP status or 0."""

    def __init__(self, code: int, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.code = code
        self.status = status


def check_url(url: str) -> None:
    """Refuse what ``<Stream url>`` may not be; ws:// is allowed on the loopback interface alone."""
    parts = urlsplit(url)
    if parts.scheme != "wss" and not (parts.scheme == "ws" and is_loopback(url)):
        raise StreamError(31922, f"the scheme of {url} is not wss")
    if not parts.hostname:
        raise StreamError(31923, f"malformed URL {url}")
    if parts.query:
        raise StreamError(31920, f"<Stream url> takes no query string: {url}")


async def open_socket(network: Network, url: str, signature: str | None, *, timeout: float) -> ClientConnection:
    """Upgrade, or raise a StreamError with the code of the carrier's dictionary."""
    check_url(url)
    route = network.route(url)
    headers = {"x-twilio-signature": signature} if signature is not None else {}
    try:
        return await connect(
            route.url,
            host=route.host,
            port=route.port,
            additional_headers=headers,
            user_agent_header="Twilio.TmeWs/1.0",
            compression=None,
            proxy=None,
            open_timeout=timeout,
            ping_interval=None,
            close_timeout=2,
            max_size=None,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise StreamError(31920, f"handshake error: HTTP status {status} from {url}", status) from error
    except InvalidURI as error:
        raise StreamError(31923, f"malformed URL {url}") from error
    except (InvalidHandshake, EOFError) as error:
        raise StreamError(31920, f"handshake error from {url}: {error}") from error
    except TimeoutError as error:
        raise StreamError(31901, f"connection timeout: {url}") from error
    except ConnectionRefusedError as error:
        raise StreamError(31902, f"connection refused: {url}") from error
    except ssl.SSLError as error:
        raise StreamError(31910, f"TLS failure: {url}: {error}") from error
    except socket.gaierror as error:
        raise StreamError(31904, f"host unreachable: {url}: {error}") from error
    except OSError as error:
        raise StreamError(31903, f"broken pipe: {url}: {error}") from error


def send_now(connection: ClientConnection, message: str | bytes) -> bool:
    """Write a message without waiting; False where the server has too much unread."""
    if connection.transport.get_write_buffer_size() > UNREAD_LIMIT:
        return False
    broadcast([connection], message)
    return True


@dataclass(slots=True)
class RawStream:
    """A socket to a media endpoint without any behaviour of its own: for hostile and broken messages."""

    connection: ClientConnection
    account_sid: str
    call_sid: str
    stream_sid: str
    parameters: dict[str, str]

    async def send(self, message: str | bytes) -> None:
        await self.connection.send(message)

    async def start(self) -> None:
        """Send ``connected`` and ``start``."""
        await self.send(wire.CONNECTED)
        await self.send(
            wire.start(
                1,
                account_sid=self.account_sid,
                stream_sid=self.stream_sid,
                call_sid=self.call_sid,
                parameters=self.parameters,
            )
        )

    async def media(self, frame: bytes, number: int) -> None:
        """Send one frame; ``number`` counts from 1."""
        await self.send(
            wire.media(number + 1, self.stream_sid, chunk=number, timestamp_ms=(number - 1) * 20, frame=frame)
        )

    async def receive(self, timeout: float = 5.0) -> str | bytes:
        async with asyncio.timeout(timeout):
            return await self.connection.recv()

    async def receive_event(self, event: str, timeout: float = 5.0) -> dict[str, Any]:
        """Read until a message of this kind comes, and give it."""
        while True:
            message = json.loads(await self.receive(timeout))
            if message["event"] == event:
                return dict(message)

    async def closed(self, timeout: float = 10.0) -> int:
        """Read until the server closes; return the close code (1006: it broke)."""
        async with asyncio.timeout(timeout):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed:
                return self.connection.close_code or 1006

    async def stop(self, number: int = 2) -> None:
        await self.send(wire.stop(number, self.stream_sid, account_sid=self.account_sid, call_sid=self.call_sid))

    async def close(self) -> None:
        await self.connection.close()

    def abort(self) -> None:
        """Break the connection without a close frame."""
        self.connection.transport.abort()
