"""The calls of a node, with sides that only remember."""

import uuid
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway.audio.wav import read_channels
from gateway.call.admission import Admission
from gateway.call.commands import CloseAgent, CloseStream, Hear
from gateway.call.events import (
    AgentLost,
    AgentReady,
    CallerAudio,
    ContinuationAsked,
    SpeechStarted,
    StopCause,
    StreamStopped,
    TimePassed,
)
from gateway.call.incoming import IncomingCall
from gateway.call.outcome import AgentAnswers, Refused, TargetRings, WordsHeard
from gateway.call.plan import Announce, Connect, Dial, HangUp, Reject, Say
from gateway.carriers.carrier import StreamStart
from gateway.carriers.token import StreamTokens
from gateway.config.directory import Directory
from gateway.config.loader import load
from gateway.errors import TokenError
from gateway.exchange import Exchange
from gateway.livecall import CallMaker, new_call_id
from gateway.store.log import LogWriter
from gateway.store.log_lines import Closed, Entry, Header, Note, read_log
from gateway.store.recording.shelf import Recordings

pytestmark = pytest.mark.anyio

LINE = 'default: true\ninstructions: Be brief.\ngreeting: Hello.\non_failure: {say: "Sorry."}\n'


class Agent:
    def __init__(self, session, *, lost=False, broken=False):
        self.session, self.lost, self.broken = session, lost, broken
        self.commands = []
        self.closed = anyio.Event()

    async def run(self, emit):
        if self.broken:
            raise RuntimeError("not foreseen")
        if self.lost:
            emit(AgentLost(self.session, "model-unreachable"))
            return
        emit(AgentReady(self.session))
        await self.closed.wait()

    def perform(self, command):
        self.commands.append(command)
        if isinstance(command, CloseAgent):
            self.closed.set()

    def hear(self, payload, size):
        self.commands.append(Hear(payload, size))


@dataclass
class Agents:
    options: dict[str, Any] = field(default_factory=dict)
    opened: list[Any] = field(default_factory=list)

    def open(self, directory, line, context, *, session, playback):
        self.opened.append(Agent(session, **self.options))
        return self.opened[-1]


class Stream:
    number = 0
    unsent_ms = 0.0

    def __init__(self):
        self.commands = []
        self.over = anyio.Event()
        self.cause: StopCause = "closed"

    async def run(self, emit, _emit_audio):
        await self.over.wait()
        emit(StreamStopped(self.number, self.cause))

    def perform(self, command):
        self.commands.append(command)
        if isinstance(command, CloseStream):
            self.over.set()

    def end(self, cause):
        self.cause = cause
        self.over.set()


@dataclass
class Node:
    exchange: Exchange
    agents: Agents
    folder: Path
    time: list[float]
    recordings: Recordings

    def offer(self, sid="CA1", caller="+14155550123", **more):
        return self.exchange.offer(IncomingCall(sid, "AC1", caller, "+14155550100", **more))

    def start(self, plan, sid="CA1"):
        return StreamStart("MZ1", sid, "AC1", plan[0].parameters)

    def asked(self, sid="CA1", **asked):
        return self.exchange.continuation(IncomingCall(sid, "AC1", "", "+14155550100"), ContinuationAsked(**asked))

    def log(self):
        [path] = self.folder.glob("*.jsonl")
        return list(read_log(path))


@asynccontextmanager
async def node(tmp_path, *, max_calls=10, line=LINE, agents=None, overrides=lambda line: None):
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "desk.yaml").write_text(line)
    directory: Directory = load(tmp_path)
    logs = LogWriter(tmp_path / "logs")
    logs.start()
    agents = agents or Agents()
    time = [1000.0]
    recordings = Recordings(tmp_path / "recordings")
    recordings.start()
    exchange = Exchange(
        directory=lambda: directory,
        tokens=StreamTokens(b"0123456789abcdef"),
        admission=Admission(max_calls),
        maker=CallMaker(
            logs=logs,
            agents=agents,
            carrier=lambda _account_sid: None,
            recordings=recordings,
            clock=lambda: time[0],
            wall=lambda: 1_700_000_000 + time[0],
        ),
        overrides=overrides,
        clock=lambda: time[0],
        wall=lambda: 1_700_000_000 + time[0],
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(exchange.run)
        yield Node(exchange, agents, tmp_path / "logs", time, recordings)
        tasks.cancel_scope.cancel()
    logs.stop()


def test_ids_of_calls_are_sortable_by_their_time_and_cannot_be_guessed():
    """Design rule 17: UUIDs of version 7."""
    ids = [new_call_id(1_700_000_000 + number / 1000) for number in range(1000)]
    assert ids == sorted(set(ids))
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}
    assert uuid.UUID(ids[0]).int >> 80 == 1_700_000_000_000
    assert len({uuid.UUID(new_call_id(0)).int & (1 << 62) - 1 for _ in range(1000)}) == 1000


