"""A line's configuration as a graph of RealtimeAgents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.realtime import RealtimeAgent, RealtimeRunConfig

from gateway.errors import Fault
from gateway.tools import ToolContext

if TYPE_CHECKING:
    from gateway.config.schema import LineConfig
    from gateway.realtime.toolsloop import CallTools, ToolsLoop
    from gateway.realtime.usercode import UserCode


@dataclass(frozen=True, slots=True)
class CallAgents:
    """The agents of one call, ready for a ``RealtimeSide``.

    Attributes:
        agent: who picks up; its handoffs lead to the others.
        run_config: all settings of the session: model_settings, guardrails and their debounce, tracing.
        context: what the session is given as its context, and so what tools see.
        tools: the call's share of the tools loop; to be closed when the call ends.
    """

    agent: RealtimeAgent[ToolContext]
    run_config: RealtimeRunConfig
    context: ToolContext
    tools: CallTools

    def caller_spoke(self) -> None:
        """Let agents hand over again: a loop of handoffs ends when the caller has said something."""
        raise NotImplementedError


class AgentBuilder:
    """Makes the agents of calls from one snapshot of the configuration; slow work is done once per line.

    Args:
        code: the user's Python of this snapshot.
        tools: where tools run.
    """

    def __init__(self, code: UserCode, tools: ToolsLoop) -> None:
        raise NotImplementedError

    def check(self, line: LineConfig) -> list[Fault]:
        """Return what is wrong with the tools, guardrails, agents and Python that a line names; empty when all is well."""
        raise NotImplementedError

    def build(self, line: LineConfig, context: ToolContext) -> CallAgents:
        """Make the agents of one call.

        Raises:
            ConfigError: something that the line names does not exist or is of the wrong kind.
        """
        raise NotImplementedError
