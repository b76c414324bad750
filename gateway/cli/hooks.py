"""``gateway hooks``: what was told of calls to people and systems, and what could not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gateway.cli.operator import moment
from gateway.cli.records import Records, with_records
from gateway.cli.show import print_line, print_table

_STATES = ("waiting", "delivered", "dead")


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

    if state and state not in _STATES:
        raise typer.BadParameter(f"{state} is none of {', '.join(_STATES)}", param_hint="--state")

    async def work(records: Records) -> list[dict[str, Any]]:
        rows = await hooks.listed(records.database, state=state, limit=limit)
        moments = ("created", "due", "delivered")
        return [{name: moment(each) if name in moments else each for name, each in row.items()} for row in rows]

    rows = with_records(work)
    if json:
        for row in rows:
            print_line(row)
        return
    heads = ("Id", "State", "Kind", "Event", "Call", "Tries", "When", "Error")
    names = ("id", "state", "kind", "event", "call_id", "attempts")
    cells = [[*(str(row[name]) for name in names), _when(row), row["error"] or ""] for row in rows]
    print_table(heads, cells, folds="Error", empty="No deliveries.")


def _when(row: Mapping[str, Any]) -> str:
    """Say when a delivery was made, or is tried next."""
    return {"delivered": row["delivered"], "waiting": f"next {row['due']}"}.get(row["state"]) or ""


def retry(
    hook_id: Annotated[str, typer.Argument(help="The delivery's id; without it, all that are dead.")] = "",
) -> None:
    """Have deliveries tried again by the gateway that runs."""
    from gateway.store import hooks  # noqa: PLC0415 - heavy

    async def work(records: Records) -> int:
        return await hooks.retry(records.database, hook_id)

    count = with_records(work)
    if hook_id and not count:
        typer.echo(f"There is no delivery {hook_id}.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{count} deliveries are tried again.")


def secret() -> None:
    """Show what webhooks are signed with: receivers check `Gateway-Signature` with it."""
    from gateway.delivery.send import hook_secret  # noqa: PLC0415 - heavy
    from gateway.settings import read_settings  # noqa: PLC0415 - heavy

    typer.echo(hook_secret(read_settings().secret_key).decode())
