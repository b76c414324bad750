"""Traces one call: when its log is closed, what it tells becomes spans: the call, its turns, in these model and tools.

The trace has the call's own id, without its dashes. What a caller waits for belongs to the turn that answers: an
agent's turn begins with the first response or tool of it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.call import events as e
from gateway.call.reason import EndReason
from gateway.call.turns import Turn
from gateway.store.log_lines import Header
from gateway.store.meter import known
from gateway.store.story import Response, Story, Tool, names_of, outcome
from gateway.telemetry.metrics import bounded
from gateway.telemetry.tracing import Span, Value

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_BLAMED = frozenset({"carrier", "model", "gateway"})
_TOKENS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
}
log = structlog.get_logger()


class Trace:
    """One call's trace in the making (:class:`gateway.store.log.Tap`).

    Args:
        header: the call's.
        model: the name of the line's model.
        send: takes the spans once the call is over.
    """

    wants_audio = False

    def __init__(self, header: Header, model: str, send: Callable[[Iterable[Span]], None]) -> None:
        self._header = header
        self._model = model
        self._send = send
        self._story = Story(header)
        self._items: dict[str, str] = {}
        """The item that a response's audio was of."""
        self._turns: dict[tuple[str, str], Turn] = {}
        self._cost: float | None = None

    def take(self, lines: Sequence[tuple[Any, ...]]) -> None:
        """Take what the log says; never raises, since a trace is worth no record."""
        try:
            for line in lines:
                self._take(line)
        except Exception:
            log.exception("call-not-traced", call_id=self._header.call_id)

    def _take(self, line: tuple[Any, ...]) -> None:
        match line:
            case ("event", _, at, event, commands, _) if type(event) is not e.CallerAudio:
                self._story.feed(at, event, names_of(commands))
                if isinstance(event, e.AgentAudio):
                    self._items.setdefault(event.response_id, event.item_id)
            case ("settled", _, turn):
                self._turns[turn.speaker, turn.item_id] = turn
            case ("note", _, "cost", details):
                self._cost = details["total"]
            case ("closed", at, reason, summary):
                self._turns |= {(turn.speaker, turn.item_id): turn for turn in summary["turns"]}
                self._story.tell_turns(self._turns.values())
                self._send([*self._spans(at, reason)])
            case _:
                pass

    # ---- Spans ------------------------------------------------------------------------------------------------------

    def _spans(self, end: float, reason: EndReason) -> Iterator[Span]:
        header, story = self._header, self._story
        ids = _Ids(uuid.UUID(header.call_id).int, header.wall)
        root = ids.next()
        works: list[Response | Tool] = sorted([*story.responses, *story.tools], key=lambda work: work.began)
        parents = {id(work): turn for work in works if (turn := self._turn_of(work)) is not None}
        spans = {}
        for number, turn in enumerate(story.turns, 1):
            own = [work.began for work in works if parents.get(id(work)) is turn]
            spans[id(turn)] = span = ids.next()
            ended = max(turn.began, end if turn.ended is None else turn.ended)
            yield ids.span(
                span, root, f"turn {turn.speaker}", min(turn.began, *own) if own else turn.began, ended,
                self._of_turn(number, turn),
            )  # fmt: skip
        for work in works:
            parent = spans[id(parents[id(work)])] if id(work) in parents else root
            if isinstance(work, Response):
                yield self._of_response(ids, parent, work, end)
            else:
                yield self._of_tool(ids, parent, work, end)
        yield self._of_call(ids, root, end, reason)

    def _turn_of(self, work: Response | Tool) -> Turn | None:
        """Return the agent's turn that a response is, or that it led to: a tool's answer is in the next."""
        agents = [turn for turn in self._story.turns if turn.speaker == "agent"]
        if isinstance(work, Response) and (item := self._items.get(work.response_id)):
            return next((turn for turn in agents if turn.item_id == item), None)
        return next((turn for turn in agents if turn.began >= work.began), None)

    def _of_call(self, ids: _Ids, root: int, end: float, reason: EndReason) -> Span:
        header, story = self._header, self._story
        attributes: dict[str, Value] = {
            "gen_ai.conversation.id": header.call_id,
            "gateway.line": header.line,
            "gateway.call_sid": header.call_sid,
            "gateway.direction": bounded(header.direction),
            "gateway.snapshot": header.snapshot,
            "gateway.result": reason.result,
            "gateway.reason": known(reason),
            "gateway.barge_ins": len(story.barge_ins),
            **_tokens(story.usage),
        }
        if story.first_audio is not None:
            attributes["gateway.answer_seconds"] = story.first_audio
        if self._cost is not None:
            attributes["gateway.cost_usd"] = self._cost
        moments: list[tuple[float, str, dict[str, Value]]] = [(at, "barge-in", {}) for at in story.barge_ins]
        moments += [(at, "handoff", {"from": before, "to": after}) for at, before, after in story.handoffs]
        if story.model_ready is not None:
            moments.append((story.model_ready, "model-ready", {}))
        for stream in story.streams:
            moments.append((stream.began, "stream-started", {"stream": stream.number}))
            if stream.ended is not None:
                moments.append((stream.ended, "stream-stopped", {"stream": stream.number, "cause": stream.cause}))
        events = tuple((ids.zero + at, name, fields) for at, name, fields in sorted(moments, key=lambda each: each[0]))
        error = known(reason) if reason.result in _BLAMED else ""
        return Span(
            ids.trace, root, 0, f"call {header.line}", "SERVER", ids.zero, ids.zero + end, attributes, events, error
        )

    def _of_turn(self, number: int, turn: Turn) -> dict[str, Value]:
        attributes: dict[str, Value] = {"gateway.turn.number": number, "gateway.turn.speaker": turn.speaker}
        if turn.speaker == "caller":
            return {**attributes, "gateway.turn.transcription_failed": turn.transcription_failed}
        wait = next((each for each in self._story.waits if each.item_id == turn.item_id), None)
        parts = wait.parts() if wait is not None else {}
        return {
            **attributes,
            "gen_ai.agent.name": turn.agent,
            "gateway.turn.cut": turn.cut,
            "gateway.turn.generated_ms": turn.generated_ms,
            "gateway.turn.heard_ms": turn.heard_ms,
            **{f"gateway.turn.{part}_seconds": seconds for part, seconds in parts.items()},
        }

    def _of_response(self, ids: _Ids, parent: int, response: Response, end: float) -> Span:
        status = bounded(response.status or "unended")
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": self._model,
            "gen_ai.response.id": response.response_id,
            "gen_ai.response.finish_reasons": [status],
            "gen_ai.conversation.id": self._header.call_id,
            "gateway.response.audio_ms": response.audio_ms,
            "gateway.response.cut": response.cut,
            **_tokens(response.usage),
        }
        if response.first_audio is not None:
            attributes["gen_ai.output.type"] = "speech"
            attributes["gen_ai.response.time_to_first_chunk"] = response.first_audio - response.began
        error = bounded(response.code or "failed") if response.status == "failed" else ""
        ended = response.ended if response.ended is not None else end
        name = f"chat {self._model}"
        return ids.span(ids.next(), parent, name, response.began, ended, attributes, kind="CLIENT", error=error)

    def _of_tool(self, ids: _Ids, parent: int, tool: Tool, end: float) -> Span:
        how, name = outcome(tool), tool.tool if _NAME.fullmatch(tool.tool) else "other"
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": tool.tool_call_id,
            "gateway.tool.outcome": how,
        }
        ended = tool.ended if tool.ended is not None else end
        error = "" if how == "ok" else how
        return ids.span(ids.next(), parent, f"execute_tool {name}", tool.began, ended, attributes, error=error)


@dataclass(slots=True)
class _Ids:
    """Makes the spans of one trace: ``zero`` is the Unix second at which the call began."""

    trace: int
    zero: float
    _last: int = 0

    def next(self) -> int:
        """Return an id of 64 bits: the random end of the trace's, counted on."""
        self._last += 1
        return (self.trace + self._last) % (1 << 64) or 1

    def span(
        self, number: int, parent: int, name: str, began: float, ended: float, attributes: dict[str, Value],
        *, kind: Any = "INTERNAL", error: str = "",
    ) -> Span:  # fmt: skip
        zero = self.zero
        return Span(
            self.trace, number, parent, name, kind, zero + began, zero + max(began, ended), attributes, error=error
        )


def _tokens(usage: dict[str, int]) -> dict[str, Value]:
    return {_TOKENS.get(kind, f"gateway.usage.{bounded(kind)}"): amount for kind, amount in usage.items()}
