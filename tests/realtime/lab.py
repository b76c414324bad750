"""A folder of the user's, and calls whose agents are made from it: a real session of the SDK, a scripted model server."""

import asyncio
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from agents.realtime import (
    RealtimeRunner,
    RealtimeSession,
)

from gateway.call.events import Event
from gateway.call.policy import Target
from gateway.config.resolved import AgentConfig, LineConfig
from gateway.realtime.build import AgentBuilder, CallAgents
from gateway.realtime.model import GatewayModel
from gateway.realtime.options import endpoint
from gateway.realtime.toolsloop import ToolsLoop
from gateway.realtime.usercode import UserCode
from gateway.testing.model import ModelSession, ScriptedModel, Timing, Turn
from gateway.tools import ToolContext

DESK = Target("desk", "+14155550111")


@dataclass
class Lab:
    """One folder of the user's, and the calls made from it."""

    folder: Path
    tools: ToolsLoop
    asked: list[Event] = field(default_factory=list)

    def write(self, name: str, source: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))

    def builder(self) -> AgentBuilder:
        return AgentBuilder(UserCode(self.folder), self.tools)

    def line(self, *agents: AgentConfig, agent: str = "", **options: Any) -> LineConfig:
        known = MappingProxyType({each.name: each for each in agents})
        options.setdefault("transfer", MappingProxyType({"desk": DESK}))
        return LineConfig(id="test", agent=agent or agents[0].name, agents=known, folder=self.folder, **options)

    def build(self, line: LineConfig) -> CallAgents:
        context = ToolContext(call_id="call-1", line=line.id, ask=self.asked.append, targets=tuple(line.transfer))
        return self.builder().build(line, context)

    @asynccontextmanager
    async def call(self, line: LineConfig, *turns: Turn, **options: Any) -> AsyncIterator["Call"]:
        made = self.build(line)
        async with ScriptedModel(turns, timing=Timing(), **options) as server:
            place = endpoint(line.model, url=server.url, api_key="k")
            config: Any = {"url": place.url, "headers": dict(place.headers)}
            runner = RealtimeRunner(made.agent, model=GatewayModel(), config=made.run_config)
            async with await runner.run(context=made.context, model_config=config) as session:
                call = Call(made, session, await server.connected())
                reader = asyncio.create_task(call.read())
                await call.wire.wait_for("session.update")
                yield call
                reader.cancel()
                made.tools.close()


@dataclass
class Call:
    """A session, what it says, and the other end of its wire."""

    made: CallAgents
    session: RealtimeSession
    wire: ModelSession
    events: list[Any] = field(default_factory=list)
    ended: BaseException | None = None

    async def read(self) -> None:
        try:
            async for event in self.session:
                self.events.append(event)
        except Exception as error:  # noqa: BLE001 - asserted on
            self.ended = error

    async def output(self, count: int = 1) -> str:
        """Wait for what the model was told by its ``count``-th tool."""
        while True:
            outputs = [
                event["item"]["output"]
                for event in self.wire.events("conversation.item.create")
                if event["item"]["type"] == "function_call_output"
            ]
            if len(outputs) >= count:
                return str(outputs[count - 1])
            await asyncio.sleep(0.01)

    async def event(self, kind: type[Any], count: int = 1) -> Any:
        while True:
            found = [event for event in self.events if isinstance(event, kind)]
            if len(found) >= count:
                return found[count - 1]
            await asyncio.sleep(0.01)


def agent(name: str = "desk", **options: Any) -> AgentConfig:
    return AgentConfig(name, options.pop("instructions", f"You are {name}."), **options)


class Ticks:
    """When the serving loop got round to something; it does so every 5 ms unless somebody holds it up."""

    def __init__(self) -> None:
        self._times: list[float] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            self._times.append(time.monotonic())
            await asyncio.sleep(0.005)

    def within(self, times: Any) -> int:
        """Count the ticks between the first two of these times."""
        began, ended, *_ = times
        return sum(began < tick < ended for tick in self._times)
