"""What tools and handovers did wrong."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.call import events as e
from gateway.diagnosis.case import Case
from gateway.diagnosis.finding import Code, Finding
from gateway.store.story import Tool, outcome

HANDED_OVER = 4
"""Handovers without a word of the caller, from which on agents pass the caller round; five is the most."""
_ADVICE = {
    "failed": (Code.TOOL_FAILED, "failed", "it raised: the gateway's log has the traceback at that time"),
    "timed-out": (
        Code.TOOL_TIMED_OUT,
        "took longer than its timeout",
        "make it answer sooner, or give it more time; what it began may still have happened",
    ),
    "refused": (
        Code.TOOL_REFUSED,
        "refused the arguments that the model gave",
        "say in the tool's docstring and types what it takes",
    ),
    "unended": (
        Code.TOOL_UNENDED,
        "never ended",
        "the call was over, or the model lost, before its result came: make it answer sooner",
    ),
}


def runs(case: Case) -> Iterator[Finding]:
    """Runs of tools that came to nothing."""
    for tool in case.story.tools:
        how = outcome(tool)
        end = tool.ended if tool.ended is not None else case.story.last
        if how == "unended" and _was_the_end(case, tool):
            continue
        if how in _ADVICE:
            code, what, change = _ADVICE[how]
            yield case.finding(
                code,
                tool.began,
                f"{tool.tool} {what}: it ran from {tool.began:.1f} to {end:.1f} s",
                change,
                "tools",
                words=f"{tool.arguments} -> {tool.output}"[:300],
            )
        elif tool.output.endswith("[cut: the tool returned too much]"):
            yield case.finding(
                Code.TOOL_OUTPUT_CUT,
                end,
                f"{tool.tool} returned more than the model is given: {len(tool.output)} characters are left",
                "return only what the agent needs to say: long results cost time and money at every turn after",
                "tools",
            )


def _was_the_end(case: Case, tool: Tool) -> bool:
    """Whether the call ended, by the caller or by this very tool, while it ran: nothing is wrong with that."""
    if tool.tool in {"hang_up", "transfer"}:
        return True
    return case.reason == "caller-hung-up" and case.story.last - tool.began < 10  # noqa: PLR2004 - a tool's usual timeout


def loops(case: Case) -> Iterator[Finding]:
    """Agents that do nothing but call tools, or hand the caller round."""
    if case.reason == "tool-loop":
        names = [tool.tool for tool in case.story.tools][-25:]
        most = max(set(names), key=names.count) if names else "tools"
        yield case.finding(
            Code.TOOL_LOOP,
            case.departed() or case.story.last,
            f"the agent called {len(names)} tools in a row without a word, {most} above all",
            "say in the instructions when to stop, and have the tool say clearly that it is done",
            "tools",
        )
    row: list[tuple[float, str]] = []
    spoke = [turn.began for turn in case.caller_turns]
    for at, before, after in case.story.handoffs:
        if not before:
            continue
        if row and any(row[-1][0] < moment <= at for moment in spoke):
            row = []
        row.append((at, f"{before} to {after}"))
        if len(row) == HANDED_OVER:
            yield case.finding(
                Code.HANDOFF_LOOP,
                row[0][0],
                f"handed over {len(row)} times without a word of the caller: {', '.join(each for _, each in row)}",
                "say in each agent's handoff_description what it is for, and let fewer agents hand back",
                "agents",
            )


def approvals(case: Case) -> Iterator[Finding]:
    """Tools that waited for a yes until the time was up."""
    asked: dict[str, tuple[float, str]] = {}
    for entry in case.entries:
        if isinstance(entry.event, e.ApprovalAsked):
            asked[entry.event.tool_call_id] = (entry.at, entry.event.tool)
        for name, fields in entry.commands:
            if name == "DecideTool" and isinstance(entry.event, e.TimePassed) and fields["tool_call_id"] in asked:
                at, tool = asked[fields["tool_call_id"]]
                yield case.finding(
                    Code.APPROVAL_TIMED_OUT,
                    at,
                    f"{tool} waited {entry.at - at:.0f} s for a yes, and counted as refused",
                    "give people more time, or let the caller say yes on the keypad",
                    "approvals.timeout",
                    "approvals.keypad",
                    "needs_approval",
                )
