"""Gateways that are killed with calls on them: what is lost of recordings and records.

    python -m tests.bench.kills --kills 100 --gateways 2

Each gateway is killed (SIGKILL) at a random moment while six calls begin, talk and end on it, and is started again on
the same data, over and over. What the caller said and heard is known from the carrier's double.
"""

# ruff: noqa: T201 - it prints a table
from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from gateway.audio.wav import read_channels
from gateway.testing import VOICE_URL, FakeTwilio, GatewayProcess, PhoneCall, ScriptedCaller, ScriptedModel
from gateway.testing.model import say
from tests.bench.books import Books, faults_of, is_sound, was_accepted

NUMBER = "+15550100"
LINE = f"""
number: "{NUMBER}"
greeting: Hello.
instructions: You answer the phone.
recording: {{mode: dual, consent: not-needed, reason: a test}}
"""
CALLS = 6
SPOKEN = 0x10
"""The agent's audio, so that it is known in a recording."""
RECORDED_FROM_MS = 1000
"""A call that was shorter may have no recording: that is what may be lost."""


@dataclass(slots=True)
class Outcome:
    """What was found after the kills; losses are milliseconds."""

    kills: int = 0
    sound: int = 0
    """Databases that passed their check right after the kill."""
    told: int = 0
    """Ends of calls that a gateway had told of before it was killed."""
    told_there: int = 0
    accepted: int = 0
    faults: list[str] = field(default_factory=list)
    recordable: int = 0
    unplayable: list[str] = field(default_factory=list)
    lost_caller: list[float] = field(default_factory=list)
    lost_agent: list[float] = field(default_factory=list)
    rows: int = 0
    differing: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Chain:
    """One data folder, and the gateways that are killed on it one after the other."""

    folder: Path
    kills: int
    seed: int
    longest: float = 6.0
    """Seconds after which a gateway is killed at the latest."""
    outcome: Outcome = field(default_factory=Outcome)
    _calls: list[PhoneCall] = field(default_factory=list)
    _ended: list[str] = field(default_factory=list)

    @property
    def books(self) -> Books:
        return Books(self.folder / "data", self.folder / "agents_config")

    async def run(self) -> Outcome:
        chance = random.Random(self.seed)
        self.books.lines.mkdir(parents=True)
        (self.books.lines / "desk.yaml").write_text(LINE)
        script = [say("Word " * 60, audio=bytes([SPOKEN]) * 20 * 8000)]
        async with ScriptedModel(script) as model, FakeTwilio(voice_url=VOICE_URL, seed=self.seed) as twilio:
            for _ in range(self.kills):
                async with self._gateway(twilio, model) as gateway:
                    await self._kill_amid_calls(twilio, gateway, chance)
            async with self._gateway(twilio, model) as gateway:
                gateway.signal()
                await gateway.stopped(30)
        await self._judge()
        return self.outcome

    def _gateway(self, twilio: FakeTwilio, model: ScriptedModel) -> GatewayProcess:
        environment = {"GATEWAY_DATA_DIR": str(self.books.data)}
        return GatewayProcess(self.books.lines, twilio=twilio, model_url=model.url, environment=environment)

    async def _kill_amid_calls(self, twilio: FakeTwilio, gateway: GatewayProcess, chance: random.Random) -> None:
        plans = [
            (chance.uniform(0, self.longest / 2), chance.uniform(0.3, 4), chance.choice(["hangs", "on", "break"]))
            for _ in range(CALLS)
        ]
        calls = [asyncio.create_task(self._call(twilio, *plan)) for plan in plans]
        await asyncio.sleep(chance.uniform(0.5, self.longest))
        gateway.process.kill()
        await gateway.process.wait()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        self.outcome.kills += 1
        self.outcome.sound += await asyncio.to_thread(self._is_sound)
        self._ended += [entry["call_id"] for entry in gateway.logged("call-ended")]
        for phone in twilio.calls.values():
            phone.hang_up()
        self._calls += twilio.calls.values()
        twilio.calls.clear()

    @staticmethod
    async def _call(twilio: FakeTwilio, begins: float, talks: float, then: str) -> None:
        await asyncio.sleep(begins)
        caller: ScriptedCaller = await twilio.dial(NUMBER)
        await asyncio.sleep(talks)
        match then:
            case "hangs":
                caller.hang_up()
            case "break":
                caller.call.break_stream()
            case _:
                await asyncio.Event().wait()

    def _is_sound(self) -> bool:
        """Look at a copy, as it was left: the next gateway finds the original."""
        with tempfile.TemporaryDirectory() as folder:
            for path in self.books.data.glob("gateway.db*"):
                shutil.copy(path, folder)
            return is_sound(Path(folder) / "gateway.db")

    # ---- What is left -----------------------------------------------------------------------------------------------

    async def _judge(self) -> None:
        outcome, rows = self.outcome, self.books.by_call_sid()
        ids = {row["id"] for some in rows.values() for row in some}
        outcome.told, outcome.told_there = len(self._ended), sum(call_id in ids for call_id in self._ended)
        for phone in filter(was_accepted, self._calls):
            outcome.accepted += 1
            found = rows.get(phone.sid, [])
            if fault := faults_of(found):
                outcome.faults.append(f"{phone.sid}: {fault}")
            elif _said_ms(phone) > RECORDED_FROM_MS:
                outcome.recordable += 1
                self._judge_recording(phone, found[0]["id"])
        outcome.rows = sum(map(len, self.books.all_rows().values()))
        outcome.differing = await self.books.differences()

    def _judge_recording(self, phone: PhoneCall, call_id: str) -> None:
        outcome = self.outcome
        try:
            caller, agent = read_channels((self.books.data / "recordings" / f"{call_id}.wav").read_bytes())
        except (OSError, ValueError) as error:
            outcome.unplayable.append(f"{phone.sid}: no recording of {_said_ms(phone)} ms: {error}")
            return
        outcome.lost_caller.append(_said_ms(phone) - len(caller) / 8)
        if heard := _heard_ms(phone):
            begin, end = heard
            outcome.lost_agent.append(end - max(begin, (agent.rfind(bytes([SPOKEN])) + 1) / 8))


