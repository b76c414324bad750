"""The call in a terminal, live: words as they come, and what is heard of them; and the same as plain lines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.demo.models import Model
from gateway.demo.outcome import Outcome, Phone
from gateway.demo.rows import Row, rows
from gateway.demo.story import NUMBER
from gateway.demo.summary import summary
from gateway.demo.watch import Watch
from gateway.testing.twilio.phone import SAMPLES_PER_MS
from gateway.testing.twilio.sound import loudness

STYLES = {
    "caller": "bold cyan",
    "tool": "magenta",
    "handoff": "yellow",
    "barge-in": "bold red",
    "consent": "yellow",
    "key": "cyan",
    "guardrail": "red",
}
AGENTS = ("bold green", "bold blue", "bold bright_magenta", "bold bright_yellow")
"""Agents are told apart by their colours, in the order in which they come."""
_BARS = "▁▂▃▄▅▆▇█"
_METER = 24
_LOUD = 9000
_CLOCK, _WHO = 5, 9
_TICK_MS = 100


class Palette:
    """A colour for everybody who speaks."""

    def __init__(self) -> None:
        self._agents: dict[str, str] = {}

    def of(self, row: Row) -> str:
        if row.kind != "agent":
            return STYLES[row.kind]
        return self._agents.setdefault(row.who, AGENTS[len(self._agents) % len(AGENTS)])


def render(row: Row, palette: Palette) -> RenderableType:
    """Draw one row: what was never heard is struck out, what is not heard yet is dim."""
    spoken = row.kind in {"caller", "agent"}
    text = Text(row.text, style="" if spoken else "dim", no_wrap=not spoken, overflow="fold" if spoken else "ellipsis")
    if row.rest:
        text.append(" " if row.text else "")
        text.append(row.rest, style="dim strike" if row.final else "dim")
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=_CLOCK, style="dim")
    grid.add_column(width=_WHO, justify="right")
    grid.add_column(ratio=1)
    grid.add_column(width=8, justify="right", style="bold")
    grid.add_row(row.at, Text(row.who[:_WHO], style=palette.of(row)), text, row.right)
    return grid


def heading(model: Model) -> list[Text]:
    """Say what is about to be heard."""
    what = {
        "local": "Recognition and speech are real, on this machine. The brain is scripted: rules, no language model.",
        "scripted": model.remark,
        "openai": "OpenAI's realtime model answers.",
    }
    return [
        Text.assemble(("A call to Acme Air", "bold"), f", {NUMBER}: signed webhook, media stream, gateway serve."),
        Text(what[model.kind], style="dim"),
        Text("On the right: ms from the caller's last sound to the first of the answer, at the phone.", style="dim"),
        Text(),
    ]


class LiveShow:
    """For a terminal: what is over scrolls up, what goes on moves at the bottom, with both voices' levels."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._palette = Palette()
        self._printed = 0
        self._levels = {"caller": deque([0] * _METER, _METER), "agent": deque([0] * _METER, _METER)}
        self._watch: Watch | None = None
        self._phone: Phone | None = None
        self._doing = ""
        self._since = time.monotonic()

    def progress(self, what: str) -> None:
        self._done()
        self._doing, self._since = what, time.monotonic()
        self._live.start()
        self._live.update(Text(f"{what} ...", style="dim"), refresh=True)

    def begin(self, model: Model, watch: Watch, phone: Phone) -> None:
        self._done()
        self._watch, self._phone = watch, phone
        self._console.print(Text())
        for line in heading(model):
            self._console.print(line)

    def update(self, *, over: bool = False) -> None:
        if self._watch is None or self._phone is None:
            return
        told = rows(self._watch, self._phone)
        while self._printed < len(told) and (over or told[self._printed].final):
            self._live.console.print(render(told[self._printed], self._palette))
            self._printed += 1
        going = [render(row, self._palette) for row in told[self._printed :]]
        self._live.update(Group(*going, Text(), self._meters()), refresh=True)

    def end(self, outcome: Outcome) -> None:
        self.update(over=True)
        self._live.stop()
        for part in summary(outcome):
            self._console.print(part)

    def _done(self) -> None:
        if self._doing:
            self._console.print(Text(f"{self._doing}: {time.monotonic() - self._since:.1f} s", style="dim"))
            self._doing = ""

    def _meters(self) -> Text:
        if self._phone is None:
            return Text()
        call = self._phone.call
        line = Text(" " * (_CLOCK + 1))
        for name, sound, style in (("caller", call.mouth.said, "cyan"), ("agent", call.ear.heard, "green")):
            levels = self._levels[name]
            levels.append(min(len(_BARS) - 1, loudness(sound[-_TICK_MS * SAMPLES_PER_MS :]) * len(_BARS) // _LOUD))
            line.append(f"   {name} ", style=style)
            line.append("".join(_BARS[level] for level in levels), style=style)
        return line


class PlainShow:
    """For files and pipes: a line for everything, once it is over."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._printed = 0
        self._watch: Watch | None = None
        self._phone: Phone | None = None

    def progress(self, what: str) -> None:
        self._write(f"{what} ...")

    def begin(self, model: Model, watch: Watch, phone: Phone) -> None:
        self._watch, self._phone = watch, phone
        for line in heading(model):
            self._write(line.plain)

    def update(self, *, over: bool = False) -> None:
        if self._watch is None or self._phone is None:
            return
        told = rows(self._watch, self._phone)
        while self._printed < len(told) and (over or told[self._printed].final):
            row = told[self._printed]
            never = f" [never heard: {row.rest}]" if row.rest else ""
            right = f" ({row.right})" if row.right else ""
            self._write(f"{row.at:>5} {row.who:>{_WHO}}  {row.text}{never}{right}")
            self._printed += 1

    def end(self, outcome: Outcome) -> None:
        self.update(over=True)
        console = Console(color_system=None, width=110, legacy_windows=False)
        with console.capture() as captured:
            for part in summary(outcome):
                console.print(part)
        self._write("\n".join(line.rstrip() for line in captured.get().splitlines()))


class QuietShow:
    """For programs: only what is being done, for whoever watches stderr."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def progress(self, what: str) -> None:
        self._write(f"{what} ...")

    def begin(self, model: Model, watch: Watch, phone: Phone) -> None:
        del watch, phone
        self._write(f"The call begins; the model is {model.kind}.")

    def update(self) -> None:
        pass

    def end(self, outcome: Outcome) -> None:
        self._write(f"The call is over: {outcome.result}, {outcome.reason}.")
