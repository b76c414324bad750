"""Both databases: SQLite in a temporary file, and a private PostgreSQL cluster."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.commands import Finish, Mark
from gateway.call.policy import Policy, Target
from gateway.livecall import new_call_id
from gateway.store.database import Database
from gateway.store.log import LogWriter
from gateway.store.log_lines import Header, silent_payload
from gateway.store.schema import upgrade


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL server on a Unix socket of its own, and psql to talk to it."""

    folder: Path
    programs: Path

    def url(self, name: str) -> str:
        return f"postgresql://gateway@/{name}?host={self.folder}"

    def run(self, sql: str) -> None:
        subprocess.run(
            [self.programs / "psql", "-h", self.folder, "-U", "gateway", "-d", "postgres", "-qc", sql],
            check=True,
            capture_output=True,
        )

    def dump(self, name: str) -> bytes:
        """Everything in a database, as pg_dump writes it."""
        command = [str(self.programs / "pg_dump"), "-h", str(self.folder), "-U", "gateway", name]
        return subprocess.run(command, check=True, capture_output=True).stdout


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server for this run."""
    if _programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgresql() as here:
        here.run("CREATE DATABASE template_records")
        anyio.run(_upgrade, here.url("template_records"))
        yield here


@contextmanager
def postgresql() -> Iterator[Cluster]:
    """Run a PostgreSQL server without the guarantees that cost time; what it writes goes with it."""
    programs = _programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
    user: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        account = next(name for name in ("postgres", "nobody") if _is_user(name))
        shutil.chown(folder, account)
        user = {"user": account}
    server = None
    try:
        subprocess.run(
            [
                str(programs / "initdb"),
                "-D",
                str(folder / "data"),
                "-U",
                "gateway",
                "-A",
                "trust",
                "-N",
                "-E",
                "UTF8",
                "--locale=C",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **user,
        )
        options = ["-F", "-c", "listen_addresses=", "-c", "unix_socket_directories=" + str(folder)]
        options += ["-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "max_connections=40"]
        with (folder / "log").open("wb") as log:
            command = [str(programs / "postgres"), "-D", str(folder / "data"), *options]
            server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log, **user)
        here = Cluster(folder, programs)
        ready = [str(programs / "pg_isready"), "-q", "-h", str(folder), "-t", "1"]
        for _ in range(300):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            assert server.poll() is None, (folder / "log").read_text()
            subprocess.run(["sleep", "0.1"], check=True)
        yield here
    finally:
        if server is not None:
            server.terminate()
            server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


async def _upgrade(url: str) -> None:
    database = Database(url)
    await upgrade(database)
    await database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("template") / "gateway.db"
    anyio.run(_upgrade, f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path) -> Iterator[str]:
    """A database without tables, once on each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    here = request.getfixturevalue("cluster")
    here.run("DROP DATABASE IF EXISTS empty")
    here.run("CREATE DATABASE empty")
    yield here.url("empty")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> Iterator[str]:
    """A database of this version, once on each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "gateway.db")
        yield f"sqlite:///{tmp_path / 'gateway.db'}"
        return
    here = request.getfixturevalue("cluster")
    name = f"test_{os.urandom(6).hex()}"
    here.run(f"CREATE DATABASE {name} TEMPLATE template_records")
    yield here.url(name)
    here.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def brisk(monkeypatch) -> None:
    """Have the threads of the store look at once for what is to be written, and whether they are to end."""
    monkeypatch.setattr("gateway.store.projector.EVERY", 0.05)


class Talk:
    """A call that is taken through the core and logged, event by event, on a clock of the test's."""

    def __init__(self, writer: LogWriter, *, call_id: str = "", policy: Policy | None = None, **header: Any) -> None:
        self.policy = policy or Policy("desk", transfers={"sales": Target("sales", "+14155550177")})
        wall = header.pop("wall", 1_700_000_000.0)
        self.call_id = call_id or new_call_id(wall)
        fields = {"caller": "+14155550123", "called": "+14155550100", "account_sid": "AC1"} | header
        self.writer = writer
        self.call = Call(self.policy, 0.0)
        self.log_sid = f"CA{self.call_id[-8:]}"
        self.log = writer.open(
            Header(
                self.call_id,
                f"CA{self.call_id[-8:]}",
                self.policy.line,
                "hash",
                "1",
                wall,
                5.0,
                self.policy,
                {},
                **fields,
            )
        )
        self.now = 0.0
        self.over = False

    def say(self, event: e.Event, after: float = 0.0) -> list[Any]:
        """Feed an event this many seconds after the one before."""
        self.now = round(self.now + after, 6)
        commands = self.call.handle(event, self.now)
        self.log.append(self.now, event, commands)
        if self.call.turns.settled:
            self.log.settled(self.now, self.call.turns.take_settled())
        for command in commands:
            if isinstance(command, Finish) and not self.over:
                self.over = True
                self.log.close(self.now, command.reason, {"usage": self.call.usage, "turns": self.call.turns.held})
        return commands

    def begin(self) -> None:
        self.say(e.AgentReady(1))
        self.say(e.AgentChanged("", "triage"))
        self.say(e.StreamStarted("MZ1", 1), 0.5)

    def frames(self, milliseconds: int) -> None:
        """Let the caller's frames come, and echo every mark on the way."""
        for _ in range(milliseconds // 20):
            self.now = round(self.now + 0.02, 6)
            self.say(e.CallerAudio(silent_payload(160), 160, int(self.now * 1000)))

    def heard_ms(self) -> int:
        """Return the millisecond of the model's input that is spoken now."""
        return int(self.call._appended_ms)

    def asks(self, item: str, text: str) -> None:
        self.say(e.SpeechStarted(item, self.heard_ms()), 0.2)
        self.frames(400)
        self.say(e.SpeechStopped(item, self.heard_ms()))
        self.say(e.CallerTranscribed(item, text, final=True))

    def answers(self, item: str, text: str, milliseconds: int = 1000, *, heard: int | None = None) -> None:
        """Have the agent say something, of which so much is heard before the caller cuts it."""
        response = f"resp-{item}"
        self.say(e.ResponseStarted(response), 0.1)
        size = milliseconds * 8
        commands = self.say(e.AgentAudio(1, response, item, 0, silent_payload(size), size))
        self.say(e.AgentTranscribed(1, item, 0, text, final=True))
        commands += self.say(e.AgentAudioDone(1, item, 0))
        commands += self.say(e.ResponseDone(response, "completed", usage={"input_tokens": 10, "output_tokens": 20}))
        self.frames(milliseconds if heard is None else heard)
        if heard is None:
            for command in commands:
                if isinstance(command, Mark):
                    self.say(e.MarkReached(command.name))
            self.frames(200)
            self.say(e.TimePassed())
        else:
            self.say(e.SpeechStarted(f"over-{item}", self.heard_ms()))

    def ends(self, status: str = "completed") -> None:
        self.say(e.StreamStopped(self.call._stream, "stop"), 0.2)
        self.say(e.StatusChanged(status), 0.1)


@pytest.fixture
def whole(talk: Callable[..., Talk]) -> Callable[..., Talk]:
    """Make a call with everything in it."""

    def make(**options: Any) -> Talk:
        call = talk(**options)
        call.begin()
        call.answers("greet", "Hello, this is Acme speaking.")
        call.asks("c1", "I lost my blue umbrella in seat 14C")
        call.say(e.ToolStarted("find_item", '{"what": "umbrella"}', "t1"), 0.1)
        call.say(e.ToolEnded("find_item", "found at the desk", "t1"), 0.4)
        call.say(e.ApprovalAsked("refund", '{"amount": 5}', "t2"), 0.1)
        call.say(e.ApprovalGiven("t2", True, "ann"), 0.5)
        call.say(e.ToolEnded("refund", "refunded", "t2"), 0.1)
        call.answers("a1", "We have found your umbrella at the desk in the main hall of the station.", 4000, heard=1000)
        call.frames(300)
        call.say(e.SpeechStopped("over-a1", call.heard_ms()))
        call.say(e.AgentChanged("triage", "seats"))
        call.say(e.GuardrailTripped(("no_links",), "a9"))
        call.say(e.TransferAsked("agent", "sales"), 0.1)
        call.frames(1000)
        for _ in range(3):
            call.say(e.TimePassed(), 0.7)
        call.say(e.StreamStopped(1, "closed"), 0.1)
        call.say(e.ContinuationAsked("in-progress"), 0.1)
        call.say(e.CallerTranscribed("over-a1", "No wait, the other hall", final=True))
        call.say(e.ContinuationAsked("in-progress", "busy"), 8.0)
        call.say(e.StreamStarted("MZ2", 2), 0.3)
        call.ends()
        return call

    return make


@pytest.fixture
def writer(tmp_path) -> Iterator[LogWriter]:
    logs = LogWriter(tmp_path / "calls")
    logs.start()
    yield logs
    logs.stop()


@pytest.fixture
def talk(writer) -> Callable[..., Talk]:
    return lambda **options: Talk(options.pop("writer", writer), **options)
