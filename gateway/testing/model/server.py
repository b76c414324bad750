"""The scripted model as a WebSocket server on this machine."""

from __future__ import annotations

import asyncio
import http
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from gateway.testing.model.faults import Fault, Faults
from gateway.testing.model.script import Turn
from gateway.testing.model.session import ModelSession, Script
from gateway.testing.model.timing import Timing

_HTTP_FAULTS = {
    Fault.HTTP_401: (http.HTTPStatus.UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided."),
    Fault.HTTP_403: (http.HTTPStatus.FORBIDDEN, "unsupported_country_region_territory", "Not available to you."),
    Fault.HTTP_429: (http.HTTPStatus.TOO_MANY_REQUESTS, "insufficient_quota", "You exceeded your current quota."),
    Fault.HTTP_500: (http.HTTPStatus.INTERNAL_SERVER_ERROR, "server_error", "The server had an error."),
}
_MAX_MESSAGE = 16 * 2**20
_log = logging.getLogger("gateway.testing.model")


class ScriptedModel:
    """A server that speaks OpenAI's Realtime protocol and does exactly what a test says.

    ``script`` holds for every connection, ``scripts`` for the first, the second ... : turns to take in order, or an
    ``async def brain(session, asked) -> Turn``. ``faults`` apply to all connections and can be switched at any time.
    A script that is used up goes on with ``otherwise``, or with sentences of two seconds. With ``record`` off neither
    messages nor audio are kept, for long runs.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        scripts: Sequence[Script] = (),
        timing: Timing | None = None,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        record: bool = True,
        otherwise: Turn | None = None,
    ) -> None:
        self.script = script
        self.otherwise = otherwise
        self.scripts = list(scripts)
        self.timing = timing or Timing()
        self.faults = Faults(*faults)
        self.seed = seed
        self.host = host
        self.port = port
        self.record = record
        self.sessions: list[ModelSession] = []
        self.attempts = 0
        """How many upgrades were asked for, refused ones included."""
        self.crashes: list[Exception] = []
        """What went wrong inside the double itself, or in a test's brain; leaving the context raises it."""
        self._connected = asyncio.Condition()
        self._server: Server | None = None
        self._past: list[Server] = []

    @property
    def url(self) -> str:
        """Where it listens; ``model=`` and other query parameters are the client's to add."""
        return f"ws://{self.host}:{self.port}/v1/realtime"

    def session(self, number: int = 0) -> ModelSession:
        """Give a connection by its number, which counts from 0."""
        if number >= len(self.sessions):
            raise LookupError(f"there is no session {number}: {len(self.sessions)} connected so far")
        return self.sessions[number]

    async def connected(self, number: int = 0, timeout: float = 10) -> ModelSession:
        """Wait for connection ``number`` and give it."""
        async with asyncio.timeout(timeout), self._connected:
            await self._connected.wait_for(lambda: len(self.sessions) > number)
        return self.sessions[number]

    # ---- Its life ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.accept_connections()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection, and raise what crashed unless something else did already."""
        for session in self.sessions:
            if session.link.frozen:
                session.link.connection.transport.abort()
                session.link.thaw()
        await self.refuse_connections()
        for server in self._past:
            server.close()
            await server.wait_closed()
        if self.crashes and error is None:
            raise ExceptionGroup("the scripted model crashed", self.crashes)

    async def accept_connections(self) -> None:
        """Listen (again), on the same port."""
        if self._server is None:
            self._server = await serve(
                self._serve,
                self.host,
                self.port,
                process_request=self._handshake,
                compression=None,
                ping_interval=None,
                open_timeout=None,
                close_timeout=1,
                max_size=_MAX_MESSAGE,
                logger=_log,
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def refuse_connections(self) -> None:
        """Listen no more: the next connect is refused by the system. Open connections stay."""
        if self._server is not None:
            server, self._server = self._server, None
            server.server.close()
            self._past.append(server)
            await asyncio.sleep(0)

    # ---- One connection ----------------------------------------------------------------------------------------------

    async def _handshake(self, connection: ServerConnection, _request: Request) -> Response | None:
        self.attempts += 1
        if self.faults.take(Fault.SLOW_HANDSHAKE):
            await asyncio.sleep(self.timing.handshake_delay)
        for fault, (status, code, message) in _HTTP_FAULTS.items():
            if self.faults.take(fault):
                error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
                return connection.respond(status, json.dumps({"error": error}) + "\n")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None  # noqa: S101 - the handshake is over
        number = len(self.sessions)
        asked = parse_qs(urlsplit(connection.request.path).query).get("fault", [])
        session = ModelSession(
            connection,
            number,
            self.scripts[number] if number < len(self.scripts) else self.script,
            seed=self.seed,
            faults=Faults(*(Fault(name) for name in asked), above=self.faults),
            timing=self.timing,
            record=self.record,
        )
        session.otherwise = self.otherwise
        self.sessions.append(session)
        async with self._connected:
            self._connected.notify_all()
        try:
            await session.run()
        except* Exception as crash:  # noqa: BLE001 - a test's brain may raise anything; it is raised at the end
            self.crashes.extend(crash.exceptions)
            with suppress(Exception):
                await connection.close(1011, "The server had an error while processing your request.")
