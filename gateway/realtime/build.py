"""A line's configuration as a graph of RealtimeAgents."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, OutputGuardrail
from agents.realtime import RealtimeAgent, RealtimeRunConfig

from gateway.errors import ConfigError, Fault
from gateway.realtime import options
from gateway.realtime.handoffs import HandoffBudget
from gateway.realtime.resolve import Resolver
from gateway.realtime.shield import Shield
from gateway.tools.context import ToolContext
from gateway.tools.spec import ToolSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents import ToolErrorFormatterArgs

    from gateway.config.resolved import AgentConfig, LineConfig
    from gateway.realtime.toolsloop import CallTools, ToolsLoop
    from gateway.realtime.usercode import UserCode

NOT_APPROVED = "Nobody approved this, so it was not done. Tell the caller, and don't try it again unless they ask."


@dataclass(frozen=True, slots=True)
class CallAgents:
    """The agents of one call, ready for a ``RealtimeSide``.

    Attributes:
        agent: who picks up; its handoffs lead to the others.
        run_config: all settings of the session: model_settings, guardrails and their debounce, tracing.
        context: what the session is given as its context, and so what tools see.
        tools: the call's share of the tools loop; to be closed when the call ends.
    """

    agent: RealtimeAgent[Any]
    run_config: RealtimeRunConfig
    context: ToolContext
    tools: CallTools
    _budget: HandoffBudget = field(repr=False)
    _code: UserCode = field(repr=False)
    """The call keeps its snapshot's Python alive."""

    def caller_spoke(self) -> None:
        """Let agents hand over again: a loop of handoffs ends when the caller has said something."""
        self._budget.caller_spoke()


class AgentBuilder:
    """Makes the agents of calls from one snapshot of the configuration; slow work is done once per line.

    Args:
        code: the user's Python of this snapshot.
        tools: where tools run.
    """

    def __init__(self, code: UserCode, tools: ToolsLoop) -> None:
        self._code = code
        self._tools = tools
        self._plans: dict[str, _LinePlan] = {}
        self._lock = threading.Lock()

    def check(self, line: LineConfig) -> list[Fault]:
        """Return what is wrong with the tools, guardrails, agents and Python that a line names; empty when all is well.

        It loads the user's Python, which may take long: to be called before calls come, or on another thread.
        """
        try:
            self._plan(line)
        except ConfigError as error:
            return error.faults
        return []

    def build(self, line: LineConfig, context: ToolContext) -> CallAgents:
        """Make the agents of one call.

        Raises:
            ConfigError: something that the line names does not exist or is of the wrong kind.
        """
        plan = self._plan(line)
        tools = self._tools.for_call(context.call_id)
        budget = HandoffBudget(context)
        shield = Shield(tools, context, budget)
        agent = _graph(plan, shield, context.vars) if plan.own is None else shield.agent(plan.own)
        settings = options.run_config(line, call_id=context.call_id)
        settings["output_guardrails"] = [shield.guardrail(each) for each in plan.guardrails]
        settings["tool_error_formatter"] = _not_approved
        return CallAgents(agent, settings, context, tools, _budget=budget, _code=self._code)

    def _plan(self, line: LineConfig) -> _LinePlan:
        with self._lock:
            plan = self._plans.get(line.key)
            if plan is None or plan.line is not line:
                plan = self._plans[line.key] = _plan_line(line, Resolver(self._code))
            return plan


@dataclass(frozen=True, slots=True)
class _AgentPlan:
    """An agent with what its names stand for."""

    config: AgentConfig
    tools: tuple[tuple[ToolSpec | FunctionTool, bool], ...]
    """Each with whether this agent needs approval for it."""
    guardrails: tuple[OutputGuardrail[Any], ...]


@dataclass(frozen=True, slots=True)
class _LinePlan:
    """A line with what its names stand for; ``own`` is a RealtimeAgent of the user's, which needs no ``agents``."""

    line: LineConfig
    guardrails: tuple[OutputGuardrail[Any], ...]
    agents: dict[str, _AgentPlan]
    own: RealtimeAgent[Any] | None


def _plan_line(line: LineConfig, resolver: Resolver) -> _LinePlan:
    guardrails = tuple(resolver.guardrails(line.guardrails))
    agents = {name: _plan_agent(line, agent, resolver) for name, agent in line.agents.items()}
    own = None if line.agent in line.agents else resolver.agent(line.agent)
    if resolver.faults:
        raise ConfigError(resolver.faults)
    return _LinePlan(line, guardrails, agents, own)


def _plan_agent(line: LineConfig, agent: AgentConfig, resolver: Resolver) -> _AgentPlan:
    where = Fault(str(line.folder / f"{line.id}.yaml"), 1, 1, f"line {line.id}, agent {agent.name}")
    tools = []
    for reference in agent.tools:
        tool = resolver.tool(reference, targets=tuple(line.transfer), notes=line.notes, where=where)
        if tool is not None:
            tools.append((tool, reference in agent.needs_approval))
    names = [tool.name for tool, _ in tools]
    names += [f"transfer_to_{name.replace('-', '_')}" for name in agent.handoffs]
    for name, count in Counter(names).items():
        if count > 1:
            resolver.fault(
                where, f"has {count} tools or handoffs called {name}", "rename one, the model can't tell them apart"
            )
    return _AgentPlan(agent, tuple(tools), tuple(resolver.guardrails(agent.guardrails)))


def _graph(plan: _LinePlan, shield: Shield, variables: Mapping[str, str]) -> RealtimeAgent[Any]:
    """Make the agents, then connect them: they may hand over in circles."""
    made = {name: _agent(agent, shield, variables) for name, agent in plan.agents.items()}
    for name, agent in plan.agents.items():
        shield.connect(made[name], [made[other] for other in agent.config.handoffs])
    return made[plan.line.agent]


def _agent(plan: _AgentPlan, shield: Shield, variables: Mapping[str, str]) -> RealtimeAgent[Any]:
    return RealtimeAgent(
        name=plan.config.name,
        handoff_description=plan.config.handoff_description or None,
        instructions=plan.config.told(variables),
        tools=[
            shield.spec(tool, needs_approval=needed)
            if isinstance(tool, ToolSpec)
            else shield.tool(tool, needs_approval=needed)
            for tool, needed in plan.tools
        ],
        output_guardrails=[shield.guardrail(guardrail) for guardrail in plan.guardrails],
    )


def _not_approved(args: ToolErrorFormatterArgs[Any]) -> str | None:
    return NOT_APPROVED if args.kind == "approval_rejected" else None
