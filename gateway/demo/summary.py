"""What came of the call, in a page."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gateway.demo.outcome import Exchanged, Outcome
from gateway.demo.story import MOST_WRONG

_LATENCY = (
    "from the caller's last sound to the first of the answer, both at the phone. 500 ms of it are the silence that ends"
    " a turn, 140 ms the simulated line"
)
_BRAIN = {
    "local": "scripted: rules over the tools' schemas, no language model",
    "scripted": "none: the scripted model says its lines, whatever the caller says",
}
OPENAI = "OPENAI_API_KEY=sk-... scripts/demo --openai"


def summary(outcome: Outcome) -> Iterator[RenderableType]:
    """Yield the parts of the page."""
    yield Text()
    yield _table(outcome)
    yield Text()
    yield from verdict(outcome)


def verdict(outcome: Outcome) -> Iterator[RenderableType]:
    """Yield what was measured, where the files are, and whether all went well."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(justify="right", style="bold", no_wrap=True)
    facts.add_column()
    for name, what in _facts(outcome):
        facts.add_row(Text(name), Text(what))
    yield facts
    yield Text()
    for failure in outcome.failures:
        yield Text(f"Not as it should be: {failure}", style="bold red")
    if outcome.failures:
        return
    yield Text("All of it happened as it should.", style="bold green")


def _table(outcome: Outcome) -> Table:
    """Who said what: the transcript with heard beside never heard, and how long each answer took."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, expand=True, padding=(0, 1))
    table.add_column("the caller, as understood", ratio=4)
    table.add_column("ms", justify="right", style="bold")
    table.add_column("heard", ratio=6)
    table.add_column("never heard", ratio=3, style="dim strike")
    first = outcome.transcript[0] if outcome.transcript else None
    if first is not None and first.speaker != "caller":
        table.add_row(Text("(the phone is picked up)", style="dim"), "", first.heard, first.never_heard)
    for one in outcome.exchanged:
        ms = f"{one.answered_ms:.0f}" if one.answered_ms is not None else "-"
        table.add_row(_caller(one), ms, one.heard, one.never_heard)
    return table


def _caller(one: Exchanged) -> Text:
    if one.kind == "keys":
        return Text(f"(presses {one.said})", style="cyan")
    text = Text(one.understood, style="cyan")
    if one.kind == "recorded":
        text.append(f" (a recorded person: “{one.said}”)", style="dim")
    if one.silenced_ms is not None:
        text.append(f" (cuts in; the agent is silent after {one.silenced_ms:.0f} ms)", style="red")
    return text


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    waits = [one.answered_ms for one in outcome.exchanged if one.answered_ms is not None and one.kind != "keys"]
    if waits:
        yield "latency", f"{statistics.median(waits):.0f} ms at the median, {max(waits):.0f} ms at most: {_LATENCY}"
    rate = outcome.word_error_rate
    if outcome.model == "local" and rate is not None:
        words = sum(one.words for one in outcome.exchanged if one.kind == "recorded")
        yield (
            "recorded",
            f"{rate:.1%} of the {words} words of recorded people were understood wrongly ({MOST_WRONG:.0%} may be)",
        )
    yield "sound", f"{outcome.wav} (left: the caller, right: what the caller heard)"
    yield "record", outcome.log
    if outcome.model != "openai":
        yield "brain", _BRAIN[outcome.model]
        yield "with OpenAI", OPENAI
