"""What happened in a call, read off its log as it grows: the log's projection for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.reason import EndReason
from gateway.call.turns import Turn
from gateway.store.log_lines import Closed, Entry, Header, Line


@dataclass(slots=True)
class Said:
    """Somebody's turn; ``final`` once neither its text nor what was heard of it can change."""

    turn: Turn
    final: bool = False

    @property
    def at(self) -> float:
        """When it began."""
        return self.turn.began


@dataclass(slots=True)
class ToolRun:
    """A tool, from its call to its result; ``output`` is None while it runs."""

    at: float
    tool: str
    arguments: str
    output: str | None = None
    ended: float = 0.0

    @property
    def final(self) -> bool:
        """Whether it is over."""
        return self.output is not None


@dataclass(frozen=True, slots=True)
class Handoff:
    """Another agent took over; the first one comes from nobody."""

    at: float
    before: str
    after: str
    final: bool = True


@dataclass(slots=True)
class Consent:
    """A tool waits for a person; ``approved`` is None until somebody decides."""

    at: float
    tool: str
    arguments: str
    tool_call_id: str
    approved: bool | None = None

    @property
    def final(self) -> bool:
        """Whether it is decided."""
        return self.approved is not None


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The caller cut the agent."""

    at: float
    final: bool = True


@dataclass(frozen=True, slots=True)
class Key:
    """The caller pressed a key."""

    at: float
    digit: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """A guardrail took an answer back."""

    at: float
    guardrails: tuple[str, ...]
    final: bool = True


Beat: TypeAlias = Said | ToolRun | Handoff | Consent | BargeIn | Key | Refused


@dataclass(slots=True)
class Watch:
    """A call as its log tells it so far.

    The log's events go through the call core again, so that turns, and what was heard of them, are the core's own and
    not a second opinion. Times are seconds of the call.

    Attributes:
        beats: everything worth telling, in order.
        streamed: when the call's first stream began.
        reason: how the call ended.
    """

    call_id: str = ""
    beats: list[Beat] = field(default_factory=list)
    streamed: float | None = None
    reason: EndReason | None = None
    _call: Call | None = None
    _said: dict[str, Said] = field(default_factory=dict)

    @property
    def turns(self) -> list[Turn]:
        """The turns so far, in the order in which they were begun."""
        return [said.turn for said in self._said.values()]

    @property
    def waits_for_consent(self) -> bool:
        return any(isinstance(beat, Consent) and not beat.final for beat in self.beats)

    @property
    def agent_is_done(self) -> bool:
        """Whether the agent has answered the caller, and owes neither an answer nor the result of a tool."""
        if self._call is None or not self.turns or self.turns[-1].speaker != "agent":
            return False
        floor = self._call.floor
        busy = floor.caller_speaking or floor.owed or floor.open_response is not None
        return not busy and all(beat.final for beat in self.beats if isinstance(beat, ToolRun))

    def take(self, line: Line) -> None:
        """Take the log's next line."""
        match line:
            case Header():
                self.call_id = line.call_id
                self._call = Call(line.policy, 0.0)
            case Entry(at=at, event=event, commands=commands):
                self._event(event, at)
                for name, fields in commands:
                    if name == "DecideTool":
                        self._decided(fields["tool_call_id"], approved=fields["approved"])
            case Closed():
                self.reason = line.reason
                for said in self._said.values():
                    said.final = True
            case _:
                pass

    def _event(self, event: e.Event, at: float) -> None:
        if self._call is None:
            return
        cuts = self._call.floor.barge_ins
        self._call.handle(event, at)
        for turn in self._call.turns.held:
            if turn.item_id not in self._said:
                self._said[turn.item_id] = said = Said(turn)
                self.beats.append(said)
        if self._call.floor.barge_ins > cuts and isinstance(event, e.SpeechStarted):
            # Before the caller's words, which follow from it.
            self.beats.insert(len(self.beats) - 1, BargeIn(self.turns[-1].began))
        self._happened(event, at)
        for said in self._said.values():
            if said.turn.speaker == "agent" and said.turn.ended is not None:
                said.final = True

    def _happened(self, event: e.Event, at: float) -> None:
        match event:
            case e.StreamStarted() if self.streamed is None:
                self.streamed = at
            case e.CallerTranscribed(item_id, final=final, failed=failed) if final or failed:
                self._said[item_id].final = True
            case e.AgentChanged(before, after):
                self.beats.append(Handoff(at, before, after))
            case e.ToolStarted(tool, arguments):
                self.beats.append(ToolRun(at, tool, arguments))
            case e.ToolEnded(tool, output):
                self._tool_ended(tool, output, at)
            case e.ApprovalAsked(tool, arguments, tool_call_id):
                self.beats.append(Consent(at, tool, arguments, tool_call_id))
            case e.DigitPressed(digit):
                self.beats.append(Key(at, digit))
            case e.GuardrailTripped(guardrails):
                self.beats.append(Refused(at, guardrails))
            case _:
                pass

    def _tool_ended(self, tool: str, output: str, at: float) -> None:
        for beat in self.beats:
            if isinstance(beat, ToolRun) and beat.tool == tool and not beat.final:
                beat.output, beat.ended = output, at
                return

    def _decided(self, tool_call_id: str, *, approved: bool) -> None:
        for beat in self.beats:
            if isinstance(beat, Consent) and beat.tool_call_id == tool_call_id:
                beat.approved = approved
