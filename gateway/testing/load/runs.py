"""What a benchmark runs, in which order, and what it makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from gateway.testing.load.rig import (
    LoadProcess,
    Placing,
    cpu_seconds,
    load_process,
    make_certificate,
    program_under_test,
    resident,
    write_line,
)
from gateway.testing.load.traffic import Traffic

LIMIT_MS: Final = 20.0
"""A window is passed while the 99th percentile of both delays is within this, and nothing was lost."""
BARE: Final = "bare"
"""The gateway that leaves something out."""
WARM_CALLS: Final = 2
SETTLE: Final = 3.0
"""Seconds between the last call's start and a window."""

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        programs: in this order, ``gateway``, ``bare`` (a gateway ``without`` something) or ``relay``; named twice they
            are run twice.
        calls: at these numbers of calls each program is measured.
        seconds: length of a window.
        ramp: from the last of ``calls`` on, add a fifth until a window fails.
        ramp_limit: calls at which the ramp ends even so.
        tls: encrypt the model's leg.
        without: what ``bare`` leaves out (:data:`gateway.testing.load.rig.LEAVES_OUT`).
    """

    programs: tuple[str, ...] = ("gateway", "relay", "gateway", "relay")
    calls: tuple[int, ...] = (100,)
    seconds: float = 10.0
    ramp: bool = True
    ramp_limit: int = 1000
    tls: bool = False
    without: tuple[str, ...] = ()
    traffic: Traffic = field(default_factory=Traffic)


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed; milliseconds and bytes."""

    program: str
    run: int
    calls: int
    cpu_ms: float
    """CPU of the program under test per call and second."""
    core: float
    """The share of its core."""
    kb_per_call: float
    seen: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every frame came, in order and in time."""
        seen = self.seen
        whole = not any(seen[name] for name in ("lost", "repeated", "reordered", "stale", "no_clear", "dropped"))
        carried = seen["to_model"]["count"] > self.calls * seen["seconds"] * 40
        return whole and carried and not seen["errors"] and self.slowest <= LIMIT_MS

    @property
    def slowest(self) -> float:
        """The worse of the two delays' 99th percentile."""
        return float(max(self.seen["to_model"]["p99"], self.seen["to_carrier"]["p99"]))

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


async def run(plan: Plan, placing: Placing, say: Say) -> list[Window]:
    """Run all of a plan, and return its windows in order."""
    windows: list[Window] = []
    for number, program in enumerate(plan.programs, 1):
        say(f"{program} (run {number} of {len(plan.programs)}): starting")
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
            folder = Path(name)
            write_line(folder, plan.without if program == BARE else ())
            certificate = make_certificate(folder) if plan.tls else None
            async with rig_for(program, plan, placing, folder, certificate) as rig:
                windows += [replaced async for replaced in _windows(rig, plan, number, say)]
    return windows


@dataclass(slots=True)
class Rig:
    """A load and a program under test, both running."""

    program: str
    load: LoadProcess
    pid: int
    port: int
    idle: int = 0

    async def warm(self) -> None:
        """Place a call or two, so that what happens once has happened, and note the memory of an idle program."""
        await self.load.ask(do="grow", port=self.port, calls=WARM_CALLS)
        await asyncio.sleep(SETTLE)
        await self.load.ask(do="shrink", port=self.port)
        await asyncio.sleep(1)
        self.idle = resident(self.pid)

    async def window(self, run: int, calls: int, seconds: float) -> Window:
        """Have so many calls, and measure them."""
        await self.load.ask(do="grow", port=self.port, calls=calls)
        await asyncio.sleep(SETTLE)
        before = cpu_seconds(self.pid)
        seen = await self.load.ask(do="measure", seconds=seconds)
        # The load waits half a second more for what is under way, and calls go on in it.
        used = cpu_seconds(self.pid) - before
        span = seconds + 0.5
        return Window(
            program=self.program,
            run=run,
            calls=calls,
            cpu_ms=round(used / span / calls * 1000, 3),
            core=round(used / span, 3),
            kb_per_call=round((resident(self.pid) - self.idle) / calls / 1024, 1),
            seen=seen,
        )


@contextlib.asynccontextmanager
async def rig_for(
    program: str, plan: Plan, placing: Placing, folder: Path, certificate: Path | None
) -> AsyncIterator[Rig]:
    async with load_process(asdict(plan.traffic), placing, certificate) as load:
        url = f"{'wss' if certificate else 'ws'}://127.0.0.1:{load.model_port}/v1/realtime?model=bench"
        without = plan.without if program == BARE else ()
        async with program_under_test(program, folder, url, placing, certificate, without) as (pid, port):
            rig = Rig(program, load, pid, port)
            await rig.warm()
            yield rig


async def _windows(rig: Rig, plan: Plan, run: int, say: Say) -> AsyncIterator[Window]:
    calls = 0
    for calls in plan.calls:
        window = await rig.window(run, calls, plan.seconds)
        say(describe(window))
        yield window
    while plan.ramp and calls < plan.ramp_limit:
        calls = min(max(calls + 10, int(calls * 1.2) // 10 * 10), plan.ramp_limit)
        window = await rig.window(run, calls, plan.seconds)
        say(describe(window))
        yield window
        if not window.passed:
            return


def describe(window: Window) -> str:
    """Say a window in a line."""
    seen = window.seen
    return (
        f"{window.program:8}{window.calls:5} calls: {window.cpu_ms:5.2f} ms CPU per call-second ({window.core:4.0%} of "
        f"its core), to model p99 {seen['to_model']['p99']:.1f} ms, to carrier p99 {seen['to_carrier']['p99']:.1f} ms, "
        f"lost {seen['lost']}{'' if window.passed else '  <- not passed'}"
    )


def most_calls(windows: Sequence[Window], program: str) -> int:
    """The largest number of calls that one of a program's runs passed, with all smaller ones."""
    best = 0
    for run in {window.run for window in windows if window.program == program}:
        mine = [window for window in windows if window.run == run]
        for window in sorted(mine, key=lambda each: each.calls):
            if not window.passed:
                break
            best = max(best, window.calls)
    return best
