"""``gateway people``: what is known of somebody, by their number; giving it out, erasing it, or keeping it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.operator import moment, operator
from gateway.cli.records import Records, id_of, with_records
from gateway.cli.show import print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

Number = Annotated[str, typer.Argument(help="A number in E.164, such as +14155550100.")]
Subject = Annotated[str, typer.Argument(help="A number in E.164, or a call: its id, its beginning, or CA...")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the audit.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What is known of somebody, by their number.", no_args_is_help=True)
    group.command()(export)
    group.command()(erase)
    group.command()(hold)
    group.command()(release)
    group.command()(holds)
    app.add_typer(group, name="people")


def export(
    number: Number,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The ZIP archive to write.")] = Path("person.zip"),
) -> None:
    """Write everything that is known of a number into an archive: calls, transcripts, recordings."""
    from gateway.store.people import export as collect  # noqa: PLC0415 - heavy

    _check(number)

    async def work(records: Records) -> tuple[bytes, int]:
        return await collect(records.shelf(), number, by=operator())

    content, count = with_records(work)
    output.touch(mode=0o600)
    output.write_bytes(content)
    typer.echo(f"{count} calls are in {output}.")


def erase(
    number: Number,
    *,
    why: Why = "asked by the person",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Erase every call of a number for good; calls that are held or live stay, and are named."""
    from gateway.store.people import calls_of  # noqa: PLC0415 - heavy
    from gateway.store.retention import erase as remove  # noqa: PLC0415 - heavy

    _check(number)

    async def find(records: Records) -> Sequence[str]:
        return await calls_of(records.database, number)

    ids = with_records(find)
    if not yes and ids:
        typer.confirm(f"Erase {len(ids)} calls for good?", abort=True)

    async def work(records: Records) -> tuple[list[str], list[str]]:
        return await remove(records.shelf(), ids, by=operator(), why=why)

    erased, left = with_records(work)
    typer.echo(f"{len(erased)} calls are erased.")
    if left:
        typer.echo(f"{len(left)} calls are held or still live: {', '.join(left)}", err=True)
        raise typer.Exit(1)


def hold(subject: Subject, *, why: Why) -> None:
    """Keep a call, or all calls of a number, whatever retention says, until released."""
    from gateway.store.retention import hold as keep  # noqa: PLC0415 - heavy

    async def work(records: Records) -> str:
        meant = await _meant(records, subject)
        await keep(records.database, meant, by=operator(), why=why)
        return meant

    typer.echo(f"{with_records(work)} is held.")


def release(subject: Subject) -> None:
    """Let retention go on."""
    from gateway.store.retention import release as let_go  # noqa: PLC0415 - heavy

    async def work(records: Records) -> tuple[str, bool]:
        meant = await _meant(records, subject)
        return meant, await let_go(records.database, meant, by=operator())

    meant, done = with_records(work)
    if not done:
        typer.echo(f"{meant} is not held.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{meant} is released.")


def holds(*, json: Annotated[bool, typer.Option("--json", help="One JSON object for each.")] = False) -> None:
    """Show what is held."""
    from gateway.store.retention import held  # noqa: PLC0415 - heavy

    async def work(records: Records) -> list[dict[str, Any]]:
        return [{**row, "placed": moment(row["placed"])} for row in await held(records.database)]

    rows = with_records(work)
    if json:
        for row in rows:
            print_line(row)
    else:
        names = ("subject", "placed", "by", "why")
        cells = [[row[name] for name in names] for row in rows]
        print_table([name.capitalize() for name in names], cells, folds="Why", empty="Nothing is held.")


async def _meant(records: Records, subject: str) -> str:
    if subject.startswith("+"):
        _check(subject)
        return subject
    return await id_of(records, subject)


def _check(number: str) -> None:
    digits = number.removeprefix("+")
    if digits == number or not digits.isdigit():
        raise typer.BadParameter(f"{number!r} is not a number in E.164, such as +14155550100")
