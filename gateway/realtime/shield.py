"""The user's agents, tools and guardrails as one call may use them: all of their Python on the tools loop.

The SDK calls tools, guardrails, dynamic instructions, ``is_enabled``, ``needs_approval`` and what happens at a handoff
on the loop that carries the calls, and lets an exception of most of them end the session. What is made here does
neither. The user's own objects are never changed: calls share them.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import structlog
from agents import (
    FunctionTool,
    GuardrailFunctionOutput,
    Handoff,
    OutputGuardrail,
    RunContextWrapper,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolOutputGuardrail,
)
from agents.exceptions import ModelBehaviorError
from agents.realtime import RealtimeAgent
from agents.tool import invoke_function_tool, set_function_tool_failure_error_function
from agents.tool_context import ToolContext as SdkToolContext

from gateway.errors import ToolError
from gateway.realtime.handoffs import Gate, HandoffBudget
from gateway.realtime.toolsloop import CallTools
from gateway.realtime.toolsthread import described
from gateway.tools.context import ToolContext
from gateway.tools.spec import DEFAULT_TIMEOUT, ToolSpec

log = structlog.get_logger()

T = TypeVar("T")

ANSWER_TIMEOUT = 5.0
"""Seconds for a guardrail, dynamic instructions and the like: the agent waits for them."""

OWN_TIMEOUT_MARGIN = 1.0
"""Seconds that a tool with a timeout of its own gets beyond it, so that it is the tool that says so."""

NO_INSTRUCTIONS = (
    "You answer the phone, but your instructions could not be loaded. Apologise for a technical problem, say that you "
    "can't help right now, and ask the caller to call again later."
)


class Shield:
    """Makes what the user wrote safe for one call.

    Args:
        tools: the call's share of the tools loop.
        context: what tools get to see of the call.
        budget: how often agents may hand over.
    """

    def __init__(self, tools: CallTools, context: ToolContext, budget: HandoffBudget) -> None:
        self._tools = tools
        self._context = context
        self._budget = budget
        self._agents: dict[int, tuple[RealtimeAgent[Any], RealtimeAgent[Any]]] = {}
        self._guardrails: dict[int, tuple[OutputGuardrail[Any], OutputGuardrail[Any]]] = {}

    # ---- Tools ------------------------------------------------------------------------------------------------------

    def spec(self, spec: ToolSpec, *, needs_approval: bool = False) -> FunctionTool:
        """Return a tool of ours as one of the SDK's."""

        async def invoke(_context: SdkToolContext[Any], arguments: str) -> str:
            async def run() -> str:
                return await spec.run(self._context, _parse(arguments))

            return await self._tools.text(spec.name, run, timeout=spec.timeout)

        return FunctionTool(
            name=spec.name,
            description=spec.description,
            params_json_schema=spec.schema,
            on_invoke_tool=invoke,
            strict_json_schema=False,
            needs_approval=needs_approval,
        )

    def tool(self, tool: FunctionTool, *, needs_approval: bool = False) -> FunctionTool:
        """Return a tool of the user's that runs on the tools loop; it needs approval if it says so itself, too."""
        own = tool.timeout_seconds
        timeout = DEFAULT_TIMEOUT if own is None else own + OWN_TIMEOUT_MARGIN
        loud = cache(lambda: _loud(tool))  # made when it is first called: most tools never are

        async def invoke(context: SdkToolContext[Any], arguments: str) -> str:
            async def run() -> Any:
                try:
                    return await invoke_function_tool(function_tool=loud(), context=context, arguments=arguments)
                except ModelBehaviorError as error:
                    raise ToolError(f"{error}. Correct the arguments and try again.") from error

            return await self._tools.text(tool.name, run, timeout=timeout)

        return FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.params_json_schema,
            on_invoke_tool=invoke,
            strict_json_schema=False,  # it was made strict where the user wished so
            is_enabled=self._switch(tool.name, tool.is_enabled),
            tool_input_guardrails=[self._before(tool.name, each) for each in tool.tool_input_guardrails or ()],
            tool_output_guardrails=[self._after(tool.name, each) for each in tool.tool_output_guardrails or ()],
            needs_approval=needs_approval or self._approval(tool),
        )

    def _approval(self, tool: FunctionTool) -> bool | Callable[..., Awaitable[bool]]:
        policy = tool.needs_approval
        if not callable(policy):
            return bool(policy)
        # The SDK asks for approval where arguments, once validated, are not what the policy was shown.
        prepare = getattr(tool.on_invoke_tool, "prepare_arguments", None)

        async def ask(context: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
            async def decide() -> bool:
                if prepare is not None:
                    prepared = prepare(json.dumps(arguments), tool.name)
                    if prepared is not None and not prepared.unchanged:
                        return True
                return bool(await _settled(policy(context, arguments, call_id)))

            return await self._answer(f"{tool.name}.needs_approval", decide, otherwise=True)

        return ask

    def _before(self, tool: str, guardrail: ToolInputGuardrail[Any]) -> ToolInputGuardrail[Any]:
        async def check(data: Any) -> ToolGuardrailFunctionOutput:
            return await self._verdict(tool, lambda: guardrail.run(data))

        return ToolInputGuardrail(guardrail_function=check, name=guardrail.get_name())

    def _after(self, tool: str, guardrail: ToolOutputGuardrail[Any]) -> ToolOutputGuardrail[Any]:
        async def check(data: Any) -> ToolGuardrailFunctionOutput:
            return await self._verdict(tool, lambda: guardrail.run(data))

        return ToolOutputGuardrail(guardrail_function=check, name=guardrail.get_name())

    async def _verdict(
        self, tool: str, check: Callable[[], Awaitable[ToolGuardrailFunctionOutput]]
    ) -> ToolGuardrailFunctionOutput:
        """Ask a tool's own guardrail. One that raises, or asks for an exception, refuses (hazard H10)."""
        refused = ToolGuardrailFunctionOutput.reject_content(f"The tool {tool} is not allowed to do this.")
        verdict = await self._answer(f"{tool} guardrail", check, otherwise=refused)
        return refused if verdict.behavior["type"] == "raise_exception" else verdict

    # ---- Guardrails -------------------------------------------------------------------------------------------------

    def guardrail(self, guardrail: OutputGuardrail[Any]) -> OutputGuardrail[Any]:
        """Return an output guardrail; the same one for the same, as the SDK runs each only once."""
        if id(guardrail) not in self._guardrails:
            name = guardrail.get_name()

            async def check(context: Any, agent: Any, said: Any) -> GuardrailFunctionOutput:
                passed = GuardrailFunctionOutput(output_info="failed", tripwire_triggered=False)
                work = lambda: _settled(guardrail.guardrail_function(context, agent, said))  # noqa: E731
                return await self._answer(name, work, otherwise=passed)

            made: OutputGuardrail[Any] = OutputGuardrail(guardrail_function=check, name=name)
            self._guardrails[id(guardrail)] = (guardrail, made)
        return self._guardrails[id(guardrail)][1]

    # ---- Agents -----------------------------------------------------------------------------------------------------

    def agent(self, agent: RealtimeAgent[Any]) -> RealtimeAgent[Any]:
        """Return a user's agent, and all that it can hand over to, for this call."""
        if id(agent) in self._agents:
            return self._agents[id(agent)][1]
        made = agent.clone(
            tools=[self.tool(tool) if isinstance(tool, FunctionTool) else tool for tool in agent.tools],
            handoffs=[],
            output_guardrails=[self.guardrail(guardrail) for guardrail in agent.output_guardrails],
            instructions=self._instructions(agent),
        )
        # Before its handoffs, which may lead back to it.
        self._agents[id(agent)] = (agent, made)
        made.handoffs.extend(self._gate(made, each) for each in agent.handoffs)
        return made

    def connect(self, agent: RealtimeAgent[Any], others: Sequence[RealtimeAgent[Any]]) -> None:
        """Let an agent of this call hand over to others of this call."""
        agent.handoffs.extend(Gate.to(other, source=agent, budget=self._budget) for other in others)

    def _gate(
        self, source: RealtimeAgent[Any], handoff: RealtimeAgent[Any] | Handoff[Any, RealtimeAgent[Any]]
    ) -> Handoff[Any, RealtimeAgent[Any]]:
        if isinstance(handoff, RealtimeAgent):
            return Gate.to(self.agent(handoff), source=source, budget=self._budget)

        async def hand_over(context: RunContextWrapper[Any], arguments: str) -> RealtimeAgent[Any]:
            target = await self._tools.run(
                handoff.tool_name, lambda: handoff.on_invoke_handoff(context, arguments), timeout=DEFAULT_TIMEOUT
            )
            if not isinstance(target, RealtimeAgent):
                raise ToolError(f"{handoff.tool_name} returned no RealtimeAgent")
            return self.agent(target)

        enabled = self._switch(handoff.tool_name, handoff.is_enabled)
        return Gate.of(handoff, hand_over, source=source, budget=self._budget, is_enabled=enabled)

    def _instructions(self, agent: RealtimeAgent[Any]) -> str | Callable[..., Awaitable[str]] | None:
        instructions = agent.instructions
        if not callable(instructions):
            return instructions

        async def ask(context: RunContextWrapper[Any], current: RealtimeAgent[Any]) -> str:
            async def text() -> str:
                return str(await _settled(instructions(context, current)))

            return await self._answer(f"{agent.name}.instructions", text, otherwise=NO_INSTRUCTIONS)

        return ask

    # ---- What all of them share -------------------------------------------------------------------------------------

    def _switch(self, name: str, enabled: bool | Callable[..., Any]) -> bool | Callable[..., Awaitable[bool]]:  # noqa: FBT001 - the SDK's own two forms
        if not callable(enabled):
            return enabled

        async def ask(context: RunContextWrapper[Any], agent: Any) -> bool:
            async def decide() -> bool:
                return bool(await _settled(enabled(context, agent)))

            return await self._answer(f"{name}.is_enabled", decide, otherwise=False)

        return ask

    async def _answer(self, name: str, work: Callable[[], Awaitable[T]], *, otherwise: T) -> T:
        try:
            return await self._tools.run(name, work, timeout=ANSWER_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - whatever the user's function raises, the call goes on
            log.warning("user-function-failed", function=name, call_id=self._context.call_id, **described(error))
            return otherwise


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _loud(tool: FunctionTool) -> FunctionTool:
    """Let a tool's errors through where the SDK's default would put a fixed sentence in their place, unlogged."""
    if not tool._use_default_failure_error_function:
        return tool
    return set_function_tool_failure_error_function(copy.copy(tool), None)


def _parse(arguments: str) -> dict[str, Any]:
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ToolError("The arguments were not a JSON object.")
    return parsed
