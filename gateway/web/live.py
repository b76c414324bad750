"""A live call as news: what a page or a program is told while the call goes on, as server-sent events.

Two kinds of news. *States* (``call``, ``turn``) carry everything that they are about and replace what was said of it
before, so one that was missed does no harm. *Happenings* (``tool``, ``handoff``, ``cut``, ...) carry the number of
their entry in the call's log, by which a reader who lost the connection goes on where it was.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import anyio
import anyio.to_thread
import msgspec
import structlog

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.commands import Command, Continue, DecideTool, EndCall, Interrupt, Redirect
from gateway.call.plan import Announce, Connect, Dial, Enqueue, HangUp, Markup, Plan, Refer, Reject, Return, Say
from gateway.call.turns import Turn
from gateway.errors import LogError
from gateway.livecall import LiveCall
from gateway.store.feed import Told
from gateway.store.follow import settled_turns

EVERY: Final = 0.1
"""Seconds between two batches of news."""
KEEP_ALIVE: Final = 15.0
"""Seconds after which a comment shows that the connection lives."""

_encode: Final = msgspec.json.Encoder().encode
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class News:
    """One thing that is told: ``number`` is that of the log's entry, None for a state."""

    kind: str
    data: dict[str, Any]
    number: int | None = None

    def as_sse(self) -> bytes:
        """Return it as a server-sent event, or as a comment where it only says that the connection lives."""
        if self is QUIET:
            return b": quiet\n\n"
        number = b"" if self.number is None else b"id: %d\n" % self.number
        return number + b"event: %s\ndata: %s\n\n" % (self.kind.encode(), _encode(self.data))


QUIET: Final = News("quiet", {})
"""Nothing has happened for a while."""


async def server_sent(live: LiveCall, after: int = 0) -> AsyncIterator[bytes]:
    """Follow a call as server-sent events, from the entry behind ``after`` on, until it is over."""
    async with aclosing(follow(live, after)) as news:
        async for one in news:
            yield one.as_sse()


async def follow(live: LiveCall, after: int = 0) -> AsyncGenerator[News]:
    """Tell what happens in a call until it is over; the last news is ``ended``."""
    call, view = live.bridge.call, _View()
    watch = live.bridge.log.feed.watch(after)
    try:
        for turn in await _earlier(live, call):
            yield News("turn", turn_state(turn, lost=True))
        while watch.over is None or not view.said:
            entries: list[Told] | None = None
            with anyio.move_on_after(KEEP_ALIVE):
                entries = await watch.next()
            if entries is None:
                yield QUIET
                continue
            for told in entries:
                view.note(told)
                for kind, data in happenings(told):
                    yield News(kind, {"at": told.at, **data}, told.number)
            for news in [*view.changes(live, call, over=watch.over is not None)]:
                yield news
            await anyio.sleep(EVERY)
        yield News("ended", {"result": watch.over.result, "reason": watch.over.reason, "missed": watch.missed})
    finally:
        watch.close()


async def _earlier(live: LiveCall, call: Call) -> list[Turn]:
    """Return the turns of a long call that it does not hold any more, from its log."""
    if not call.turns.gone:
        return []
    try:
        settled = await anyio.to_thread.run_sync(settled_turns, live.bridge.log.path)
    except LogError as error:
        log.warning("earlier-turns-not-told", call_id=live.call_id, error=str(error))
        return []
    held = {(turn.speaker, turn.item_id) for turn in call.turns.held}
    return [turn for turn in settled if (turn.speaker, turn.item_id) not in held]


# ---- States ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _View:
    """What one reader was told, so that only changes are told again."""

    cut_at: float = -1.0
    taken_back: set[str] = field(default_factory=set)
    said: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, told: Told) -> None:
        if any(isinstance(command, Interrupt) for command in told.commands):
            self.cut_at = told.at
        if isinstance(told.event, e.GuardrailTripped):
            self.taken_back.add(told.event.item_id)

    def changes(self, live: LiveCall, call: Call, *, over: bool) -> Iterator[News]:
        state = {
            "call_id": live.call_id,
            "line": live.line.id,
            "label": live.line.label,
            "state": call.state.value,
            "agent": call.agent,
            "barge_ins": call.floor.barge_ins,
            "usage": call.usage,
        }
        yield from self._told("call", "", state)
        held = call.turns.held
        for turn in held:
            lost = over or turn.item_id in self.taken_back or turn.began <= self.cut_at
            yield from self._told("turn", turn.item_id, turn_state(turn, lost=lost))
        self.said = {key: self.said[key] for key in ("", *(turn.item_id for turn in held))}

    def _told(self, kind: str, key: str, state: dict[str, Any]) -> Iterator[News]:
        if self.said.get(key) != state:
            self.said[key] = state
            yield News(kind, state)


