"""``gateway tokens``: who may use the API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.operator import moment, operator
from gateway.cli.records import Records, with_records
from gateway.cli.show import print_line, print_table

if TYPE_CHECKING:
    from gateway.store.tokens import Token

Json = Annotated[bool, typer.Option("--json", help="One JSON object for each token.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Tokens of the API.", no_args_is_help=True)
    group.command()(create)
    group.command("list")(list_)
    group.command()(revoke)
    app.add_typer(group, name="tokens")


def create(
    name: Annotated[str, typer.Argument(help="Whose it is, for the audit.")],
    *,
    scope: Annotated[list[str], typer.Option("--scope", "-s", help="read, listen, operate or erase; several times.")],
    days: Annotated[int | None, typer.Option("--days", min=1, max=3650, help="How long it is valid.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Make a token, and show it this once: only its hash is kept."""
    from gateway.store import tokens  # noqa: PLC0415 - heavy

    scopes: list[tokens.Scope] = [known for known in tokens.SCOPES if known in scope]
    if unknown := [each for each in scope if each not in tokens.SCOPES]:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(tokens.SCOPES)}", param_hint="--scope")
    expires = None if days is None else time.time() + days * 86_400

    async def work(records: Records) -> tuple[Token, str]:
        return await tokens.create(records.database, name, scopes, by=operator(), expires=expires)

    made, shown = with_records(work)
    if json:
        print_line({**_shown(made), "token": shown})
    else:
        typer.echo(shown)


def list_(*, json: Json = False) -> None:
    """Show all tokens, without what would let anybody in."""
    from gateway.store import tokens  # noqa: PLC0415 - heavy

    async def work(records: Records) -> list[dict[str, Any]]:
        return [_shown(token) for token in await tokens.known(records.database)]

    rows = with_records(work)
    if json:
        for row in rows:
            print_line(row)
        return
    columns = ("id", "name", "scopes", "created", "expires", "revoked", "used")
    print_table(
        [column.capitalize() for column in columns],
        [[", ".join(row[name]) if name == "scopes" else row[name] or "" for name in columns] for row in rows],
        folds="Scopes",
        empty="No tokens.",
    )


def revoke(token_id: Annotated[str, typer.Argument(help="Its id, as in `gateway tokens list`.")]) -> None:
    """Make a token invalid from now on."""
    from gateway.store import tokens  # noqa: PLC0415 - heavy

    async def work(records: Records) -> bool:
        return await tokens.revoke(records.database, token_id, by=operator())

    if not with_records(work):
        typer.echo(f"There is no valid token {token_id}.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{token_id} is revoked.")


def _shown(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": list(token.scopes),
        "created": moment(token.created),
        "expires": moment(token.expires),
        "revoked": moment(token.revoked),
        "used": moment(token.used),
    }