async def test_three_visits_are_one_call(tmp_path):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        numbers = []
        for _ in range(3):
            plan = here.offer()
            assert here.offer() == plan  # a repeated delivery of the same visit
            stream = Stream()
            tasks.start_soon(here.exchange.carry, here.start(plan), stream)
            await anyio.wait_all_tasks_blocked()
            numbers.append(stream.number)
            stream.end("stop")  # a redirect: the stream ends, the call lives
            await anyio.wait_all_tasks_blocked()
        assert numbers == [1, 2, 3]
        [live] = here.exchange.calls
        here.exchange.report("CA1", "completed")
        await anyio.wait_all_tasks_blocked()
        assert not here.exchange.calls
    entries = here.log()
    assert [type(entry) for entry in entries].count(Closed) == 1
    assert isinstance(entries[0], Header)
    assert entries[0].call_id == live.call_id


async def test_a_call_that_was_taken_is_on_record(tmp_path):
    async with node(tmp_path) as here:
        here.offer()
        await here.exchange.on_record("CA1")
        assert isinstance(here.log()[0], Header)
        await here.exchange.on_record("nobody")


async def test_a_disk_that_takes_nothing_keeps_no_caller_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.exchange.BEGIN_WITHIN", 0.05)
    async with node(tmp_path) as here:
        here.offer()
        [live] = here.exchange.calls
        with live.bridge.log._beginning, anyio.fail_after(5):
            await here.exchange.on_record("CA1")
        (tmp_path / "logs").rename(tmp_path / "elsewhere")
        here.offer("CA2")
        await here.exchange.on_record("CA2")
        (tmp_path / "elsewhere").rename(tmp_path / "logs")


async def test_a_token_is_good_for_one_stream(tmp_path):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        start = here.start(here.offer())
        stream = Stream()
        tasks.start_soon(here.exchange.carry, start, stream)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(TokenError, match="spent"):
            await here.exchange.carry(start, Stream())
        with pytest.raises(TokenError, match="another call"):
            await here.exchange.carry(StreamStart("MZ2", "CA2", "AC1", start.parameters), Stream())
        with pytest.raises(TokenError, match="another account"):
            await here.exchange.carry(StreamStart("MZ2", "CA1", "AC2", start.parameters), Stream())
        with pytest.raises(TokenError, match="no token"):
            await here.exchange.carry(StreamStart("MZ2", "CA1", "AC1"), Stream())
        assert len(here.agents.opened) == 1
        stream.end("stop")


async def test_a_token_expires(tmp_path):
    async with node(tmp_path) as here:
        start = here.start(here.offer())
        here.time[0] += 61
        with pytest.raises(TokenError, match="expired"):
            await here.exchange.carry(start, Stream())


