"""The rows of one call, made from the lines of its log and from nothing else.

The same lines give the same rows, whether they come one by one while the call lives or all at once from the file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Table

from gateway.call import events as e
from gateway.call.policy import Policy
from gateway.call.reason import EndReason
from gateway.call.state import FINAL_STATUSES
from gateway.call.turns import Turn
from gateway.store import tables
from gateway.store.log_lines import Closed, Entry, Header, Line, Note, Settled, is_projected
from gateway.store.turns_seen import TurnsSeen

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = dict[Table, list[Row]]

_WRITTEN_ONCE = (tables.turns, tables.events, tables.handoffs, tables.guardrail_trips, tables.transcripts)
"""Tables whose rows are made whole each time, so that none has to be remembered once it was taken."""
_AUDIO_COMMANDS = frozenset({"Play", "Mark", "Hear"})


class Projection:
    """One call's rows, as far as its log has been read.

    Lines before the header are left out (see :attr:`known`), and so are lines that were taken before. Of a long call it
    holds no more than of a short one, as long as its rows are taken.
    """

    def __init__(self) -> None:
        self.call: Row = {}
        self._policy = Policy("")
        self._zero = self._shift = 0.0
        self._keep: float | None = None
        self._keep_recording: float | None = None
        self._number = self._base = 0
        self._rows: dict[Table, dict[Any, Row]] = defaultdict(dict)
        self._changed: dict[Table, dict[Any, None]] = defaultdict(dict)
        self._turns = TurnsSeen()
        self._agent = ""
        self._hang_up_by = ""
        self._transfer_by = ""
        self._stream = 0
        self._leg = 0

    @property
    def known(self) -> bool:
        """Whether the header was read."""
        return bool(self.call)

    @property
    def closed(self) -> bool:
        return self.known and self.call["ended"] is not None

    def feed(self, line: Line) -> None:
        """Take one line."""
        if isinstance(line, Header):
            self._begin(line)
        elif not self.known:
            return
        match line:
            case Entry() if is_projected(line.event):
                self._entry(line)
            case Settled(_, turn):
                self._turn(turn)
            case Note(at, what, details):
                self._note(self._zero + at, what, details)
            case Closed():
                self._close(line)
            case _:
                pass

    def take(self) -> Rows:
        """Return the rows that are new or changed since this was asked last."""
        rows = {table: [dict(self._rows[table][key]) for key in keys] for table, keys in self._changed.items() if keys}
        self._changed.clear()
        for table in _WRITTEN_ONCE:
            self._rows[table].clear()
        tools = self._rows[tables.tool_calls]
        for key in [key for key, row in tools.items() if row["ended"] is not None]:
            del tools[key]
        return rows

    # ---- Rows -------------------------------------------------------------------------------------------------------

    def _put(self, table: Table, key: Any, **fields: Any) -> Row:
        row = self._rows[table].setdefault(key, {"call_id": self.call["id"]})
        row.update((name, without_nul(value)) for name, value in fields.items())
        self._changed[table][key] = None
        return row

    def _set(self, **fields: Any) -> None:
        self.call.update((name, without_nul(value)) for name, value in fields.items())
        self._changed[tables.calls][self.call["id"]] = None

    def _add(self, column: str) -> None:
        self._set(**{column: self.call[column] + 1})

    # ---- Lines ------------------------------------------------------------------------------------------------------

    def _begin(self, header: Header) -> None:
        if self.known and self.call["node"] == header.node:
            return  # told before
        self._zero, self._policy = header.wall, header.policy
        if self.known:
            self._reopen(header)
            return
        counts = dict.fromkeys(("visits", "turns", "barge_ins", "tools", "handoffs", "transfers", "guardrail_trips"), 0)
        self.call = {"id": header.call_id}
        self._rows[tables.calls][header.call_id] = self.call
        self._set(
            call_sid=header.call_sid,
            account_sid=header.account_sid,
            line=header.line,
            direction=header.direction,
            caller=header.caller,
            called=header.called,
            status="ringing",
            began=header.wall,
            answered=None,
            ended=None,
            result="",
            reason="",
            ended_by="",
            snapshot=header.snapshot,
            version=header.version,
            node=header.node,
            slowest_answer=None,
            cost=None,
            outcome=None,
            outcome_status="",
            keep_until=None,
            words_removed=False,
            **counts,
        )
        self._keep, self._keep_recording = header.keep_transcript, header.keep_recording
        self._open_leg("caller", "", "", header.wall, header.call_sid)

    def _reopen(self, header: Header) -> None:
        """Go on where another process took the call up after the one that wrote the log was lost: it counts anew."""
        self._base, self._shift = self._number, header.wall - self.call["began"]
        if (lost := self.call["ended"]) is None:
            self._set(node=header.node)
            return
        self._set(ended=None, result="", reason="", ended_by="", keep_until=None, node=header.node)
        for number, leg in self._rows[tables.legs].items():
            if leg["ended"] == lost:
                self._put(tables.legs, number, ended=None, status="")
        if None in self._rows[tables.recordings]:
            self._put(tables.recordings, None, ended=None, keep_until=None)

    def _entry(self, entry: Entry) -> None:
        number, at, event = self._base + entry.number, self._zero + entry.at, entry.event
        if number <= self._number:
            return  # told before
        self._number = number
        names = list(dict.fromkeys(name for name, _ in entry.commands if name not in _AUDIO_COMMANDS))
        if not (isinstance(event, e.TimePassed) and not names):
            self._put(
                tables.events,
                number,
                number=number,
                at=at,
                offset=self._shift + entry.at,
                kind=kebab(type(event).__name__),
                fields=msgspec.to_builtins(event),
                commands=[kebab(name) for name in names],
            )
        if isinstance(event, e.SpeechStarted | e.TimePassed | e.DigitPressed) and {"Clear", "Interrupt"} <= {*names}:
            self._add("barge_ins")
        self._event(event, at, number)
        for name, fields in entry.commands:
            if name in {"Redirect", "Continue"}:
                self._plan(fields.get("plan", ()), at)
            elif name == "DecideTool":
                by = event.by if isinstance(event, e.ApprovalGiven) else "caller"
                self._decided(fields, "timeout" if isinstance(event, e.TimePassed) else by)

    def _event(self, event: e.Event, at: float, number: int) -> None:
        match event:
            case e.StreamStarted() | e.StreamStopped() | e.StatusChanged() | e.ContinuationAsked():
                self._carrier(event, at)
            case e.ToolStarted() | e.ToolEnded() | e.ApprovalAsked():
                self._tool(event, at, number)
            case e.AgentChanged(before, after):
                self._agent = after
                if before:
                    self._add("handoffs")
                    self._put(tables.handoffs, number, number=number, at=at, before=before, after=after)
            case e.GuardrailTripped(guardrails, item_id, _):
                self._add("guardrail_trips")
                self._put(
                    tables.guardrail_trips,
                    number,
                    number=number,
                    at=at,
                    guardrails=list(guardrails),
                    agent=self._agent,
                    item_id=item_id,
                )
            case e.ResponseDone(_, _, _, used):
                self._use(used)
            case e.HangUpAsked(by, _):
                self._hang_up_by = by
            case e.TransferAsked(by, _):
                self._transfer_by = by
            case _:
                pass

    def _carrier(
        self, event: e.StreamStarted | e.StreamStopped | e.StatusChanged | e.ContinuationAsked, at: float
    ) -> None:
        match event:
            case e.StreamStarted(stream_sid, stream):
                self._stream = stream
                self._set(
                    visits=max(self.call["visits"], stream),
                    answered=self.call["answered"] or at,
                    status="in-progress",
                )
                self._put(tables.visits, stream, number=stream, stream_sid=stream_sid, began=at, ended=None, cause="")
            case e.StreamStopped(stream, cause):
                if stream in self._rows[tables.visits]:
                    self._put(tables.visits, stream, ended=at, cause=cause)
            case e.StatusChanged(status):
                self._set(status=status)
            case e.ContinuationAsked(status, dial_status):
                if status in FINAL_STATUSES:
                    self._set(status=status)
                if dial_status and self._leg > 1:
                    self._close_leg(at, dial_status)

    def _tool(self, event: e.ToolStarted | e.ToolEnded | e.ApprovalAsked, at: float, number: int) -> None:
        match event:
            case e.ToolStarted(tool, arguments, tool_call_id) | e.ApprovalAsked(tool, arguments, tool_call_id):
                asked = isinstance(event, e.ApprovalAsked)
                key = self._open_tool(tool, tool_call_id)
                if key is None:
                    key = number
                    self._add("tools")
                    self._put(
                        tables.tool_calls,
                        key,
                        number=number,
                        tool_call_id=tool_call_id,
                        tool=tool,
                        agent=self._agent,
                        arguments=arguments,
                        result="",
                        began=at,
                        ended=None,
                        approval="",
                        approved_by="",
                    )
                if asked:
                    self._put(tables.tool_calls, key, approval="asked")
            case e.ToolEnded(tool, output, tool_call_id):
                if (key := self._open_tool(tool, tool_call_id)) is not None:
                    self._put(tables.tool_calls, key, result=output, ended=at)

    def _decided(self, decision: Mapping[str, Any], by: str) -> None:
        if (key := self._open_tool("", decision["tool_call_id"])) is not None:
            approval = "given" if decision["approved"] else "refused"
            self._put(tables.tool_calls, key, approval=approval, approved_by=by)

    def _open_tool(self, tool: str, tool_call_id: str) -> Any:
        """Return the key of the newest call of a tool that has not ended."""
        for key, row in reversed(self._rows[tables.tool_calls].items()):
            same = row["tool_call_id"] == tool_call_id if tool_call_id else row["tool"] == tool
            if same and row["ended"] is None:
                return key
        return None

    def _use(self, used: Mapping[str, int]) -> None:
        for kind, amount in used.items():
            before = self._rows[tables.usage].get(kind, {"amount": 0, "cost": None})
            self._put(tables.usage, kind, kind=kind, amount=before["amount"] + amount, cost=before["cost"])

    # ---- Legs -------------------------------------------------------------------------------------------------------

    def _plan(self, plan: Iterable[Any], at: float) -> None:
        for verb, fields in plan:
            if verb == "Dial":
                self._dial(fields["to"], at)

    def _dial(self, to: str, at: float) -> None:
        leg = self._rows[tables.legs].get(self._leg)
        if leg is not None and leg["number_dialled"] == to and leg["ended"] is None:
            return  # the same plan, told again
        target = next((name for name, target in self._policy.transfers.items() if target.to == to), "")
        self._add("transfers")
        self._open_leg("human", target, to, at, "")

    def _open_leg(self, kind: str, target: str, to: str, at: float, leg_sid: str) -> None:
        self._leg += 1
        self._put(
            tables.legs,
            self._leg,
            number=self._leg,
            kind=kind,
            leg_sid=leg_sid,
            target=target,
            number_dialled=to,
            began=at,
            ended=None,
            status="",
        )

    def _close_leg(self, at: float, status: str) -> None:
        if self._rows[tables.legs][self._leg]["ended"] is None:
            self._put(tables.legs, self._leg, ended=at, status=status)

    # ---- Turns, notes and the end -----------------------------------------------------------------------------------

    def _turn(self, turn: Turn) -> None:
        fields = msgspec.to_builtins(turn)
        for moment in ("began", "ended"):
            fields[moment] = None if fields[moment] is None else self._zero + fields[moment]
        self._put(tables.turns, turn.item_id, **fields)
        self._turns.take(turn)
        self._set(turns=self._turns.count, slowest_answer=self._turns.slowest_answer)

    def _note(self, at: float, what: str, details: dict[str, Any]) -> None:
        notes = self._rows[tables.notes]
        if any((row["at"], row["what"], row["details"]) == (at, what, details) for row in notes.values()):
            return  # told before
        number = len(notes) + 1
        self._put(tables.notes, number, number=number, at=at, what=what, details=details)
        match what:
            case "outcome":
                self._set(outcome=details["values"], outcome_status=details["status"])
                self._write_transcript()
            case "recorded" if None not in self._rows[tables.recordings]:  # else who took the call up records on
                self._put(
                    tables.recordings,
                    None,
                    began=at,
                    ended=None,
                    consent=details["consent"],
                    consent_sha256=details["sha256"],
                    notice=details["notice"],
                    why=details["reason"],
                    keep_until=None,
                )
            case "cost":
                # Each process that carried the call says what its part of it cost.
                self._set(cost=(self.call["cost"] or 0.0) + details["total"])
                for kind, cost in details["usage"].items():
                    if (used := self._rows[tables.usage].get(kind)) is not None:
                        self._put(tables.usage, kind, cost=(used["cost"] or 0.0) + cost)
            case _:
                pass

    def _close(self, line: Closed) -> None:
        at = self._zero + line.at
        for turn in line.turns:
            self._turn(turn)
        for number, visit in self._rows[tables.visits].items():
            if visit["ended"] is None:
                self._put(tables.visits, number, ended=at, cause="ended")
        status = self.call["status"] if self.call["status"] in FINAL_STATUSES else "completed"
        for number, leg in self._rows[tables.legs].items():
            if leg["ended"] is None:
                self._put(tables.legs, number, ended=at, status=status)
        if None in self._rows[tables.recordings]:
            until = None if self._keep_recording is None else at + self._keep_recording
            self._put(tables.recordings, None, ended=at, keep_until=until)
        self._set(
            ended=at,
            status=status,
            result=line.reason.result,
            reason=line.reason.reason,
            ended_by=self._ended_by(line.reason),
            keep_until=None if self._keep is None else at + self._keep,
        )
        self._write_transcript()

    def _ended_by(self, reason: EndReason) -> str:
        if reason.result != "success":
            return reason.result
        if reason.reason == "caller-hung-up":
            return "caller"
        if reason.reason == "transferred":
            return self._transfer_by or "agent"
        return self._hang_up_by or "agent"

    def _write_transcript(self) -> None:
        """What was heard is put before the outcome where rows are saved (:func:`gateway.store.records.save`)."""
        if self.closed:
            self._put(tables.transcripts, self.call["id"], text="\n".join(_texts(self.call["outcome"])))


def without_nul(value: Any) -> Any:
    """Return a text that PostgreSQL takes too; what stands in JSON is escaped there."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def kebab(name: str) -> str:
    """Turn ``StreamStarted`` into ``stream-started``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _texts(value: Any) -> Iterable[str]:
    """Yield every text in plain JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
