"""Rows of calls: written while they live, closed after a crash, and the same when made again from the logs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from gateway.call import events as e
from gateway.store import tables
from gateway.store.database import Database
from gateway.store.log import LogWriter
from gateway.store.log_file import append_note
from gateway.store.projection import Row
from gateway.store.projector import Projector
from gateway.store.rebuild import rebuild

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("brisk")]


async def rows_of(database, table, **where):
    async with database.read() as connection:
        asked = select(table)
        for name, value in where.items():
            asked = asked.where(table.c[name] == value)
        return [dict(row) for row in (await connection.execute(asked)).mappings()]


async def everything(database):
    found = {}
    for table in tables.PROJECTIONS:
        rows = await rows_of(database, table)
        for row in rows:
            row.pop("seq", None)
        found[table.name] = sorted(rows, key=str)
    return found


@pytest.fixture
async def database(url):
    database = Database(url)
    yield database
    await database.close()


class Following(Projector):
    """A projector that remembers which calls it told of."""

    def __init__(self, url, folder):
        self.closed: list[Row] = []
        super().__init__(url, folder, self.closed.append)


@pytest.fixture
def projector(url, writer):
    following = Following(url, writer.folder)
    writer._told = following.told
    following.start()
    yield following
    following.stop()


async def until(condition, seconds=10.0):
    with anyio.fail_after(seconds):
        while not await condition():
            await anyio.sleep(0.05)


async def test_a_call_with_everything_in_it(database, projector, writer, whole):
    call = whole()
    writer.stop()
    projector.stop()
    [row] = await rows_of(database, tables.calls)
    assert row["id"] == call.call_id
    assert (row["result"], row["reason"], row["ended_by"], row["status"]) == (
        "success",
        "caller-hung-up",
        "caller",
        "completed",
    )
    assert (row["visits"], row["barge_ins"], row["handoffs"], row["tools"]) == (2, 1, 1, 2)
    assert (row["transfers"], row["guardrail_trips"]) == (1, 1)
    assert row["began"] < row["answered"] < row["ended"]
    turns = sorted(await rows_of(database, tables.turns), key=lambda turn: turn["began"])
    assert [turn["item_id"] for turn in turns] == ["greet", "c1", "a1", "over-a1"]
    assert turns[3]["heard"] == "No wait, the other hall"  # its text came after the transfer, its speech before
    cut = turns[2]
    assert cut["cut"]
    assert 0 < len(cut["heard"]) < len(cut["generated"])
    assert cut["agent"] == "triage"
    tools = await rows_of(database, tables.tool_calls)
    assert [(tool["tool"], tool["result"], tool["approval"]) for tool in tools] == [
        ("find_item", "found at the desk", ""),
        ("refund", "refunded", "given"),
    ]
    assert tools[1]["approved_by"] == "ann"
    legs = await rows_of(database, tables.legs)
    assert [(leg["kind"], leg["target"], leg["status"]) for leg in legs] == [
        ("caller", "", "completed"),
        ("human", "sales", "busy"),
    ]
    assert {row["kind"]: row["amount"] for row in await rows_of(database, tables.usage)} == {
        "input_tokens": 20,
        "output_tokens": 40,
    }
    assert [row["after"] for row in await rows_of(database, tables.handoffs)] == ["seats"]
    assert [row["id"] for row in projector.closed] == [call.call_id]


async def test_turns_are_there_while_the_call_lives_and_in_its_transcript(database, projector, writer, talk):
    call = talk()
    call.begin()
    call.answers("greet", "Hello, this is Acme.")

    async def there():
        return [turn["heard"] for turn in await rows_of(database, tables.turns)] == ["Hello, this is Acme."]

    await until(there)
    [row] = await rows_of(database, tables.calls)
    assert row["ended"] is None
    call.ends()

    async def closed():
        return (await rows_of(database, tables.calls))[0]["ended"] is not None

    await until(closed)
    live = await everything(database)
    assert live["transcripts"][0]["text"] == "Hello, this is Acme."  # written long before the end
    projector.stop()
    await rebuild(database, writer.folder)
    assert await everything(database) == live


async def test_rebuilt_rows_are_the_same(database, url, projector, writer, whole):
    calls = [whole(wall=1_700_000_000.0 + number) for number in range(3)]
    writer.stop()
    projector.stop()
    append_note(writer.folder, calls[0].call_id, 99.0, "outcome", {"status": "filled", "values": {"name": "Ann"}})
    counted = await rebuild(database, writer.folder)
    assert counted.calls == 3
    first = await everything(database)
    assert first["calls"][0]["outcome"] == {"name": "Ann"}
    assert all(first[name] for name in ("turns", "events", "visits", "legs", "tool_calls", "handoffs", "transcripts"))
    async with database.write() as connection:
        for table in tables.PROJECTIONS:
            await connection.execute(table.delete())
    assert (await rebuild(database, writer.folder)).calls == 3
    assert await everything(database) == first


async def test_written_live_and_rebuilt_are_the_same(database, projector, writer, whole):
    whole()
    writer.stop()
    projector.stop()
    live = await everything(database)
    await rebuild(database, writer.folder)
    assert await everything(database) == live


async def test_a_queue_that_is_full_loses_nothing(database, projector, writer, whole, monkeypatch):
    monkeypatch.setattr("gateway.store.projector.QUEUE", 1)
    for number in range(5):
        whole(wall=1_700_000_000.0 + number)
    writer.stop()
    projector.stop()
    assert len(await rows_of(database, tables.calls)) == 5
    live = await everything(database)
    await rebuild(database, writer.folder)
    assert await everything(database) == live


async def test_a_database_that_was_away_gets_everything(database, projector, writer, whole, monkeypatch):
    monkeypatch.setattr("gateway.store.projector._RETRY", (0.05,))
    real, broken = Database.write, [True]

    def away(self):
        if broken[0]:
            raise OSError("no route to the database")
        return real(self)

    monkeypatch.setattr(Database, "write", away)
    whole()

    async def tried():
        return projector.failures > 2

    await until(tried)
    broken[0] = False

    async def there():
        return bool(projector.closed)

    await until(there)
    assert len(await rows_of(database, tables.turns)) == 4


CRASHING = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from tests.records import Talk
from gateway.store.log import LogWriter
writer = LogWriter(Path({folder!r})); writer.start()
call = Talk(writer, call_id="0188bcd6-0000-7000-8000-000000000001")
call.begin()
call.answers("greet", "Hello, this is Acme.")
call.asks("c1", "Good evening")
print("talking", flush=True)
while True:
    call.frames(20); time.sleep(0.01)
"""


