"""``gateway lines``: how lines answer now, and what they do instead for a while."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.records import Records, with_records
from gateway.cli.show import print_faults, print_line, print_table
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.config.directory import Directory
    from gateway.config.resolved import LineConfig
    from gateway.store.overrides import LineOverride

LONGEST = 7 * 24 * 3600.0
"""Seconds; what should stay longer belongs into the line's file."""

Dir = Annotated[Path | None, typer.Option("--dir", help="The folder of lines.", show_default="agents_config")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for each line.")]
Name = Annotated[str, typer.Argument(help="The line's name.", metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="How lines answer now, and what they do instead for a while.", no_args_is_help=True)
    group.command("set")(set_)
    group.command()(clear)
    group.command("list")(list_)
    group.command()(status)
    app.add_typer(group, name="lines")


def set_(
    line: Name,
    *,
    answer: Annotated[str, typer.Option(help="agent, transfer:NAME, say:TEXT or busy.")],
    for_: Annotated[str, typer.Option("--for", help="How long, such as 30m or 2h; then all is as before.")],
    path: Dir = None,
) -> None:
    """Have a line answer otherwise for a while, on all nodes, from a few seconds on; calls that live go on."""
    from gateway.store.overrides import LineOverride, parse_answer, set_override  # noqa: PLC0415 - heavy

    directory = _directory(path, json=False)
    found = _line(directory, line)
    try:
        outcome = parse_answer(answer)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--answer") from None
    _check_target(found, outcome)
    now = time.time()
    override = LineOverride(line, answer, _who(), now, now + _seconds(for_))

    async def work(records: Records) -> None:
        await set_override(records.database, override)

    with_records(work)
    typer.echo(f"{line} answers with {answer} until {_moment(override.until)}.")


def clear(line: Name) -> None:
    """Have a line answer as its file says again."""
    from gateway.store.overrides import clear_override  # noqa: PLC0415 - heavy

    async def work(records: Records) -> bool:
        return await clear_override(records.database, line, _who())

    if not with_records(work):
        typer.echo(f"{line} answers as its file says already.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{line} answers as its file says again.")


def list_(*, path: Dir = None, json: Json = False) -> None:
    """List the lines with what answers now."""
    directory = _directory(path, json=json)
    overrides = with_records(_overrides)
    rows = [_row(directory, line, overrides.get(line.id)) for line in directory.lines.values()]
    if json:
        for row in rows:
            print_line(row)
        return
    print_table(
        ("Line", "Label", "Numbers", "Open", "Answers now", "Until"),
        [
            (row["line"], row["label"], "\n".join(row["numbers"]), row["open"], row["answer"], row["until"] or "")
            for row in rows
        ],
        folds="Label",
        caption=f"Snapshot {directory.hash}.",
    )


def status(line: Name, *, path: Dir = None, json: Json = False) -> None:
    """Show how one line answers now, and why."""
    directory = _directory(path, json=json)
    found = _line(directory, line)
    row = _row(directory, found, with_records(_overrides).get(line))
    if json:
        print_line(row)
        return
    for key, value in row.items():
        shown = "\n             ".join(value) if isinstance(value, list) else value
        typer.echo(f"{key:<12} {shown if shown not in (None, '') else '-'}")


async def _overrides(records: Records) -> Mapping[str, LineOverride]:
    from gateway.store.overrides import read_overrides  # noqa: PLC0415 - heavy

    return await read_overrides(records.database, time.time())


def _directory(path: Path | None, *, json: bool) -> Directory:
    from gateway.cli.folder import config_folder, environment_name  # noqa: PLC0415 - heavy
    from gateway.config.loader import load  # noqa: PLC0415 - heavy

    try:
        return load(config_folder(path), env=environment_name())
    except ConfigError as error:
        print_faults(error.faults, json=json)
        raise typer.Exit(1) from None


def _line(directory: Directory, name: str) -> LineConfig:
    from gateway.config.explain import nearest  # noqa: PLC0415 - heavy

    if name not in directory.lines:
        raise typer.BadParameter(f"there is no line {name}: {nearest(name, directory.lines)}", param_hint="NAME")
    return directory.lines[name]


def _check_target(line: LineConfig, outcome: object) -> None:
    from gateway.call.outcome import TargetRings  # noqa: PLC0415 - heavy
    from gateway.config.explain import nearest  # noqa: PLC0415 - heavy

    if isinstance(outcome, TargetRings) and outcome.target not in line.transfer:
        remedy = nearest(outcome.target, line.transfer) or "it has none; write one under transfer:"
        message = f"{line.id} has no transfer target {outcome.target}: {remedy}"
        raise typer.BadParameter(message, param_hint="--answer")


def _seconds(text: str) -> float:
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - heavy

    from gateway.config.units import parse_duration  # noqa: PLC0415 - heavy

    try:
        seconds = parse_duration(text)
    except PydanticCustomError as error:
        context = error.context or {}
        raise typer.BadParameter(f"{context['message']}: {context['remedy']}", param_hint="--for") from None
    assert isinstance(seconds, float)  # noqa: S101 - what it returns for a text
    if not 0 < seconds <= LONGEST:
        raise typer.BadParameter("at most 168h; what should stay belongs into the line's file", param_hint="--for")
    return seconds


def _row(directory: Directory, line: LineConfig, override: LineOverride | None) -> dict[str, Any]:
    from gateway.cli.routes import numbers_of  # noqa: PLC0415 - heavy
    from gateway.config.reception import answer, outcome_name  # noqa: PLC0415 - heavy

    usual = answer(line, None, time.time())
    closed = line.closed
    return {
        "line": line.id,
        "label": line.label,
        "numbers": numbers_of(directory, line),
        "open": "always" if closed is None else "no" if usual.why else "yes",
        "answer": override.answer if override else outcome_name(usual, closed),
        "until": _moment(override.until) if override else None,
        "by": override.by if override else None,
    }


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")


def _who() -> str:
    import getpass  # noqa: PLC0415 - not for --help

    return f"cli:{getpass.getuser()}"
