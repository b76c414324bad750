"""``gateway audit``: who did what, and what an auditor asks for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.operator import age, moment, operator
from gateway.cli.records import Records, with_records
from gateway.cli.show import print_line, print_table

Line = Annotated[str, typer.Option("--line", "-l", help="About this line.")]
Since = Annotated[str, typer.Option("--since", help="Not older than this, as 12h or 90d.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Who did what.", no_args_is_help=True)
    group.command("list")(list_)
    group.command()(bundle)
    app.add_typer(group, name="audit")


def list_(
    *,
    line: Line = "",
    since: Since = "90d",
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each entry.")] = False,
) -> None:
    """Show the audit, the oldest first; exit with 1 where an entry was changed or taken out."""
    from gateway.store import audit  # noqa: PLC0415 - heavy

    after = time.time() - age(since)

    async def work(records: Records) -> tuple[list[dict[str, Any]], int | None]:
        async with records.database.read() as connection:
            found = [dict(entry) async for entry in audit.entries(connection, line=line, since=after)]
            return found, await audit.broken_at(connection)

    rows, broken = with_records(work)
    if json:
        for row in rows:
            print_line({**row, "at": moment(row["at"])})
    else:
        names = ("number", "at", "actor", "action", "subject", "line", "detail")
        cells = [[_cell(name, row[name]) for name in names] for row in rows]
        print_table([name.capitalize() for name in names], cells, folds="Detail", empty="No entries.")
    if broken is not None:
        typer.echo(f"Entry {broken} was changed, or one before it taken out.", err=True)
        raise typer.Exit(1)


def _cell(name: str, value: Any) -> str:
    match name:
        case "at":
            return moment(value) or ""
        case "detail":
            texts = (
                (key, ", ".join(map(str, each)) if isinstance(each, list) else each) for key, each in value.items()
            )
            return "; ".join(f"{key}: {each}" for key, each in texts)
    return str(value)


def bundle(
    *,
    line: Annotated[str, typer.Option("--line", "-l", help="The line.")],
    since: Since = "365d",
    output: Annotated[Path, typer.Option("--output", "-o", help="The ZIP archive to write.")] = Path("audit.zip"),
) -> None:
    """Collect about a line: what is stored where and for how long, consent, retention runs, erasures, access."""
    from gateway.store.bundle import bundle as collect  # noqa: PLC0415 - heavy

    after = time.time() - age(since)

    async def work(records: Records) -> bytes:
        settings = records.settings_of(line)
        if settings is None:
            raise typer.BadParameter(f"there is no line {line}", param_hint="--line")
        return await collect(
            records.database, line, since=after, settings=settings, places=records.places(), by=operator()
        )

    output.touch(mode=0o600)
    output.write_bytes(with_records(work))
    typer.echo(str(output))