def _said_ms(phone: PhoneCall) -> float:
    """Return to where the caller's first stream went, on the stream's own clock."""
    frames = [frame for frame in phone.log.frames if frame.stream == 1]
    return frames[-1].timestamp_ms + 20 if frames else 0


def _heard_ms(phone: PhoneCall) -> tuple[float, float] | None:
    """Return from where to where the caller heard the agent on it; None where nothing was heard."""
    played = [piece for piece in phone.log.played if piece.stream == 1]
    if not played:
        return None
    first = phone.log.frames[0]
    zero = first.at_ms - 20 - first.timestamp_ms
    return played[0].from_ms - zero, played[-1].to_ms - zero


async def run(kills: int, gateways: int, seed: int, longest: float = 6.0) -> Outcome:
    """Kill gateways, side by side, so often together; the same seed gives the same moments."""
    total = Outcome()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chains = [
            Chain(Path(folder) / str(number), len(range(number, kills, gateways)), seed * 1000 + number, longest)
            for number in range(gateways)
        ]
        for outcome in await asyncio.gather(*(chain.run() for chain in chains)):
            total.add(outcome)
    return total


def spread(values: list[float]) -> str:
    """Return the middle, the 99th percentile and the largest of some milliseconds."""
    ordered = sorted(values)
    at = (len(ordered) // 2, int(len(ordered) * 0.99), -1) if ordered else ()
    return f"n {len(ordered):4}   p50 {{:5.0f}}   p99 {{:5.0f}}   max {{:5.0f}} ms".format(*(ordered[i] for i in at))


def report(outcome: Outcome) -> None:
    for what, count, of in (
        ("databases that are sound right after the kill", outcome.sound, outcome.kills),
        ("calls whose end was told, and that are there", outcome.told_there, outcome.told),
        ("accepted calls with one closed record", outcome.accepted - len(outcome.faults), outcome.accepted),
        ("recordings that can be played", len(outcome.lost_caller), outcome.recordable),
        ("rows that are the same when rebuilt", outcome.rows - len(outcome.differing), outcome.rows),
    ):
        print(f"{what:48} {count:5} of {of}")
    print(f"{'lost of what the caller said':48} {spread(outcome.lost_caller)}")
    print(f"{'lost of what the caller heard':48} {spread(outcome.lost_agent)}")
    for fault in (*outcome.faults, *outcome.unplayable, *outcome.differing):
        print(fault)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many, over all gateways (100)")
    parser.add_argument("--gateways", type=int, default=2, help="how many run side by side (2)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments, and of the carrier's delays (1)")
    given = parser.parse_args()
    for name in ("asyncio", "uvicorn.error"):  # which tell of every write to what was killed
        logging.getLogger(name).setLevel(logging.CRITICAL)
    report(asyncio.run(run(given.kills, given.gateways, given.seed)))


if __name__ == "__main__":
    main()
