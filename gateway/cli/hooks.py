"""``gateway hooks``: what was told of calls to people and systems, and what could not be."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.operator import moment
from gateway.cli.records import Records, with_records
from gateway.cli.show import print_line, print_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Deliveries: webhooks, e-mails, Slack.", no_args_is_help=True)
    group.command("list")(list_)
    group.command()(retry)
    group.command()(secret)
    app.add_typer(group, name="hooks")


def list_(
    *,
    state: Annotated[str, typer.Option("--state", help="waiting, delivered or dead.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each.")] = False,
) -> None:
    """List deliveries, the newest first, without what they say."""
    from gateway.store import hooks  # noqa: PLC0415 - heavy

    async def work(records: Records) -> list[dict[str, Any]]:
        rows = await hooks.listed(records.database, state=state, limit=limit)
        moments = ("created", "due", "delivered")
        return [{name: moment(each) if name in moments else each for name, each in row.items()} for row in rows]

    rows = with_records(work)
    if json:
        for row in rows:
            print_line(row)
        return
    names = ("id", "state", "kind", "event", "call_id", "attempts", "due", "error")
    cells = [[str(row[name] if row[name] is not None else "") for name in names] for row in rows]
    print_table([name.capitalize() for name in names], cells, folds="Error")


def retry(
    hook_id: Annotated[str, typer.Argument(help="The delivery's id; without it, all that are dead.")] = "",
) -> None:
    """Have deliveries tried again by the gateway that runs."""
    from gateway.store import hooks  # noqa: PLC0415 - heavy

    async def work(records: Records) -> int:
        return await hooks.retry(records.database, hook_id)

    count = with_records(work)
    typer.echo(f"{count} deliveries are tried again.")
    if hook_id and not count:
        raise typer.Exit(1)


def secret() -> None:
    """Show what webhooks are signed with: receivers check `Gateway-Signature` with it."""
    from gateway.delivery.send import hook_secret  # noqa: PLC0415 - heavy
    from gateway.settings import read_settings  # noqa: PLC0415 - heavy

    typer.echo(hook_secret(read_settings().secret_key).decode())
