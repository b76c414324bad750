"""Calls that end in every way there is, and whether each has one closed record that says how.

    python -m tests.bench.endings --calls 500 --rounds 10

In each round a gateway takes its share of the calls: callers hang up at random times, agents hang up and transfer,
streams are lost or refused, models break, limits are reached, others end the call; status callbacks come in order,
reversed, shuffled, doubled, early or not at all. Rounds end by themselves, by SIGTERM and by SIGKILL in turn.
"""

# ruff: noqa: T201 - it prints a table
from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gateway.testing import (
    PUBLIC_URL,
    VOICE_URL,
    Behaviour,
    DialOutcome,
    FakeTwilio,
    GatewayProcess,
    PhoneCall,
    ScriptedCaller,
    ScriptedModel,
)
from gateway.testing.model import Fault, call_tool, nothing, say
from tests.bench.books import Books, Row, faults_of, was_accepted

SALES, NOBODY = "+15550198", "+15550199"
_COMMON = f"""
greeting: Hello.
tools: [hang_up, transfer]
transfer: {{sales: {{to: "{SALES}"}}, nobody: {{to: "{NOBODY}"}}}}
on_failure: {{say: Sorry., then: hang_up}}
limits: {{silence: 5s, max_duration: 10s}}
"""
_LINES = {"talks": "", "goes": "", "rest": "end_by: rest", "moves": "", "returns": "", "breaks": "", "silent": ""}
"""Lines by what their model does, with what is special about them."""
NUMBERS = {line: f"+1555010{number:04}" for number, line in enumerate(_LINES)}

End: TypeAlias = Literal["over", "term", "kill"]
"""How a round ends: when its calls are over, or amid them."""
ENDS: tuple[End, ...] = ("kill", "over", "term")
HUNG_UP, GONE = ("success", "caller-hung-up", "caller"), ("success", "done", "agent")
LOST, NO_STREAM = ("carrier", "stream-lost", "carrier"), ("carrier", "no-stream", "carrier")
EARLY = {("caller", "hung-up-early", "caller"), ("carrier", "no-answer", "carrier")}
"""Before the call was answered, which the carrier calls no answer where it knows of no answer of ours."""
LIMITS = {("caller", "silence", "caller"), ("gateway", "max-duration", "gateway")}
NODE: dict[End, set[tuple[str, str, str]]] = {
    "over": {("gateway", "drained", "gateway")},  # of whose end nobody told
    "term": {("gateway", "drained", "gateway")},
    "kill": {("gateway", "process-lost", "gateway")},
}
"""What the end of a round may do to any call that is on."""


async def _hang_up(caller: ScriptedCaller, chance: random.Random) -> None:
    await asyncio.sleep(chance.choice([chance.uniform(0, 0.3), chance.uniform(0.3, 3)]))
    caller.hang_up()


async def _lose_stream(caller: ScriptedCaller, chance: random.Random) -> None:
    await caller.wait_for_stream()
    await asyncio.sleep(chance.uniform(0, 3))
    caller.call.break_stream()


async def _end_elsewhere(caller: ScriptedCaller, chance: random.Random) -> None:
    await asyncio.sleep(chance.uniform(0.3, 3))
    caller.call.end("api")


async def _listen(_caller: ScriptedCaller, _chance: random.Random) -> None:
    """Do nothing: somebody else ends the call."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to end a call.

    Attributes:
        line: which line is called.
        ends: result, reason and who ended it, as the record may say.
        act: what the caller or the network does.
        behaviour: the carrier's switches.
    """

    line: str
    ends: frozenset[tuple[str, str, str]]
    act: Callable[[ScriptedCaller, random.Random], Awaitable[None]] = _listen
    behaviour: dict[str, Any] = field(default_factory=dict)


