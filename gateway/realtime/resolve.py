"""What the names in a line's configuration stand for: tools, guardrails, agents."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from agents import Agent, FunctionTool, OutputGuardrail, RunContextWrapper, function_tool
from agents.realtime import RealtimeAgent

from gateway.errors import ConfigError, Fault
from gateway.realtime import guardrails
from gateway.realtime.usercode import UserCode
from gateway.tools.builtin import BUILTIN_NAMES, builtin
from gateway.tools.context import ToolContext
from gateway.tools.spec import ToolSpec

_A_TOOL = "a tool is a function with type hints, a FunctionTool of the Agents SDK, or a ToolSpec of gateway.tools"
_A_GUARDRAIL = (
    "a guardrail is a function that takes the text and returns whether it must not be said, or an OutputGuardrail"
)
_AN_AGENT = "a line's agent is a RealtimeAgent of agents.realtime"


class Resolver:
    """Finds what is named, and collects what is wrong."""

    def __init__(self, code: UserCode) -> None:
        self._code = code
        self.faults: list[Fault] = []

    def fault(self, where: Fault, problem: str, remedy: str = "") -> None:
        """Note a fault of what ``where`` points at; its message names the part of the line."""
        message = f"{where.message} {problem}"
        self.faults.append(Fault(where.file, where.line, where.column, message, remedy))

    def tool(
        self, reference: str, *, targets: Sequence[str], notes: Mapping[str, str], where: Fault
    ) -> ToolSpec | FunctionTool | None:
        """Return a tool by its built-in name or as ``module:name``; None after a fault."""
        if ":" not in reference:
            try:
                return builtin(reference, targets, notes)
            except KeyError:
                known = ", ".join(BUILTIN_NAMES)
                self.fault(where, f"names a tool {reference!r}, which is not built in", f"built in are {known}")
            except ValueError as error:
                self.fault(
                    where,
                    f"has the tool {reference}, but {error}",
                    f"add {reference}{'s' if reference == 'note' else ''}: to the line",
                )
            return None
        thing = self._get(reference)
        if thing is None:
            return None
        try:
            tool = _as_tool(thing)
        except Exception as error:  # noqa: BLE001 - the SDK reads the user's signature and says in many ways what is wrong
            self._wrong(reference, f"can't be a tool: {error}", _A_TOOL)
            return None
        if tool is None:
            self._wrong(reference, f"is a {type(thing).__name__}, not a tool", _A_TOOL)
            return None
        return tool if isinstance(tool, ToolSpec) else self._usable(tool, reference)

    def guardrails(self, references: Sequence[str]) -> Iterator[OutputGuardrail[Any]]:
        """Return guardrails by built-in name or as ``module:name``, without those at fault."""
        for reference in references:
            if ":" not in reference:
                thing: object = guardrails.BUILTIN.get(reference)
                known = ", ".join(guardrails.BUILTIN)
                if thing is None:
                    message = f"no guardrail {reference!r} is built in"
                    self.faults.append(Fault(str(self._code.folder), 1, 1, message, f"built in are {known}"))
            else:
                thing = self._get(reference)
            if thing is None:
                continue
            guardrail = guardrails.as_guardrail(thing, reference.rpartition(":")[2])
            if guardrail is None:
                self._wrong(reference, f"is a {type(thing).__name__}, not a guardrail", _A_GUARDRAIL)
            else:
                yield guardrail

    def agent(self, reference: str) -> RealtimeAgent[Any] | None:
        """Return a RealtimeAgent of the user's, if it and all that can be seen to follow it can work on the phone."""
        agent = self._get(reference)
        if agent is None:
            return None
        if not isinstance(agent, RealtimeAgent):
            kind = type(agent).__name__
            other = "; an Agent speaks no realtime protocol" if isinstance(agent, Agent) else ""
            self._wrong(reference, f"is a {kind}, not a RealtimeAgent", _AN_AGENT + other)
            return None
        for each in _reachable(agent):
            self._check_agent(each, reference)
        return agent

    def _check_agent(self, agent: RealtimeAgent[Any], reference: str) -> None:
        if agent.mcp_servers:
            self._wrong(reference, f"leads to the agent {agent.name} with mcp_servers, which are not supported yet")
        names: set[str] = set()
        for tool in agent.tools:
            if not isinstance(tool, FunctionTool):
                kind = type(tool).__name__
                self._wrong(
                    reference, f"leads to the agent {agent.name} with a {kind}", "only function tools work on the phone"
                )
                continue
            self._usable(tool, reference)
            if tool.name in names:
                self._wrong(reference, f"leads to the agent {agent.name}, which has two tools called {tool.name}")
            names.add(tool.name)

    def _usable(self, tool: FunctionTool, reference: str) -> FunctionTool | None:
        if tool.defer_loading or tool.allowed_callers is not None:
            self._wrong(
                reference,
                f"has the tool {tool.name} with options that the realtime API does not have",
                "remove defer_loading and allowed_callers",
            )
            return None
        return tool

    def _get(self, reference: str) -> object | None:
        try:
            thing = self._code.get(reference)
        except ConfigError as error:
            # The same broken module may be named many times.
            self.faults += [fault for fault in error.faults if fault not in self.faults]
            return None
        if thing is None:
            self._wrong(reference, "is None")
        return thing

    def _wrong(self, reference: str, problem: str, remedy: str = "") -> None:
        self.faults.append(Fault(self._code.file(reference), 1, 1, f"{reference} {problem}", remedy))


def _as_tool(thing: object) -> ToolSpec | FunctionTool | None:
    if isinstance(thing, ToolSpec | FunctionTool):
        return thing
    if not inspect.isroutine(thing):
        return None
    _require_hints(thing)
    # Not strict: the realtime API does not enforce schemas anyway, and parameters with defaults stay optional.
    return function_tool(_with_our_context(thing), strict_mode=False)


def _require_hints(function: Callable[..., Any]) -> None:
    bare = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.annotation is parameter.empty
    ]
    if bare:
        raise TypeError(f"the model is not told what to give for {', '.join(bare)}; add type hints")


def _with_our_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function take a ``gateway.tools.ToolContext`` first, without any import of the Agents SDK."""
    hints = typing.get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    names = list(signature.parameters)
    if not names or hints.get(names[0]) is not ToolContext:
        return function
    first = names[0]

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def adapted(context: Any, *args: Any, **kwargs: Any) -> Any:
            return await function(context.context, *args, **kwargs)

    else:

        @functools.wraps(function)
        def adapted(context: Any, *args: Any, **kwargs: Any) -> Any:
            return function(context.context, *args, **kwargs)

    wrapper = RunContextWrapper[ToolContext]
    del adapted.__wrapped__
    adapted.__annotations__ = {**hints, first: wrapper}
    parameters = [
        parameter.replace(annotation=adapted.__annotations__[name]) for name, parameter in signature.parameters.items()
    ]
    adapted.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # PEP 362
    return adapted


def _reachable(agent: RealtimeAgent[Any]) -> list[RealtimeAgent[Any]]:
    """Return the agent and those that it leads to, as far as can be seen: a Handoff tells only when it is used."""
    found: list[RealtimeAgent[Any]] = []
    waiting = [agent]
    while waiting:
        current = waiting.pop()
        if not any(current is known for known in found):
            found.append(current)
            waiting += [each for each in current.handoffs if isinstance(each, RealtimeAgent)]
    return found
