"""``gateway doctor``: what keeps a first call from working, each with its remedy."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.show import print_line
from gateway.errors import ConfigError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.checkup.finding import Finding, State
    from gateway.config.directory import Directory
    from gateway.settings import Settings

_SIGNS: dict[State, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "fault": ("FAULT", "red"),
    "left-out": ("left out", "bright_black"),
}
"""What each state is called, and its colour."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    *,
    live: Annotated[
        bool,
        typer.Option("--live", help="Also measure, with one call of yours, what Twilio's documents leave open."),
    ] = False,
    number: Annotated[str, typer.Option(help="With --live: the number to be called; else the first of a line.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each finding.")] = False,
) -> None:
    """Check keys, clock, port, TLS, the model, the public URL and each number; exit with 1 where something is wrong."""
    import anyio  # noqa: PLC0415 - heavy

    states: Counter[str] = Counter()

    async def go() -> None:
        async for finding in _measured(number) if live else _findings():
            states[finding.state] += 1
            _print(finding, json=json)

    anyio.run(go)
    if not json:
        faults, warnings = states["fault"], states["warning"]
        typer.echo(f"\n{faults} {'fault' if faults == 1 else 'faults'}, {warnings} to look at.")
    if states["fault"]:
        raise typer.Exit(1)


def _print(finding: Finding, *, json: bool) -> None:
    """Print a finding as soon as it is there, the remedy under it; or one JSON object."""
    if json:
        print_line(dataclasses.asdict(finding))
        return
    sign, colour = _SIGNS[finding.state]
    typer.echo(f"{typer.style(f'{sign:8}', fg=colour)}  {typer.style(finding.subject, bold=True)}: {finding.found}")
    if finding.remedy:
        typer.echo(f"{'':10}-> {finding.remedy}")


async def _measured(phone_number: str) -> AsyncIterator[Finding]:
    """Measure with a call; the gateway must not run meanwhile, as a probe answers on its port."""
    import httpx2  # noqa: PLC0415

    from gateway.carriers.twilio.numbers import Numbers, accounts_of  # noqa: PLC0415
    from gateway.checkup import here  # noqa: PLC0415
    from gateway.checkup.finding import fault  # noqa: PLC0415
    from gateway.checkup.live import LiveCheck  # noqa: PLC0415
    from gateway.config.loader import load  # noqa: PLC0415
    from gateway.config.numbers import Account  # noqa: PLC0415
    from gateway.errors import CarrierError  # noqa: PLC0415
    from gateway.settings import environment, read_settings  # noqa: PLC0415

    settings = read_settings()
    directory = load(settings.config_dir, environment(), settings.env)
    own = Account("", settings.twilio_account_sid, settings.twilio_auth_tokens)
    async with httpx2.AsyncClient() as client:
        port = await here.port(settings, client)
        if "is free" not in port.found:
            yield fault(port.subject, port.found, "stop the gateway: a probe must answer in its place")
            return
        accounts = accounts_of(own, directory, settings.twilio_api_base_url, client)
        numbers = Numbers(accounts, directory, settings.public_url, settings.data_dir / "numbers.json")
        try:
            rows = [(account, row.number) for account, row in await numbers.compare() if row.number and row.line]
            chosen = [pair for pair in rows if phone_number in {"", pair[1].phone_number} and not pair[1].trunk_sid]
            if not chosen:
                yield fault("live", "no number can be called", "gateway numbers list shows them; --number chooses")
                return
            account, chosen_number = chosen[0]
            check = LiveCheck(settings, numbers, account, chosen_number, lambda text: typer.echo(text, err=True))
            async for finding in check.run():
                yield finding
        except CarrierError as error:
            yield fault("Twilio", str(error), "gateway doctor, without --live, tells more")


async def _findings() -> AsyncIterator[Finding]:
    from gateway.checkup.finding import fault, ok  # noqa: PLC0415 - heavy
    from gateway.config.loader import load  # noqa: PLC0415
    from gateway.settings import environment, read_settings  # noqa: PLC0415

    try:
        settings = read_settings()
    except SettingsError as error:
        for line in str(error).splitlines():
            name, _, found = line.partition(": ")
            yield fault(name, found, "set it in the environment, or in .env")
        return
    yield ok("settings", "can be read")
    try:
        directory = load(settings.config_dir, environment(), settings.env)
    except ConfigError as error:
        for each in error.faults:
            yield fault(f"{each.file}:{each.line}:{each.column}", each.message, each.remedy)
        return
    yield ok("lines", f"{len(directory.lines)} in {settings.config_dir}")
    async for finding in _outside(settings, directory):
        yield finding


async def _outside(settings: Settings, directory: Directory) -> AsyncIterator[Finding]:
    import httpx2  # noqa: PLC0415

    from gateway.carriers.twilio.numbers import Numbers, accounts_of  # noqa: PLC0415
    from gateway.carriers.twilio.twiml import Links  # noqa: PLC0415
    from gateway.checkup import carrier, here, public  # noqa: PLC0415
    from gateway.checkup.model import models  # noqa: PLC0415 - the Agents SDK takes seconds
    from gateway.config.numbers import Account  # noqa: PLC0415

    for finding in here.keys(settings, directory):
        yield finding
    yield here.data_folder(settings)
    async with httpx2.AsyncClient() as client:
        yield await here.port(settings, client)
        async for finding in models(settings, directory):
            yield finding
        own = Account("", settings.twilio_account_sid, settings.twilio_auth_tokens)
        accounts = accounts_of(own, directory, settings.twilio_api_base_url, client)
        first = accounts[0] if accounts else None
        token = first.token if first else next(iter(settings.twilio_auth_tokens), "")
        links = Links(settings.public_url, settings.stream_url)
        async for finding in public.PublicUrl(links, token, first.sid if first else "", client).check():
            yield finding
        kept = settings.data_dir / "numbers.json"
        async for finding in carrier.accounts(Numbers(accounts, directory, settings.public_url, kept)):
            yield finding