WAYS = {
    "the caller hangs up": Way("talks", frozenset({HUNG_UP, *EARLY}), _hang_up),
    "the caller hangs up, of which no action tells": Way(
        "talks", frozenset({HUNG_UP, *EARLY}), _hang_up, {"action_on_hang_up": False}
    ),
    "the webhook comes twice": Way("talks", frozenset({HUNG_UP, *EARLY}), _hang_up, {"duplicate_webhooks": True}),
    "the stream is lost": Way("talks", frozenset({LOST, NO_STREAM, *LIMITS}), _lose_stream),
    "the stream is lost, of which no action tells": Way(
        # A stream that is lost before its first message was read is one that never came.
        "talks",
        frozenset({LOST, HUNG_UP, *EARLY}),
        _lose_stream,
        {"action_on_broken_stream": False},
    ),
    "the stream is refused": Way(
        "talks",
        frozenset({NO_STREAM, *EARLY, HUNG_UP}),
        behaviour={"stream_signature": "tampered"},
    ),
    "the call is ended elsewhere": Way("talks", frozenset({HUNG_UP, *EARLY}), _end_elsewhere),
    "a limit is reached": Way("silent", frozenset(LIMITS)),
    "the agent hangs up": Way("goes", frozenset({GONE})),
    "the agent hangs up by REST": Way("rest", frozenset({GONE})),
    "the agent transfers": Way("moves", frozenset({("success", "transferred", "agent")})),
    "the agent transfers in vain": Way("returns", frozenset(LIMITS)),
    "the model breaks": Way("breaks", frozenset({("model", "model-lost", "model")})),
}
STATUSES = ("ordered", "reversed", "shuffled", "doubled", "early", "missing")


async def _brain(session: Any, _asked: Any) -> Any:
    """Do what the line is for; which one it is stands in the instructions."""
    line, first = session.config["instructions"].split()[-1], len(session.answers) == 1
    match line:
        case "goes" | "rest" | "moves":
            tool = (
                call_tool("transfer", {"target": "sales"})
                if line == "moves"
                else call_tool("hang_up", {"reason": "done"})
            )
            return say("Goodbye.", 0.5) + tool if first else nothing()
        case "returns" if session.number % 2 == 0:
            return say("One moment.", 0.5) + call_tool("transfer", {"target": "nobody"}) if first else nothing()
        case "breaks":
            await session.strike(Fault.RESET)
    return say("Hello.", 1.0)


@dataclass(slots=True)
class Ended:
    """A call, how it was to end, and what its record says."""

    way: str
    status: str
    round_ended: End
    phone: PhoneCall
    rows: list[Row] = field(default_factory=list)

    @property
    def said(self) -> tuple[str, str, str]:
        return self.rows[0]["result"], self.rows[0]["reason"], self.rows[0]["ended_by"]

    @property
    def fault(self) -> str:
        """What is wrong with its record; nothing where all is well."""
        if not was_accepted(self.phone):
            # It may have been taken all the same, and the answer lost with the process or with the caller.
            return faults_of(self.rows) if self.rows else ""
        if fault := faults_of(self.rows):
            return fault
        may_be = WAYS[self.way].ends | NODE[self.round_ended] | ({HUNG_UP, *EARLY} if self.status == "early" else set())
        return "" if self.said in may_be else f"says {', '.join(self.said)}"


