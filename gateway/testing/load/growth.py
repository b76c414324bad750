"""What grows that should not: over many short calls, and over one long one."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.testing.load.rig import Placing, cpu_seconds, open_files, resident, write_line
from gateway.testing.load.runs import Plan, Rig, Say, rig_for
from gateway.testing.load.traffic import Traffic

AT_ONCE: Final = 48
"""Short calls that are live at the same time."""
PIECES: Final = 10
"""In how many pieces short calls are placed, with a look at the memory after each."""
CALM: Final = 3.0
"""Seconds for what ended to be let go, before a look."""


@dataclass(frozen=True, slots=True)
class Look:
    """The program after so many calls, or so many turns."""

    after: int
    kb: float
    files: int
    cpu_ms: float = 0.0
    """CPU per call-second since the look before; 0 where it was not measured."""


async def short_calls(calls: int, seconds: float, placing: Placing, say: Say) -> list[Look]:
    """Place so many calls of so many seconds, one after another, and look at the gateway now and then.

    Raises:
        RuntimeError: a call was not carried to the model.
    """
    looks: list[Look] = []
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        write_line(folder)
        async with rig_for("gateway", Plan(), placing, folder, None) as rig:
            each = max(calls // PIECES, 1)
            for piece in range(1, PIECES + 1):
                done = await rig.load.ask(do="churn", port=rig.port, calls=each, seconds=seconds, at_once=AT_ONCE)
                if done["unheard"] or done["errors"]:
                    raise RuntimeError(f"{done['unheard']} calls did not reach the model; {done['errors']}")
                await asyncio.sleep(CALM)
                looks.append(_look(rig, piece * each))
                say(_said(looks[-1], "calls"))
    return looks


async def long_calls(turns: int, calls: int, density: float, placing: Placing, say: Say) -> list[Look]:
    """Have calls that go on for so many turns, ``density`` times as many in a second as usual; a look each 50 turns."""
    traffic = Traffic(density=density)
    looks: list[Look] = []
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        write_line(folder)
        async with rig_for("gateway", Plan(traffic=traffic), placing, folder, None) as rig:
            await rig.load.ask(do="grow", port=rig.port, calls=calls)
            for reached in range(50, turns + 1, 50):
                before = cpu_seconds(rig.pid)
                seconds = traffic.turn * 50
                await asyncio.sleep(seconds)
                cpu_ms = (cpu_seconds(rig.pid) - before) / seconds / calls * 1000
                looks.append(_look(rig, reached, round(cpu_ms, 3), calls))
                say(_said(looks[-1], "turns"))
    return looks


def _look(rig: Rig, after: int, cpu_ms: float = 0.0, calls: int = 1) -> Look:
    return Look(after, round((resident(rig.pid) - rig.idle) / 1024 / calls, 1), open_files(rig.pid), cpu_ms)


def _said(look: Look, what: str) -> str:
    cpu = f", {look.cpu_ms:.2f} ms CPU per call-second" if look.cpu_ms else ""
    return f"after {look.after:6} {what}: {look.kb:8.0f} KB over idle, {look.files} files open{cpu}"


def as_json(looks: list[Look]) -> list[dict[str, Any]]:
    """Looks for machines."""
    return [{"after": look.after, "kb": look.kb, "files": look.files, "cpu_ms": look.cpu_ms} for look in looks]
