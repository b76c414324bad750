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
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each finding.")] = False,
) -> None:
    """Check keys, clock, port, TLS, the model, the public URL and each number; exit with 1 where something is wrong."""
    import anyio  # noqa: PLC0415 - heavy

    findings: list[Finding] = []

    async def go() -> None:
        async for finding in _findings():
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
