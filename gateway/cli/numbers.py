"""``gateway numbers``: our lines beside Twilio's configuration of their numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli import UNREACHABLE
from gateway.cli.show import print_line, print_table

if TYPE_CHECKING:
    from gateway.carriers.twilio.numbers import Change, Numbers
    from gateway.carriers.twilio.pointing import Pointed

T = TypeVar("T")
_SHOWN = {
    "ours": "comes here",
    "differs": "goes elsewhere",
    "trunk": "on a SIP trunk",
    "app": "of a TwiML App",
    "no-line": "no line",
    "not-there": "not in the account",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Twilio's numbers beside our lines.", no_args_is_help=True)
    group.command("list")(list_numbers)
    group.command()(sync)
    app.add_typer(group, name="numbers")


def list_numbers(
    *, json: Annotated[bool, typer.Option("--json", help="One JSON object for each number.")] = False
) -> None:
    """Show each number: the line that answers it, and what Twilio does with its calls."""

    async def ask(numbers: Numbers) -> list[tuple[Pointed, str]]:
        return [
            (row, await account.region(row.phone_number) if row.number else "")
            for account, row in await numbers.compare()
        ]

    rows = _run(ask)
    if json:
        for row, region in rows:
            fields = row.number.fields() if row.number else {}
            shown = {"number": row.phone_number, "line": row.line, "state": row.state, "region": region}
            print_line({**shown, **fields, "remedy": row.remedy})
        return
    print_table(
        ("Number", "Line", "State", "Voice URL", "Fallback", "Status callback", "Region"),
        [(row.phone_number, row.line or "-", _state(row), *_urls(row), region or "-") for row, region in rows],
        folds="Voice URL",
    )
    for row, _ in rows:
        if row.remedy:
            typer.echo(f"{row.phone_number}: {row.remedy}", err=True)


def sync(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be changed; the default.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Point the numbers of our lines here.")] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Put back what was there before the first --apply.")
    ] = False,
    fallback: Annotated[
        str, typer.Option(help="Also set the fallback URL: a TwiML Bin, or whatever is on another host.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each change.")] = False,
) -> None:
    """Point the numbers of our lines at this gateway. What was there is kept, for --restore."""
    if dry_run + apply + restore > 1:
        raise typer.BadParameter("give one of --dry-run, --apply and --restore")

    async def work(numbers: Numbers) -> list[Change]:
        return await (numbers.restore() if restore else numbers.sync(fallback, apply=apply))

    changes = _run(work)
    for number, field, before, after in changes:
        if json:
            print_line({"number": number, "field": field, "before": before, "after": after, "done": apply or restore})
        else:
            typer.echo(f"{number}: {field}: {before or '(empty)'} -> {after or '(empty)'}")
    if not changes and not json:
        typer.echo("Nothing to change.")
    if changes and not (apply or restore):
        typer.echo("Nothing was changed: --apply does it, and --restore puts back what is there now.", err=True)


def _state(row: Pointed) -> str:
    return "comes here, not all set" if row.state == "differs" and row.comes_here else _SHOWN[row.state]


def _urls(row: Pointed) -> tuple[str, str, str]:
    if row.number is None:
        return "-", "-", "-"
    fields = row.number.fields()
    method = "" if fields["VoiceMethod"] in {"", "POST"} else f"{fields['VoiceMethod']} "
    return method + (fields["VoiceUrl"] or "-"), fields["VoiceFallbackUrl"] or "-", fields["StatusCallback"] or "-"


def _run(work: Callable[[Numbers], Awaitable[T]]) -> T:
    """Do something with the account's numbers, and say in one line what is in the way."""
    import anyio  # noqa: PLC0415 - heavy
    import httpx2  # noqa: PLC0415

    from gateway.carriers.twilio.numbers import Numbers, accounts_of  # noqa: PLC0415
    from gateway.config.loader import load  # noqa: PLC0415
    from gateway.config.numbers import Account  # noqa: PLC0415
    from gateway.errors import CarrierError  # noqa: PLC0415
    from gateway.settings import environment, read_settings  # noqa: PLC0415

    settings = read_settings()
    directory = load(settings.config_dir, environment(), settings.env)
    own = Account("", settings.twilio_account_sid, settings.twilio_auth_tokens)

    async def go() -> T | None:
        async with httpx2.AsyncClient() as client:
            accounts = accounts_of(own, directory, settings.twilio_api_base_url, client)
            kept = settings.data_dir / "numbers.json"
            return await work(Numbers(accounts, directory, settings.public_url, kept)) if accounts else None

    try:
        done = anyio.run(go)
    except CarrierError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNREACHABLE) from None
    if done is None:
        typer.echo("TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: required to ask Twilio for numbers", err=True)
        raise typer.Exit(2)
    return done
