"""Opens the model sessions of calls: what a line says, made into a running agent's side."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

from gateway.call.commands import AgentCommand
from gateway.call.events import Event, SpeechStopped
from gateway.call.playout import PlaybackState
from gateway.config.directory import Directory
from gateway.config.resolved import LineConfig
from gateway.errors import Fault
from gateway.realtime import options
from gateway.realtime.build import AgentBuilder, CallAgents
from gateway.realtime.session import RealtimeSide
from gateway.realtime.socket import Transport
from gateway.realtime.toolsloop import ToolsLoop
from gateway.realtime.usercode import UserCode
from gateway.tools.context import ToolContext

_SNAPSHOTS = 4
"""Snapshots whose agents are kept built; calls keep their own alive beyond that."""


class Agents:
    """Makes the agent's side of a call's model sessions.

    Args:
        url: the model's server where a line names none; empty is OpenAI's.
        api_key: the key for it.
        tools: where tools run.
    """

    def __init__(self, *, url: str, api_key: str, tools: ToolsLoop) -> None:
        self._url = url
        self._api_key = api_key
        self._tools = tools
        self._transport = Transport(tls=ssl.create_default_context())
        self._builders: dict[str, AgentBuilder] = {}
        options.keep_traces_home()

    def check(self, directory: Directory) -> Sequence[Fault]:
        """Load what a snapshot's lines name, and return what is wrong with it; slow, so not on the event loop."""
        builder = self._builder(directory)
        return [fault for line in directory.every() for fault in builder.check(line)]

    def open(
        self,
        directory: Directory,
        line: LineConfig,
        context: ToolContext,
        *,
        session: int,
        playback: Callable[[], PlaybackState],
    ) -> AgentOfCall:
        """Make the side of one model session, not yet connected.

        Raises:
            ConfigError: the line names what does not exist.
        """
        agents = self._builder(directory).build(line, context)
        where = options.endpoint(line.model, url=self._url, api_key=self._api_key)
        side = RealtimeSide(
            agents.agent,
            session=session,
            playback=playback,
            run_config=agents.run_config,
            context=agents.context,
            url=where.url,
            headers=where.headers,
            transport=self._transport,
        )
        return AgentOfCall(side, agents)

    def _builder(self, directory: Directory) -> AgentBuilder:
        builder = self._builders.get(directory.hash)
        if builder is None:
            builder = AgentBuilder(UserCode(directory.folder, directory.hash), self._tools)
            self._builders[directory.hash] = builder
            while len(self._builders) > _SNAPSHOTS:
                del self._builders[next(iter(self._builders))]
        return builder


class AgentOfCall:
    """One model session of a call, with its share of the tools."""

    def __init__(self, side: RealtimeSide, agents: CallAgents) -> None:
        self._side = side
        self._agents = agents
        self.perform: Callable[[AgentCommand], None] = side.perform
        """Takes a command for the model."""
        self.hear: Callable[[str, int], None] = side.hear
        """Takes a frame of the caller: the side's own method, as there are so many of them."""

    async def run(self, emit: Callable[[Event], None]) -> None:
        """Connect, and run until closed or lost; the tools of the session end with it."""

        def told(event: Event) -> None:
            if type(event) is SpeechStopped:
                self._agents.caller_spoke()
            emit(event)

        try:
            await self._side.run(told)
        finally:
            self._agents.tools.close()
