"""What follows a call of hundreds of turns holds no more of it at its end than at its beginning."""

import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.commands import Clear, Interrupt, Mark
from gateway.call.policy import Policy
from gateway.store import tables
from gateway.store.log_lines import Header, encode, read_lines
from gateway.store.meter import Meter
from gateway.store.projection import Projection
from gateway.telemetry.metrics import Load, Metrics

TURNS = 400
POLICY = Policy("desk")
HEADER = Header("id-1", "CA1", "desk", "hash", "1", 1_700_000_000.0, 0.0, POLICY, {})


class Lines:
    """The lines of a call's log, turn by turn: each with a tool, a handoff, and a barge-in that trips a guardrail."""

    def __init__(self) -> None:
        self.call = Call(POLICY, 0.0)
        self.now = 0.0
        self.number = 0
        self.lines: list[tuple[Any, ...]] = [("header", HEADER)]
        self.turn = 0
        for event in (e.StreamStarted("MZ1", 1), e.AgentReady(1)):
            self.say(event)

    def say(self, event: e.Event, after: float = 0.0) -> None:
        self.now, self.number = self.now + after, self.number + 1
        commands = self.call.handle(event, self.now)
        self.call.playout.placed.clear()
        self.lines.append(("event", self.number, self.now, event, commands, ()))
        self.lines += [("settled", self.now, turn) for turn in self.call.turns.take_settled()]
        for command in commands:
            if isinstance(command, Interrupt):
                self.say(e.Interrupted())

    def take_turn(self) -> list[tuple[Any, ...]]:
        """Return what was logged in one turn."""
        caller, item, response, tool = (f"{kind}{self.turn}" for kind in "carf")
        before = f"agent{self.turn}"
        self.turn += 1
        for event in (
            e.SpeechStarted(caller, 0),
            e.SpeechStopped(caller, 500),
            e.CallerTranscribed(caller, f"Where is number {self.turn}?", final=True),
            e.ToolStarted("find", "{}", tool),
            e.ToolEnded("find", "found", tool),
            e.AgentChanged(before, f"agent{self.turn}"),
            e.ResponseStarted(response),
            e.AgentAudio(1, response, item, 0, "/" * 10880, 8160),
            e.AgentTranscribed(1, item, 0, "It is there.", final=True),
            e.AgentAudioDone(1, item, 0),
            e.ResponseDone(response, "completed", usage={"output_tokens": 7}),
        ):
            self.say(event, 0.1)
        marks = [
            command.name for line in self.lines if line[0] == "event" for command in line[4] if type(command) is Mark
        ]
        for mark in marks[:4]:
            self.say(e.MarkReached(mark), 0.1)
        self.say(e.SpeechStarted(f"{caller}b", 0), 0.1)
        self.say(e.GuardrailTripped(("no_cards",), item, response), 0.1)
        self.say(e.SpeechStopped(f"{caller}b", 0), 0.1)
        self.say(e.CallerTranscribed(f"{caller}b", "", final=False, failed=True), 0.1)
        lines, self.lines = self.lines, []
        return lines


def left_behind(take: Callable[[list[tuple[Any, ...]]], object]) -> float:
    """Pieces of memory that stay of a turn of the second half of a call with who takes its lines."""
    lines = Lines()
    before = after = 0
    for number in range(1, TURNS + 1):
        take(lines.take_turn())
        if number in {TURNS // 2, TURNS}:
            gc.collect()
            before, after = after, sys.getallocatedblocks()
    return (after - before) / (TURNS // 2)


def project(projection: Projection, lines: list[tuple[Any, ...]]) -> dict[Any, Any]:
    text = b"".join(encode(line) + b"\n" for line in lines)
    for line in read_lines(text, "here"):
        projection.feed(line)
    return projection.take()


def test_lines_are_eventful():
    lines = Lines().take_turn()
    assert any(line[0] == "event" and Clear() in line[4] for line in lines)
    assert sum(line[0] == "settled" for line in lines) >= 3


def test_the_rows_of_a_turn_are_forgotten_once_they_were_taken():
    projection = Projection()
    assert left_behind(partial(project, projection)) < 4
    assert projection.call["turns"] == 3 * TURNS
    assert projection.call["barge_ins"] == projection.call["tools"] == projection.call["handoffs"] == TURNS
    assert projection.call["slowest_answer"] is not None


def test_rows_are_the_same_whether_taken_turn_by_turn_or_all_at_once():
    lines = Lines()
    told = [lines.take_turn() for _ in range(150)]
    slowly = Projection()
    merged: dict[Any, dict[Any, Any]] = {table: {} for table in tables.PROJECTIONS}
    for some in told:
        for table, rows in project(slowly, some).items():
            keys = [column.name for column in table.primary_key]
            merged[table] |= {tuple(row.get(key) for key in keys): row for row in rows}
    at_once = project(Projection(), [line for some in told for line in some])
    for table, rows in at_once.items():
        assert sorted(rows, key=str) == sorted(merged[table].values(), key=str)


def test_a_meter_counts_and_forgets():
    metrics = Metrics("node1", lambda: Load({}, 100, draining=False))
    meter = Meter(metrics, HEADER)
    assert left_behind(meter.take) < 2
    text, _ = metrics.exposition()
    assert f'gateway_barge_ins_total{{line="desk"}} {float(TURNS)}'.encode() in text
    assert f'gateway_first_audio_seconds_count{{line="desk"}} {TURNS - 1:.1f}'.encode() in text
