"""``gateway db``: the database of the records."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.records import Records, with_records
from gateway.cli.show import print_line

Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The database of the records.", no_args_is_help=True)
    group.command()(upgrade)
    group.command()(check)
    group.command()(rebuild)
    app.add_typer(group, name="db")


def upgrade(*, json: Json = False) -> None:
    """Bring the tables up to this version. SQLite is upgraded whenever the gateway starts, too."""
    from gateway.store.schema import upgrade as bring_up  # noqa: PLC0415 - heavy

    async def work(records: Records) -> tuple[str, str]:
        if records.database.is_sqlite:
            records.database.make_folder()
        return await bring_up(records.database)

    before, after = with_records(work, prepared=False)
    if json:
        print_line({"before": before, "after": after})
    elif before == after:
        typer.echo(f"The tables are of version {after} already.")
    else:
        typer.echo(f"The tables are of version {after} now ({before or 'none'} before).")


def check(*, json: Json = False) -> None:
    """Say whether the tables are of this version and undamaged; exit with 1 where they are not."""
    from gateway.store.schema import check as look  # noqa: PLC0415 - heavy

    async def work(records: Records) -> tuple[str, tuple[str, ...]]:
        if records.database.is_sqlite:
            records.database.make_folder()
        found = await look(records.database)
        return found.version, found.faults

    version, faults = with_records(work, prepared=False)
    if json:
        print_line({"version": version, "faults": faults})
    else:
        typer.echo("\n".join(faults) or f"The tables are right, of version {version}.")
    if faults:
        raise typer.Exit(1)


def rebuild(*, json: Json = False) -> None:
    """Make the records of all calls again from their logs; calls whose logs are gone keep theirs."""
    from gateway.store.rebuild import Rebuilt  # noqa: PLC0415 - heavy
    from gateway.store.rebuild import rebuild as make_again  # noqa: PLC0415 - heavy

    async def work(records: Records) -> Rebuilt:
        return await make_again(records.database, records.logs, records.price)

    rebuilt = with_records(work)
    if json:
        print_line({"calls": rebuilt.calls, "live": rebuilt.live, "unreadable": rebuilt.unreadable})
    else:
        live = f" {rebuilt.live} live calls were left alone." if rebuilt.live else ""
        typer.echo(f"{rebuilt.calls} calls were made again from their logs.{live}")
        for fault in rebuilt.unreadable:
            typer.echo(fault, err=True)
    if rebuilt.unreadable:
        raise typer.Exit(1)
