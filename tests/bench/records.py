"""How long listing, filtering and searching take over 100,000 calls, on both databases: python -m tests.bench.records."""

# ruff: noqa: T201 - it prints a table
from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
from sqlalchemy import insert, text

from gateway.livecall import new_call_id
from gateway.store.calls import CallFilter, find_calls, get_call, summary, turns_of
from gateway.store.database import Database
from gateway.store.projection import Row
from gateway.store.schema import upgrade
from gateway.store.tables import calls, transcripts, turns
from tests.records import postgresql

ROUNDS = 15
WORDS = Path(__file__).parents[1].joinpath("speech", "index.tsv").read_text(encoding="utf-8").split()
DAY = 86_400.0
START = 1_700_000_000.0


def rows_of(number: int, chance: random.Random) -> tuple[Row, list[Row], Row]:
    began = START + number * 300
    call_id = new_call_id(began)
    line = "rare" if number % 1000 == 0 else f"line{number % 20}"
    said = [" ".join(chance.choices(WORDS, k=25)) + (" hello" if turn == 0 else "") for turn in range(8)]
    said[3] += f" order number {number}"
    call: dict[str, Any] = {column.name: None for column in calls.columns}
    call |= dict.fromkeys(("visits", "turns", "barge_ins", "tools", "handoffs", "transfers", "guardrail_trips"), 1)
    call |= {
        "id": call_id,
        "call_sid": f"CA{number:032x}",
        "account_sid": "AC1",
        "line": line,
        "direction": "inbound",
        "caller": f"+1415{number % 9973:07d}",
        "called": "+14155550100",
        "status": "completed",
        "began": began,
        "answered": began + 1,
        "ended": began + 120,
        "result": "success" if number % 50 else "model",
        "reason": "caller-hung-up" if number % 50 else "model-lost",
        "ended_by": "caller",
        "snapshot": "x",
        "version": "1",
        "node": "n",
        "outcome_status": "",
        "words_removed": False,
        "slowest_answer": chance.random() * 3,
    }
    spoken = [
        {
            "call_id": call_id,
            "item_id": f"i{turn}",
            "speaker": "caller" if turn % 2 else "agent",
            "agent": "",
            "began": began + turn * 10,
            "ended": began + turn * 10 + 5,
            "generated": words,
            "heard": words,
            "generated_ms": 5000.0,
            "heard_ms": 5000.0,
            "cut": False,
            "transcription_failed": False,
        }
        for turn, words in enumerate(said)
    ]
    return call, spoken, {"call_id": call_id, "text": "\n".join(said)}


async def filled(database: Database, count: int) -> None:
    chance = random.Random(7)
    for first in range(0, count, 1000):
        some = [rows_of(number, chance) for number in range(first, min(count, first + 1000))]
        async with database.write() as connection:
            await connection.execute(insert(calls), [call for call, _, _ in some])
            await connection.execute(insert(turns), [turn for _, spoken, _ in some for turn in spoken])
            await connection.execute(insert(transcripts), [said for _, _, said in some])
    async with database.alone() as connection:
        await connection.execute(text("ANALYZE"))


QUESTIONS = {
    "the newest 50": CallFilter(),
    "of a line": CallFilter(line="line7"),
    "of a line with few": CallFilter(line="rare"),
    "of a caller": CallFilter(caller="+14150000042"),
    "by reason, of a week": CallFilter(reason="model-lost", since=START, until=START + 7 * DAY),
    "live": CallFilter(live=True),
    "line and result": CallFilter(line="line0", result="model"),
    "a word of every call": CallFilter(words="hello"),
    "a rare word": CallFilter(words="77777"),
    "a phrase": CallFilter(words='"order number 4242"'),
    "two common words": CallFilter(words="hello order"),
    "a common word, a line with few": CallFilter(words="hello", line="rare"),
    "a common word, one caller": CallFilter(words="hello", caller="+14150000042"),
    "a common word, an old week": CallFilter(words="hello", since=START, until=START + 7 * DAY),
    "a word that nobody said": CallFilter(words="zzyzx"),
}


async def measure(name: str, database: Database, count: int) -> float:
    await upgrade(database)
    began = time.perf_counter()
    await filled(database, count)
    print(f"{name}: {count} calls, {count * 8} turns written in {time.perf_counter() - began:.0f} s")
    worst = 0.0
    for question, wanted in QUESTIONS.items():
        times = []
        for _ in range(ROUNDS):
            before = ""
            for _ in range(2):  # pages
                async with database.read() as connection:
                    began = time.perf_counter()
                    rows, before = await find_calls(connection, wanted, limit=50, before=before)
                    times.append((time.perf_counter() - began) * 1000)
                if not before:
                    break
        times.sort()
        worst = max(worst, times[-1])
        print(f"  {question:34} {len(rows):3} found   p50 {times[len(times) // 2]:7.1f} ms   max {times[-1]:7.1f} ms")
    async with database.read() as connection:
        [row], _ = await find_calls(connection, CallFilter(words="77777"), limit=1)
        began = time.perf_counter()
        await get_call(connection, row["id"])
        await turns_of(connection, row["id"])
        print(f"  one call with its turns: {(time.perf_counter() - began) * 1000:.1f} ms")
        began = time.perf_counter()
        await summary(connection, since=START, until=START + 30 * DAY)
        print(f"  figures over 30 days: {(time.perf_counter() - began) * 1000:.1f} ms")
    await database.close()
    return worst


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        worst = anyio.run(measure, "SQLite", Database(f"sqlite:///{folder}/gateway.db"), count)
    with postgresql() as cluster:
        cluster.run("CREATE DATABASE bench")
        worst = max(worst, anyio.run(measure, "PostgreSQL", Database(cluster.url("bench")), count))
    print(f"the slowest answer of all, of 50 calls at most: {worst:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