async def test_a_newer_stream_takes_the_place_of_an_older(tmp_path):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        first, second = Stream(), Stream()
        tasks.start_soon(here.exchange.carry, here.start(here.offer()), first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(here.exchange.carry, here.start(here.offer()), second)
        await anyio.wait_all_tasks_blocked()
        assert first.cause == "superseded"
        assert not second.over.is_set()
        second.end("stop")


async def test_a_stream_whose_webhook_was_answered_elsewhere_begins_the_call_here(tmp_path):
    async with node(tmp_path / "a", line=LINE) as there:
        start = there.start(there.offer())
        call_id = there.exchange.calls[0].call_id
    async with node(tmp_path / "b", line=LINE) as here, anyio.create_task_group() as tasks:
        stream = Stream()
        tasks.start_soon(here.exchange.carry, start, stream)
        await anyio.wait_all_tasks_blocked()
        assert here.exchange.calls[0].call_id == call_id
        stream.end("stop")


async def test_early_audio_goes_to_the_agent_in_order(tmp_path):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        stream = Stream()
        tasks.start_soon(here.exchange.carry, here.start(here.offer()), stream)
        await anyio.wait_all_tasks_blocked()
        [live] = here.exchange.calls
        for number in range(5):
            live.bridge.hear(f"frame{number}", 160, number * 20)
        heard = [command.payload for command in here.agents.opened[0].commands if isinstance(command, Hear)]
        assert heard == [f"frame{number}" for number in range(5)]
        stream.end("stop")


@pytest.mark.parametrize("options", [{"lost": True}, {"broken": True}])
async def test_without_a_model_the_caller_hears_on_failure(tmp_path, options):
    async with node(tmp_path, agents=Agents(options)) as here, anyio.create_task_group() as tasks:
        stream = Stream()
        tasks.start_soon(here.exchange.carry, here.start(here.offer()), stream)
        await anyio.wait_all_tasks_blocked()
        assert stream.over.is_set()
        assert here.asked(status="in-progress") == (Say("Sorry.", "en-US"), HangUp())
        assert not here.exchange.calls
        assert here.asked(status="in-progress") == (HangUp(),)


async def test_a_lost_socket_is_opened_again(tmp_path):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        first, second = Stream(), Stream()
        tasks.start_soon(here.exchange.carry, here.start(here.offer()), first)
        await anyio.wait_all_tasks_blocked()
        first.end("lost")
        await anyio.wait_all_tasks_blocked()
        plan = here.asked(status="in-progress")
        assert isinstance(plan[0], Connect)
        assert plan[0].parameters
        tasks.start_soon(here.exchange.carry, here.start(plan), second)
        await anyio.wait_all_tasks_blocked()
        assert second.number == 2
        second.end("stop")


async def test_a_call_that_nobody_knows_is_not_met_with_silence(tmp_path):
    async with node(tmp_path) as here:
        assert here.asked("CA9", status="in-progress") == (Say("Sorry.", "en-US"), HangUp())
        assert here.asked("CA9", status="completed") == (HangUp(),)


async def test_refusals(tmp_path):
    async with node(tmp_path, max_calls=1) as here:
        assert here.offer(line="nowhere") == (Reject("rejected"),)
        assert isinstance(here.offer()[0], Connect)
        assert here.offer("CA2") == (Reject("busy"),)
        assert isinstance(here.offer()[0], Connect)


async def test_ten_calls_of_a_number_in_an_hour(tmp_path):
    async with node(tmp_path) as here:
        plans = []
        for number in range(11):
            plans.append(here.offer(f"CA{number}")[0])
            here.exchange.report(f"CA{number}", "completed")
        assert [type(plan) for plan in plans] == [Connect] * 10 + [Reject]
        here.time[0] += 3600
        assert isinstance(here.offer("CA12")[0], Connect)


async def test_a_drain_takes_no_calls_and_waits_for_the_live_ones(tmp_path):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        here.offer()
        tasks.start_soon(here.exchange.drain, 60)
        await anyio.wait_all_tasks_blocked()
        assert here.offer("CA2") == (Reject("busy"),)
        assert len(here.exchange.calls) == 1
        here.exchange.report("CA1", "completed")


async def test_a_drain_that_takes_too_long_ends_the_calls(tmp_path):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        stream = Stream()
        tasks.start_soon(here.exchange.carry, here.start(here.offer()), stream)
        await anyio.wait_all_tasks_blocked()
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(here.exchange.drain, 0.01)
        await anyio.sleep(0.2)
        [live] = here.exchange.calls
        assert live.bridge.call.state == "closing"
        here.exchange.report("CA1", "completed")
        stream.end("stop")
    assert here.log()[-1].reason.reason == "drained"


async def test_a_fault_of_ours_ends_the_call_with_its_reason_and_words(tmp_path, monkeypatch):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        stream = Stream()
        tasks.start_soon(here.exchange.carry, here.start(here.offer()), stream)
        await anyio.wait_all_tasks_blocked()
        [live] = here.exchange.calls
        monkeypatch.setattr(live.bridge.call, "floor", None)
        live.bridge.emit(SpeechStarted("item", 0))
        await anyio.wait_all_tasks_blocked()
        assert stream.over.is_set()
        assert here.asked(status="in-progress") == (Say("Sorry.", "en-US"), HangUp())
    assert str(here.log()[-1].reason) == "gateway: internal-error"


async def test_a_frame_by_the_short_way_is_the_event_that_it_stands_for(tmp_path):
    logs = []
    for name in ("event", "short"):
        async with node(tmp_path / name) as here, anyio.create_task_group() as tasks:
            stream = Stream()
            tasks.start_soon(here.exchange.carry, here.start(here.offer()), stream)
            await anyio.wait_all_tasks_blocked()
            [live] = here.exchange.calls
            for number in range(45):
                frame = (f"frame{number}", 160, number * 20 + (40 if number > 30 else 0))
                if number in {10, 42}:
                    live.bridge.emit(AgentLost(1, "model-unreachable") if number > 40 else TimePassed())
                live.bridge.emit(CallerAudio(*frame)) if name == "event" else live.bridge.hear(*frame)
                here.time[0] += 0.02
            heard = [command for command in here.agents.opened[0].commands if isinstance(command, Hear)]
            stream.end("stop")
        logs.append((heard, [line for line in here.log() if isinstance(line, Entry)]))
    assert logs[0] == logs[1]
    assert len(logs[0][0]) == 42  # the rest came after the model was gone


async def test_a_side_that_fails_to_take_a_command_ends_the_call_too(tmp_path, monkeypatch):
    async with node(tmp_path) as here, anyio.create_task_group() as tasks:
        stream = Stream()
        tasks.start_soon(here.exchange.carry, here.start(here.offer()), stream)
        await anyio.wait_all_tasks_blocked()
        [live] = here.exchange.calls
        agent = here.agents.opened[0]
        monkeypatch.setattr(agent, "hear", lambda _payload, _size: 1 / 0)
        live.bridge.hear("/////w==", 4, 0)
        await anyio.wait_all_tasks_blocked()
        assert stream.over.is_set()
        assert here.exchange.calls == ()
    assert str(here.log()[-1].reason) == "gateway: internal-error"


async def test_five_hundred_calls_leave_nothing_behind(tmp_path):
    async with node(tmp_path, max_calls=600) as here, anyio.create_task_group() as tasks:
        for number in range(500):
            sid = f"CA{number}"
            stream = Stream()
            tasks.start_soon(here.exchange.carry, here.start(here.offer(sid, caller="client:x"), sid), stream)
            await anyio.sleep(0)
            stream.end("stop")
        await anyio.wait_all_tasks_blocked()
        for number in range(500):
            here.exchange.report(f"CA{number}", "completed")
        await anyio.wait_all_tasks_blocked()
        assert not here.exchange.calls
        assert all(agent.closed.is_set() for agent in here.agents.opened)
    logs = [list(read_log(path)) for path in here.folder.glob("*.jsonl")]
    assert len(logs) == 500
    assert all(isinstance(lines[-1], Closed) for lines in logs)
    assert all(isinstance(line, Entry) for line in logs[0][1:-1])


RECORDED = LINE + "recording: {mode: dual, consent: This call may be recorded.}\n"


async def test_a_recorded_call_begins_with_its_notice_and_leaves_a_file(tmp_path):
    async with node(tmp_path, line=RECORDED) as here, anyio.create_task_group() as tasks:
        plan = here.offer()
        assert plan[0] == Say("This call may be recorded.", "en-US")
        assert here.offer() == plan
        stream = Stream()
        tasks.start_soon(here.exchange.carry, here.start(plan[1:]), stream)
        await anyio.wait_all_tasks_blocked()
        [live] = here.exchange.calls
        assert live.recorded
        loud = b64encode(bytes([1]) * 160).decode()
        for number in range(4):
            if number == 2:
                assert live.pause_recording("tester")
            live.bridge.hear(loud, 160, number * 20)
            here.time[0] += 0.02
        stream.end("stop")
        await anyio.wait_all_tasks_blocked()
        assert here.offer() != plan
        assert isinstance(here.offer()[0], Connect)  # the notice was heard in this call
        here.exchange.report("CA1", "completed")
        await anyio.wait_all_tasks_blocked()
        assert not live.resume_recording("tester")
    kept = here.recordings.find(live.call_id)
    assert kept is not None
    caller, agent = read_channels(kept.read(0, kept.size))
    assert caller == b"\1" * 320 + b"\xff" * 320
    assert agent == b"\xff" * 640
    notes = [line for line in here.log() if isinstance(line, Note)]
    assert [note.what for note in notes] == ["recorded", "recording-paused"]
    assert notes[0].details["sha256"] == sha256(b"This call may be recorded.").hexdigest()


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        ("consent: not-needed, reason: our own test line", None),
        ("consent: Hi, notice: 'https://x.example/hi.mp3'", Announce("https://x.example/hi.mp3", "Hi")),
    ],
)
async def test_other_notices(tmp_path, keys, first):
    async with node(tmp_path, line=LINE + f"recording: {{mode: dual, {keys}}}\n") as here:
        plan = here.offer()
        assert plan[0] == first or (first is None and len(plan) == 1)


