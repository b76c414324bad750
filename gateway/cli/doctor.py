"""``gateway doctor``: what keeps a first call from working, each with its remedy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.show import print_line, print_table
from gateway.errors import ConfigError, SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.checkup.finding import Finding
    from gateway.config.directory import Directory
    from gateway.settings import Settings

_SIGNS = {"ok": "ok", "warning": "warning", "fault": "FAULT", "left-out": "left out"}


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

    findings: list[Finding] = []

    async def go() -> None:
        async for finding in _measured(number) if live else _findings():
            findings.append(finding)
            if json:
                print_line(dataclasses.asdict(finding))

    anyio.run(go)
    if not json:
        print_table(
            ("What", "State", "Found", "Remedy"),
            [(each.subject, _SIGNS[each.state], each.found, each.remedy) for each in findings],
            folds="Remedy",
        )
    if any(each.state == "fault" for each in findings):
        raise typer.Exit(1)


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