def turn_state(turn: Turn, *, lost: bool = False) -> dict[str, Any]:
    """Return a turn with what was heard of it, and what was generated and not heard: ``lost`` says that it never will.

    Times are seconds since the call began; ``waited`` is how long the caller waited for the first sound of it.
    """
    return {
        "turn": turn.item_id,
        "speaker": turn.speaker,
        "agent": turn.agent,
        "began": turn.began,
        "ended": turn.ended,
        "heard": turn.heard,
        "unheard": turn.unheard,
        "lost": bool(turn.unheard) and (lost or turn.ended is not None),
        "waited": turn.waited_heard if turn.waited_heard is not None else turn.waited_sent,
        "failed": turn.transcription_failed,
    }


# ---- Happenings -----------------------------------------------------------------------------------------------------


def happenings(told: Told) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what an entry tells a reader: nothing, for the most part."""
    yield from _event(told.event)
    for command in told.commands:
        yield from _command(command, told.event)


def _event(event: e.Event) -> Iterator[tuple[str, dict[str, Any]]]:
    match event:
        case e.ToolStarted(tool, arguments, tool_call_id):
            yield "tool", {"id": tool_call_id, "tool": tool, "state": "running", "arguments": arguments}
        case e.ToolEnded(tool, output, tool_call_id):
            yield "tool", {"id": tool_call_id, "tool": tool, "state": "done", "output": output}
        case e.ApprovalAsked(tool, arguments, tool_call_id):
            yield "tool", {"id": tool_call_id, "tool": tool, "state": "waiting", "arguments": arguments}
        case e.AgentChanged(before, after):
            yield "handoff", {"before": before, "after": after}
        case e.GuardrailTripped(guardrails, item_id):
            yield "guardrail", {"guardrails": list(guardrails), "turn": item_id}
        case e.SpeechStarted() | e.SpeechStopped():
            yield "speech", {"speaking": isinstance(event, e.SpeechStarted)}
        case e.ResponseDone(status=status, code=code) if status in {"failed", "incomplete"}:
            yield "model-error", {"code": code or f"response-{status}"}
        case e.AgentErred(code=code):
            yield "model-error", {"code": code}
        case e.AgentLost(reason=reason):
            yield "model-lost", {"reason": reason}
        case e.DigitPressed():
            yield "key", {}  # which one is the caller's secret
        case e.HangUpAsked(by, reason):
            yield "hang-up", {"by": by, "reason": reason}
        case e.TransferAsked(by, target):
            yield "transfer", {"by": by, "target": target}
        case e.VariableSet(name, value):
            yield "note", {"name": name, "value": value}
        case e.CarrierFailed(operation, reason):
            yield "carrier-failed", {"operation": operation, "reason": reason}
        case e.AudioDropped(side, milliseconds):
            yield "dropped", {"side": side, "milliseconds": milliseconds}
        case _:
            pass  # of no interest by itself


def _command(command: Command, event: e.Event) -> Iterator[tuple[str, dict[str, Any]]]:
    match command:
        case Interrupt():
            yield "cut", {"by": _cut_by(event)}
        case DecideTool(tool_call_id, approved):
            by = event.by if isinstance(event, e.ApprovalGiven) else _cut_by(event)
            yield "tool", {"id": tool_call_id, "state": "approved" if approved else "rejected", "by": by}
        case Continue(plan) | Redirect(plan):
            yield "plan", {"verbs": [*plan_state(plan)]}
        case EndCall():
            yield "plan", {"verbs": [{"verb": "hang-up"}]}
        case _:
            pass


def _cut_by(event: e.Event) -> str:
    """Say what silenced the agent, or decided in its place."""
    match event:
        case e.SpeechStarted():
            return "caller"
        case e.DigitPressed():
            return "keypad"
        case e.ApprovalGiven():
            return "approval"
        case e.TimePassed():
            return "time"
        case _:
            return "stream"


def plan_state(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield a plan's verbs, without what streams must bring."""
    for verb in plan:
        match verb:
            case Say(text, language):
                yield {"verb": "say", "text": text, "language": language}
            case Announce(_, text):
                yield {"verb": "say", "text": text, "language": ""}
            case Dial(to):
                yield {"verb": "dial", "to": to}
            case Refer(to):
                yield {"verb": "refer", "to": to}
            case Enqueue(workflow):
                yield {"verb": "enqueue", "to": workflow}
            case Return():
                yield {"verb": "return"}
            case Markup():
                yield {"verb": "markup"}
            case HangUp():
                yield {"verb": "hang-up"}
            case Reject(reason):
                yield {"verb": "reject", "reason": reason}
            case Connect():
                yield {"verb": "connect"}
            case _:
                assert_never(verb)