async def test_a_line_that_says_nothing_of_recording_records_nothing(tmp_path):
    async with node(tmp_path) as here:
        here.offer()
        assert not here.exchange.calls[0].recorded
        assert not here.exchange.calls[0].mask_recording(3, "tester")


HOURS = """
default: true
agents: {host: {instructions: Day., handoffs: [night]}, night: {instructions: Night.}}
agent: host
transfer: {desk: {to: "+14155550111"}}
hours: {open: {mon-sun: "00:00-12:00"}, closed: %s}
"""
MORNING, EVENING = 1_767_265_200 - 1_700_000_000, 1_767_294_000 - 1_700_000_000
"""2026-01-01, 11:00 and 19:00 UTC, as the node's clock has them."""


@pytest.mark.parametrize(
    ("closed", "plan"),
    [
        ("{reject: busy}", (Reject("busy"),)),
        ("{reject: rejected}", (Reject("rejected"),)),
        ("{say: Later.}", (Say("Later.", "en-US"), HangUp())),
        ("{say: Later., then: 'transfer:desk'}", (Say("Later.", "en-US"), Dial("+14155550111"))),
        ("transfer:desk", (Dial("+14155550111"),)),
    ],
)
async def test_outside_its_hours_a_line_does_what_it_names(tmp_path, closed, plan):
    async with node(tmp_path, line=HOURS % closed) as here:
        here.time[0] = EVENING
        assert here.offer() == plan
        assert here.exchange.calls == ()
        here.time[0] = MORNING
        assert isinstance(here.offer("CA2")[0], Connect)


async def test_outside_its_hours_another_agent_may_answer(tmp_path):
    async with node(tmp_path, line=HOURS % "agent:night") as here:
        for at, agent in ((MORNING, "host"), (EVENING, "night")):
            here.time[0] = at
            assert isinstance(here.offer(f"CA{at}")[0], Connect)
            assert here.exchange.calls[-1].line.agent == agent


@pytest.mark.parametrize(
    ("outcome", "plan"),
    [
        (Refused("busy"), (Reject("busy"),)),
        (WordsHeard("Soon."), (Say("Soon.", "en-US"), HangUp())),
        (TargetRings("desk"), (Dial("+14155550111"),)),
        (TargetRings("gone"), None),  # the lines were edited since: better the agent than nobody
        (AgentAnswers(), None),
    ],
)
async def test_an_override_wins_over_the_hours(tmp_path, outcome, plan):
    async with node(tmp_path, line=HOURS % "{say: Closed.}", overrides=lambda line: outcome) as here:
        here.time[0] = EVENING
        if plan is not None:
            assert here.offer() == plan
        else:
            assert isinstance(here.offer()[0], Connect)
            assert here.exchange.calls[-1].line.agent == "host"
