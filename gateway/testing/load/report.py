"""The result of a benchmark: a table, JSON, and the numbers in between."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from gateway.testing.load.picture import draw
from gateway.testing.load.rig import Placing
from gateway.testing.load.runs import BARE, LIMIT_MS, Plan, Window, most_calls

_DELAYS: Final = (
    ("caller -> model", "to_model"),
    ("model -> caller", "to_carrier"),
    ("first audio of an answer", "first_audio"),
    ("clear after speech", "clear"),
)
_FAULTS: Final = ("lost", "repeated", "reordered", "stale", "no_clear", "dropped")


@dataclass(frozen=True, slots=True)
class Result:
    """All windows of a benchmark, and the machine that they are of."""

    windows: Sequence[Window]
    plan: Plan
    placing: Placing
    machine: dict[str, str]
    taken: str

    @classmethod
    def of(cls, windows: Sequence[Window], plan: Plan, placing: Placing) -> Result:
        """Make a result of windows that were just taken on this machine."""
        return cls(windows, plan, placing, _machine(), time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))

    @property
    def programs(self) -> list[str]:
        """The programs in the order in which they first ran."""
        return list(dict.fromkeys(self.plan.programs))

    def table(self) -> str:
        """A table for people: one block for each number of calls that was asked for, then the calls of a core."""
        lines = [f"{self.taken}, {', '.join(self.machine.values())}", self._conditions()]
        for calls in self.plan.calls:
            lines += ["", *self._block(calls)]
        if self.plan.ramp:
            lines += ["", self._ramp()]
        return "\n".join(lines)

    def _conditions(self) -> str:
        where = "a core each" if self.placing.gateway_core is not None else "cores shared"
        how = "real-time scheduling" if self.placing.real_time else "ordinary scheduling"
        leg = "TLS" if self.plan.tls else "plain"
        return f"{where}, {how}, model's leg {leg}, windows of {self.plan.seconds:g} s"

    def _block(self, calls: int) -> list[str]:
        found = {program: self._of(program, calls) for program in self.programs}
        if not all(found.values()):
            return [f"{calls} calls: not measured"]
        rows = [[f"{calls} calls", *found]]
        rows.append(["CPU ms per call-second", *(_middle(each, lambda w: w.cpu_ms, 2) for each in found.values())])
        rows.append(["share of the core", *(_middle(each, lambda w: w.core * 100, 0, " %") for each in found.values())])
        rows.append(["KB per call", *(_middle(each, lambda w: w.kb_per_call, 0) for each in found.values())])
        for title, name in _DELAYS:
            rows.append([f"{title}, p50 / p99 / max ms", *(_delay(each, name) for each in found.values())])
        rows += [
            [name.replace("_", " "), *(str(sum(w.seen[name] for w in each)) for each in found.values())]
            for name in _FAULTS
        ]
        lines = _aligned(rows)
        if (ratio := self.ratio(calls)) is not None:
            lines.append(f"CPU, gateway to relay: {ratio:.2f}")
        if (ratio := self.ratio(calls, BARE)) is not None:
            lines.append(f"CPU, gateway to one without {', '.join(self.plan.without)} (bare): {ratio:.3f}")
        errors = [error for each in found.values() for window in each for error in window.seen["errors"]]
        return [*lines, *(f"error: {error}" for error in dict.fromkeys(errors))]

    def _ramp(self) -> str:
        counts = {program: most_calls(self.windows, program) for program in self.programs}
        text = f"most calls with p99 within {LIMIT_MS:g} ms and nothing lost: "
        text += ", ".join(f"{program} {count}" for program, count in counts.items())
        if counts.get("relay") and counts.get("gateway"):
            text += f" (ratio {counts['gateway'] / counts['relay']:.2f})"
        return text

    def ratio(self, calls: int, to: str = "relay") -> float | None:
        """CPU of the gateway to that of another program at a number of calls; None where one was not measured."""
        gateway, other = self._of("gateway", calls), self._of(to, calls)
        if not gateway or not other:
            return None
        return median(w.cpu_ms for w in gateway) / median(w.cpu_ms for w in other)

    def _of(self, program: str, calls: int) -> list[Window]:
        return [window for window in self.windows if (window.program, window.calls) == (program, calls)]

    def as_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "taken": self.taken,
            "machine": self.machine,
            "placing": asdict(self.placing),
            "plan": asdict(self.plan),
            "windows": [window.as_json() for window in self.windows],
            "cpu_ratio": {str(calls): self.ratio(calls) for calls in self.plan.calls},
            "cpu_ratio_to_bare": {str(calls): self.ratio(calls, BARE) for calls in self.plan.calls},
            "most_calls": {program: most_calls(self.windows, program) for program in self.programs},
        }

    def picture(self) -> str:
        """The result as an SVG: cost and delay over the number of calls."""
        return draw(self.windows, self.programs, f"{self.taken} · {self._conditions()}")


def _machine() -> dict[str, str]:
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a line of it is enough
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass  # not Linux
    return {
        "cpu": f"{os.cpu_count()} x {model}",
        "python": f"Python {sys.version.split()[0]}",
        "system": f"{platform.system()} {platform.release()}",
    }


def _middle(windows: Sequence[Window], value: Any, digits: int, unit: str = "") -> str:
    values = [value(window) for window in windows]
    spread = f" ({min(values):.{digits}f}-{max(values):.{digits}f})" if len(values) > 1 else ""
    return f"{median(values):.{digits}f}{unit}{spread}"


def _delay(windows: Sequence[Window], name: str) -> str:
    spreads = [window.seen[name] for window in windows]
    if not any(spread["count"] for spread in spreads):
        return "-"
    return " / ".join(f"{median(spread[key] for spread in spreads):.1f}" for key in ("p50", "p99", "max"))


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
