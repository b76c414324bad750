"""A side of the agent under test: connected to a scripted model, with what it told the call."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent

from gateway.call.commands import AgentCommand, CloseAgent, Hear
from gateway.call.events import AgentReady, Event
from gateway.call.playout import PlaybackState
from gateway.realtime.session import RealtimeSide
from gateway.realtime.toolsloop import ToolsLoop
from gateway.testing.model import ModelSession, ScriptedModel, Timing
from tests.realtime.lab import Lab

E = TypeVar("E")

SERVER_VAD = {"type": "server_vad", "silence_duration_ms": 200}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def quick() -> Timing:
    """Answers begin after 10 ms and come twenty times faster than they are spoken."""
    return Timing(first_audio=0.01, speed=20, transcription=0.01)


@function_tool
async def find_seat(row: int) -> str:
    """Find a seat in a row."""
    return f"{row}A"


@function_tool(needs_approval=True)
async def change_seat(row: int) -> str:
    """Change to a row."""
    return f"changed to {row}"


def triage() -> RealtimeAgent[Any]:
    faq: RealtimeAgent[Any] = RealtimeAgent(name="FAQ", instructions="You know the answers.")
    return RealtimeAgent(
        name="Triage", instructions="You are the first.", tools=[find_seat, change_seat], handoffs=[faq]
    )


class Caller:
    """One ``RealtimeSide`` as a call sees it: its events in order, and what the ear is at."""

    def __init__(self, model: ScriptedModel, agent: RealtimeAgent[Any] | None = None, **options: Any) -> None:
        self.model = model
        self.events: list[Event] = []
        self.heard = PlaybackState(None, 0, 0.0)
        self.emit: Callable[[Event], None] = lambda _: None
        turn_detection = options.pop("turn_detection", SERVER_VAD)
        run_config = {"model_settings": {"turn_detection": turn_detection}} | options.pop("run_config", {})
        options = {"session": 1, "url": model.url, "api_key": "test", "run_config": run_config} | options
        self.side = RealtimeSide(agent or triage(), playback=lambda: self.heard, **options)
        self.running: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._number = len(model.sessions)

    @property
    def server(self) -> ModelSession:
        return self.model.session(self._number)

    def ring(self) -> None:
        """Start, without waiting for anything."""
        self.running = asyncio.create_task(self.side.run(self._take))

    async def __aenter__(self) -> Self:
        self.ring()
        await self.wait_for(AgentReady)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.side.perform(CloseAgent())
        await self.over()

    async def over(self, timeout: float = 10) -> None:
        """Wait for ``run`` to return."""
        assert self.running is not None
        async with asyncio.timeout(timeout):
            await self.running

    def perform(self, *commands: AgentCommand) -> None:
        for command in commands:
            if isinstance(command, Hear):  # by the way that frames come
                self.side.hear(command.payload, command.size)
            else:
                self.side.perform(command)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait_for(self, kind: type[E], count: int = 1, timeout: float = 10) -> E:
        """Wait for so many events of a type, and give the last of these."""
        try:
            async with asyncio.timeout(timeout):
                while len(self.of(kind)) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"waited for {kind.__name__}; there were {self.events[-12:]}") from None
        return self.of(kind)[count - 1]

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()
        self.emit(event)


Call: TypeAlias = Callable[..., Caller]


@pytest.fixture
def call() -> Call:
    """Make a caller: ``async with call(model) as caller`` is connected, ``call(model).ring()`` does not wait."""
    return Caller


@pytest.fixture
def tools() -> Iterator[ToolsLoop]:
    loop = ToolsLoop(stuck_after=0.3)
    yield loop
    loop.close()


@pytest.fixture
def lab(tmp_path: Path, tools: ToolsLoop) -> Lab:
    (tmp_path / "tools").mkdir()
    return Lab(tmp_path, tools)