@dataclass(slots=True)
class Series:
    """Calls over some rounds, on one data folder."""

    folder: Path
    calls: int
    ends: tuple[End, ...]
    seed: int
    at_once: int
    ended: list[Ended] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    rows: int = 0

    @property
    def books(self) -> Books:
        return Books(self.folder / "data", self.folder / "agents_config")

    async def run(self) -> None:
        self.books.lines.mkdir(parents=True)
        (self.books.lines / "_defaults.yaml").write_text(_COMMON)
        for line, more in _LINES.items():
            text = f'number: "{NUMBERS[line]}"\ninstructions: Your callers want one who {line}\n{more}\n'
            (self.books.lines / f"{line}.yaml").write_text(text)
        chance = random.Random(self.seed)
        dials = {SALES: DialOutcome("completed", talks=0.2), NOBODY: DialOutcome("busy")}
        fast = Behaviour(speech_ms_per_character=10.0)
        async with (
            ScriptedModel(_brain, record=False) as model,
            FakeTwilio(voice_url=VOICE_URL, behaviour=fast, seed=self.seed, dials=dials) as twilio,
        ):
            plans = self._plans(chance)
            for number, end in enumerate(self.ends):
                async with self._gateway(twilio, model) as gateway:
                    await self._round(twilio, gateway, plans[number :: len(self.ends)], end, chance)
            async with self._gateway(twilio, model) as gateway:  # which closes what the last one left open
                gateway.signal()
                await gateway.stopped(30)
        rows = self.books.by_call_sid()
        for ended in self.ended:
            ended.rows = rows.get(ended.phone.sid, [])
        self.rows = sum(map(len, self.books.all_rows().values()))
        self.differing = await self.books.differences()

    def _plans(self, chance: random.Random) -> list[tuple[str, str]]:
        """Return ways and statuses: each way as often as any other, with all statuses."""
        names = [*WAYS]
        plans = [
            (names[number % len(names)], STATUSES[(number + number // len(names)) % len(STATUSES)])
            for number in range(self.calls)
        ]
        chance.shuffle(plans)
        return plans

    def _gateway(self, twilio: FakeTwilio, model: ScriptedModel) -> GatewayProcess:
        environment = {"GATEWAY_DATA_DIR": str(self.books.data), "GATEWAY_DRAIN_TIMEOUT": "3s"}
        return GatewayProcess(self.books.lines, twilio=twilio, model_url=model.url, environment=environment)

    # ---- A round ----------------------------------------------------------------------------------------------------

    async def _round(
        self,
        twilio: FakeTwilio,
        gateway: GatewayProcess,
        plans: list[tuple[str, str]],
        end: End,
        chance: random.Random,
    ) -> None:
        room = asyncio.Semaphore(self.at_once)
        calls = [asyncio.create_task(self._call(twilio, room, *plan, end, chance)) for plan in plans]
        if end == "over":
            await asyncio.gather(*calls)
            gateway.signal()
            await gateway.stopped(60)
            return
        left = max(1, len(plans) // 4)  # are on, or just begun, when the process goes
        while sum(call.done() for call in calls) < len(plans) - left:
            await asyncio.sleep(0.02)
        await asyncio.sleep(chance.uniform(0, 1))
        gateway.signal() if end == "term" else gateway.process.kill()
        await gateway.stopped(60)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for phone in twilio.calls.values():
            phone.hang_up()

    async def _call(
        self, twilio: FakeTwilio, room: asyncio.Semaphore, way: str, status: str, end: End, chance: random.Random
    ) -> None:
        async with room:
            plan, number = WAYS[way], NUMBERS[WAYS[way].line]
            order = status if status in {"reversed", "shuffled", "doubled"} else "ordered"
            behaviour = twilio.behaviour.but(status_order=order, **plan.behaviour)
            told = "" if status == "missing" else PUBLIC_URL + "/twilio/status"
            twilio.account.numbers.clear()
            events = ("initiated", "ringing", "answered", "completed")
            twilio.add_number(number, VOICE_URL, status_callback=told, status_events=events)
            caller = await twilio.dial(number, behaviour=behaviour, caller=f"+1555{chance.randrange(10**7):07}")
            self.ended.append(Ended(way, status, end, caller.call))
            with suppress(AssertionError):  # it ended before what was waited for
                await plan.act(caller, chance)
            if status == "early" and not caller.call.is_over:
                await asyncio.sleep(chance.uniform(0, 1))
                await twilio.deliver(told, caller.call, {"CallStatus": "completed"})
            await caller.wait_for_end(60)


async def run(calls: int, ends: tuple[End, ...], seed: int, at_once: int = 25) -> Series:
    """Make so many calls, in one round for each of the ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        series = Series(Path(folder), calls, ends, seed, at_once)
        await series.run()
    return series


def report(series: Series) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for ended in series.ended:
        said = ", ".join(ended.said) if ended.rows else "not taken"
        found[ended.way, said] += 1
    for (way, said), count in sorted(found.items()):
        print(f"{way:48} {said:44} {count:4}")
    accepted = [ended for ended in series.ended if was_accepted(ended.phone)]
    faults = [ended for ended in series.ended if ended.fault]
    print(f"{len(series.ended)} calls, {len(accepted)} of them accepted: {len(faults)} without one right record")
    print(f"{series.rows} rows, {len(series.differing)} differ when rebuilt")
    for ended in faults:
        print(f"{ended.phone.sid}, {ended.way}, status {ended.status}, round {ended.round_ended}: {ended.fault}")
    for row in series.differing:
        print(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500, help="how many (500)")
    parser.add_argument("--rounds", type=int, default=10, help="gateways, one after the other (10)")
    parser.add_argument("--seed", type=int, default=1, help="of times and delays (1)")
    given = parser.parse_args()
    for name in ("asyncio", "uvicorn.error"):  # which tell of every write to, and request from, what was killed
        logging.getLogger(name).setLevel(logging.CRITICAL)
    report(asyncio.run(run(given.calls, tuple(ENDS[number % 3] for number in range(given.rounds)), given.seed)))


if __name__ == "__main__":
    main()
