"""The API over real records, with a call that lives."""

import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.audio.wav import WavWriter
from gateway.call.admission import Admission
from gateway.call.commands import CloseAgent
from gateway.call.events import AgentReady
from gateway.call.incoming import IncomingCall
from gateway.carriers.token import StreamTokens
from gateway.carriers.twilio.twiml import Links
from gateway.config.loader import load
from gateway.exchange import Exchange
from gateway.livecall import CallMaker
from gateway.store import tokens
from gateway.store.database import Database
from gateway.store.log import LogWriter
from gateway.store.projector import Projector
from gateway.store.rebuild import rebuild
from gateway.store.recording.shelf import Recordings
from gateway.store.retention import Shelf
from gateway.web.api import create_api
from gateway.web.api.app import Api

LINE = 'number: "+14155550100"\ninstructions: Be brief.\ngreeting: Hello.\n'


class Agents:
    def open(self, directory, line, context, *, session, playback):
        closed = anyio.Event()

        async def run(emit):
            emit(AgentReady(session))
            await closed.wait()

        def perform(command):
            if isinstance(command, CloseAgent):
                closed.set()

        return SimpleNamespace(run=run, perform=perform)


@dataclass
class Node:
    app: Starlette
    api: Api
    database: Database
    exchange: Exchange
    recordings: Recordings
    operations: list[Any]

    async def client(self, *scopes):
        """Return a client whose token has these scopes; without any it has no token."""
        headers = {}
        if scopes:
            _, shown = await tokens.create(self.database, "tests", scopes, by="tests")
            headers["Authorization"] = f"Bearer {shown}"
        transport = httpx2.ASGITransport(self.app)
        return httpx2.AsyncClient(transport=transport, base_url="http://gateway/api/v1", headers=headers)

    def live(self, sid="CAlive"):
        self.exchange.offer(IncomingCall(sid, "AC1", "+14155550123", "+14155550100"))
        return next(call for call in self.exchange.calls if call.incoming.call_sid == sid)

    def record(self, call_id, seconds=1):
        """Put a recording there, of as many seconds."""
        self.recordings.folder.mkdir(exist_ok=True)
        with (self.recordings.folder / f"{call_id}.wav").open("w+b") as file:
            WavWriter(file).write(bytes(range(256)) * 31 * seconds, b"")


@asynccontextmanager
async def running(url, folder):
    lines = folder / "lines"
    lines.mkdir()
    (lines / "desk.yaml").write_text(LINE)
    directory = load(lines)
    database = Database(url)
    await rebuild(database, folder / "calls")
    projector = Projector(url, folder / "calls")
    logs = LogWriter(folder / "calls", told=projector.told)
    recordings = Recordings(folder / "recordings")
    exchange = Exchange(
        directory=lambda: directory,
        tokens=StreamTokens(b"0123456789abcdef"),
        admission=Admission(10),
        maker=CallMaker(
            logs=logs,
            agents=Agents(),
            carrier=lambda _account_sid: None,
            clock=anyio.current_time,
            wall=lambda: 1_800_000_000.0 + anyio.current_time(),
        ),
        clock=anyio.current_time,
        wall=lambda: 1_800_000_000.0 + anyio.current_time(),
    )
    api = create_api(
        Shelf(database, folder / "calls", recordings), exchange, lambda: directory, Links("https://gw.example")
    )
    logs.start()
    projector.start()
    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(exchange.run)
            yield Node(Starlette(routes=api.routes()), api, database, exchange, recordings, api.operations)
            tasks.cancel_scope.cancel()
    finally:
        logs.stop()
        projector.stop()
        await database.close()


@pytest.fixture
async def node(url, tmp_path, writer, whole, brisk):
    """A node with three calls that are over (``node.calls``, the oldest first)."""
    calls = [whole(wall=1_700_000_000.0 + 3600 * number, caller=f"+1415555012{number}") for number in range(3)]
    writer.stop()
    async with running(url, tmp_path) as here:
        here.calls = calls
        yield here


@pytest.fixture
def served(url, tmp_path, writer, whole, brisk):
    """The same, served on a port: its address, a token for everything, and the calls' ids."""
    calls = [whole(wall=1_700_000_000.0 + number) for number in range(3)]
    writer.stop()
    ready = threading.Event()
    found = SimpleNamespace(ids=[call.call_id for call in calls])

    async def serve():
        async with running(url, tmp_path) as here:
            for call_id in found.ids:
                here.record(call_id)
            _, found.token = await tokens.create(here.database, "tests", tokens.SCOPES, by="tests")
            found.ids.append(here.live().call_id)
            server = uvicorn.Server(uvicorn.Config(here.app, port=0, log_config=None, lifespan="off"))
            found.server = server
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.serve)
                while not server.started:
                    await anyio.sleep(0.02)
                found.port = server.servers[0].sockets[0].getsockname()[1]
                ready.set()

    thread = threading.Thread(target=lambda: anyio.run(serve))
    thread.start()
    assert ready.wait(20)
    yield found
    found.server.should_exit = True
    thread.join(20)