@pytest.mark.slow
@pytest.mark.alone
async def test_a_killed_process_leaves_a_closed_record(database, url, tmp_path):
    folder = tmp_path / "calls"
    code = CRASHING.format(here=str(Path(__file__).parents[2]), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.6)
    while_it_lives = await rebuild(database, folder)
    assert (while_it_lives.calls, while_it_lives.live) == (0, 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with next(folder.glob("*.jsonl")).open("ab") as file:
        file.write(b'["e",999,12.5,["DigitPr')  # what a crash can leave
    projector = Following(url, folder)
    projector.start()
    projector.stop()
    [row] = await rows_of(database, tables.calls)
    assert (row["result"], row["reason"], row["ended_by"]) == ("gateway", "process-lost", "gateway")
    turns = sorted(await rows_of(database, tables.turns), key=lambda turn: turn["began"])
    assert [turn["heard"] for turn in turns] == ["Hello, this is Acme.", "Good evening"]
    assert [each["id"] for each in projector.closed] == [row["id"]]
    before = await everything(database)
    again = Projector(url, folder)
    again.start()
    again.stop()
    await rebuild(database, folder)
    assert await everything(database) == before


async def test_a_call_taken_up_by_another_process_is_one_call(database, url, tmp_path, writer, whole, talk):
    first = whole()
    writer.stop()
    second = LogWriter(writer.folder)
    second.start()
    call = talk(writer=second, call_id=first.call_id, wall=1_700_000_100.0)
    call.begin()
    call.answers("b1", "Hello again.")
    call.say(e.HangUpAsked("operator", "done"), 1)
    call.ends()
    second.stop()
    assert (await rebuild(database, writer.folder)).calls == 1
    [row] = await rows_of(database, tables.calls)
    assert row["ended_by"] == "operator"
    assert row["ended"] > 1_700_000_100
    assert len(await rows_of(database, tables.turns)) == 5


async def test_a_call_taken_up_by_another_process_is_counted_on_while_it_lives(database, url, tmp_path, writer, talk):
    first = talk()
    first.begin()
    first.answers("greet", "Hello, this is Acme.")
    first.say(e.AgentChanged("triage", "seats"))
    first.log.note(first.now, "cost", {"total": 0.25, "usage": {"output_tokens": 0.25}})
    writer.stop()  # and nothing closed the log
    second = LogWriter(writer.folder)
    projector = Following(url, writer.folder)
    second._told = projector.told
    second.start()
    projector.start()
    call = talk(writer=second, call_id=first.call_id, wall=1_700_000_100.0)
    call.begin()
    call.answers("b1", "Hello again.")

    async def there():
        return len(await rows_of(database, tables.turns)) == 2

    await until(there)
    [row] = await rows_of(database, tables.calls)
    assert (row["turns"], row["handoffs"], row["ended"], row["began"]) == (2, 1, None, 1_700_000_000.0)
    call.answers("b2", "And again.")
    call.log.note(call.now, "cost", {"total": 0.5, "usage": {"output_tokens": 0.5}})
    call.ends()
    second.stop()
    projector.stop()
    live = await everything(database)
    [row] = live["calls"]
    assert (row["turns"], row["handoffs"], row["visits"], row["cost"]) == (3, 1, 1, 0.75)
    assert {used["kind"]: (used["amount"], used["cost"]) for used in live["usage"]} == {
        "input_tokens": (30, None),
        "output_tokens": (60, 0.75),
    }
    assert len(live["notes"]) == 2
    assert [(leg["kind"], leg["ended"]) for leg in live["legs"]] == [("caller", row["ended"])]
    assert [each["reason"] for each in projector.closed] == ["process-lost", "caller-hung-up"]
    await rebuild(database, writer.folder)
    assert await everything(database) == live


async def test_an_outcome_that_came_just_before_a_crash_is_not_left_in_the_log_alone(database, url, writer, whole):
    calls = [whole(wall=time.time() - number) for number in range(2)]
    writer.stop()
    await rebuild(database, writer.folder)
    append_note(writer.folder, calls[0].call_id, 99.0, "outcome", {"status": "filled", "values": {"name": "Ann"}})
    projector = Following(url, writer.folder)
    projector.start()
    projector.stop()
    found = {row["id"]: row["outcome"] for row in await rows_of(database, tables.calls)}
    assert found == {calls[0].call_id: {"name": "Ann"}, calls[1].call_id: None}
    assert projector.closed == []
    live = await everything(database)
    await rebuild(database, writer.folder)
    assert await everything(database) == live


async def test_a_call_whose_process_died_has_its_cost(database, url, writer, talk):
    call = talk()
    call.begin()
    call.answers("greet", "Hello, this is Acme.")
    writer.stop()
    asked = []

    def price(line, usage, seconds):
        asked.append((line, dict(usage), seconds))
        return {"total": 0.5, "usage": {"output_tokens": 0.4}, "carrier": 0.1, "as_of": "2026-11-24"}

    projector = Projector(url, writer.folder, price=price)
    projector.start()
    projector.stop()
    assert asked == [("desk", {"input_tokens": 10, "output_tokens": 20}, call.now)]
    live = await everything(database)
    assert (live["calls"][0]["reason"], live["calls"][0]["cost"]) == ("process-lost", 0.5)
    assert [used["cost"] for used in live["usage"] if used["kind"] == "output_tokens"] == [0.4]
    await rebuild(database, writer.folder)
    assert await everything(database) == live


async def test_what_no_text_may_hold_stops_no_records(database, projector, writer, whole, talk):
    call = talk()
    call.begin()
    call.say(e.ToolStarted("find\0", "\0{}", "t1"))
    call.say(e.ToolEnded("find\0", "found\0it, \ud83d", "t1"), 0.1)
    call.ends()
    other = whole()
    writer.stop()
    projector.stop()
    assert {row["id"] for row in await rows_of(database, tables.calls)} == {call.call_id, other.call_id}
    [tool] = await rows_of(database, tables.tool_calls, call_id=call.call_id)
    assert (tool["tool"], tool["result"]) == ("find\N{REPLACEMENT CHARACTER}", "found\N{REPLACEMENT CHARACTER}it, ?")
    live = await everything(database)
    await rebuild(database, writer.folder)
    assert await everything(database) == live


async def test_a_number_that_no_column_takes_costs_its_own_call_alone(database, projector, writer, whole, talk):
    call = talk()
    call.begin()
    call.say(e.ResponseDone("r1", "completed", usage={"output_tokens": 2**70}))
    call.ends()
    other = whole()
    writer.stop()
    with capture_logs():
        projector.stop()
    assert other.call_id in {row["id"] for row in await rows_of(database, tables.calls)}
