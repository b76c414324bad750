"""``gateway why``: what went wrong on a call, with its evidence, and what to change."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.show import print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gateway.carriers.twilio.alerts import Explained
    from gateway.diagnosis.case import Case
    from gateway.diagnosis.finding import Finding
    from gateway.store.log_lines import Header, Line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(why)


def why(
    call: Annotated[
        str, typer.Argument(metavar="CALL", help="A call's id, its beginning, the carrier's id (CA...), or a log.")
    ],
    *,
    words: Annotated[bool, typer.Option(help="Whether what was said is shown where it is evidence.")] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each finding.")] = False,
) -> None:
    """Say what went wrong on a call and what to change; exit with 1 where something did, with 0 where nothing was.

    A call of Twilio's (CA...) that never reached us is explained by the alerts that Twilio has of it.
    """
    from gateway.cli.recorded import log_of  # noqa: PLC0415 - each command imports what it needs

    try:
        path = log_of(call)
    except typer.BadParameter:
        if not call.startswith("CA"):
            raise
        _ask_carrier(call, json=json)
        return
    from gateway.errors import LogError  # noqa: PLC0415
    from gateway.store.log_lines import read_log  # noqa: PLC0415

    try:
        case, known = _case(lambda: read_log(path))
    except LogError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    from gateway.diagnosis.rules import diagnose  # noqa: PLC0415

    findings = diagnose(case)
    for each in findings:
        settings = {key: known.get(key) for key in each.settings}
        if json:
            print_line(dataclasses.asdict(each) | {"settings": settings, "words": each.words if words else ""})
        else:
            _print(each, settings, words=words)
    if not findings and not json:
        over = "" if case.story.ended is not None else " The call is not over."
        typer.echo(f"Nothing was wrong with {case.story.header.call_id}.{over}")
    if findings:
        raise typer.Exit(1)


def _case(read: Callable[[], Iterator[Line]]) -> tuple[Case, Mapping[str, object]]:
    """Return the call's case, and the settings that are known: those of the record, and of the line's files."""
    from gateway.cli.recorded import recordings  # noqa: PLC0415
    from gateway.diagnosis.case import case_of  # noqa: PLC0415
    from gateway.diagnosis.sound import listen  # noqa: PLC0415
    from gateway.store.log_lines import Header  # noqa: PLC0415

    header = next(read(), None)
    kept = recordings().find(header.call_id) if isinstance(header, Header) else None
    known = _settings(header) if isinstance(header, Header) else {}
    return case_of(read(), listen(kept) if kept is not None else None, known), known


def _settings(header: Header) -> dict[str, object]:
    """What the line's files say now, and over it what the record knows of then."""
    from gateway.cli.records import read_loosely  # noqa: PLC0415
    from gateway.config.loader import load  # noqa: PLC0415
    from gateway.errors import ConfigError  # noqa: PLC0415

    known: dict[str, object] = {}
    try:
        directory = load(read_loosely().config_dir)
    except ConfigError:
        directory = None  # the files have faults, or are not here: what the record knows is enough
    if directory is not None:
        for key, settings in directory.settings.items():
            if key == header.line:
                known = {setting.key: setting.value for setting in settings}
    policy = header.policy
    return known | {
        "barge_in.allowed": policy.barge_in.allowed,
        "barge_in.min_speech": policy.barge_in.min_speech,
        "barge_in.protect_greeting": policy.barge_in.protect_greeting,
        "limits.max_duration": policy.max_duration,
        "limits.silence": policy.silence,
        "approvals.timeout": policy.approval,
        "approvals.keypad": policy.approve_by_keypad,
        "end_by": policy.end_by,
    }


def _print(finding: Finding, settings: Mapping[str, object], *, words: bool) -> None:
    turn = f", turn {finding.turn}" if finding.turn is not None else ""
    typer.echo(f"{finding.code}  at {finding.at:.1f} s{turn}")
    typer.echo(f"  seen:    {finding.seen}")
    if words and finding.words:
        typer.echo(f'  words:   "{finding.words}"')
    typer.echo(f"  change:  {finding.change}")
    if settings:
        told = ", ".join(f"{key} ({'not set' if value is None else value})" for key, value in settings.items())
        typer.echo(f"  setting: {told}")


# ---- A call that never reached us -----------------------------------------------------------------------------------


def _ask_carrier(call_sid: str, *, json: bool) -> None:
    import anyio  # noqa: PLC0415 - heavy

    from gateway.errors import CarrierError  # noqa: PLC0415

    try:
        alerts = anyio.run(_alerts, call_sid)
    except CarrierError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for each in alerts:
        if json:
            print_line(dataclasses.asdict(each))
        else:
            typer.echo(f"{each.code}  {each.at}  {each.level}")
            typer.echo(f"  seen:    {each.seen}")
            typer.echo(f"  change:  {each.change}")
            typer.echo(f"  more:    {each.more}")
    if alerts:
        raise typer.Exit(1)
    if not json:
        typer.echo(f"Twilio has no alert of {call_sid} (it keeps them for 30 days), and no record of it is here.")


async def _alerts(call_sid: str) -> list[Explained]:
    import httpx2  # noqa: PLC0415

    from gateway.carriers.twilio.alerts import explain  # noqa: PLC0415
    from gateway.carriers.twilio.numbers import accounts_of  # noqa: PLC0415
    from gateway.cli.records import read_loosely  # noqa: PLC0415
    from gateway.config.directory import Directory  # noqa: PLC0415
    from gateway.config.loader import load  # noqa: PLC0415
    from gateway.config.numbers import Account  # noqa: PLC0415
    from gateway.errors import ConfigError, SettingsError  # noqa: PLC0415
    from gateway.settings import environment  # noqa: PLC0415

    settings = read_loosely()
    try:
        directory = load(settings.config_dir, environment(), settings.env)
    except ConfigError:
        directory = Directory(settings.config_dir, "", {})
    own = Account("", settings.twilio_account_sid, settings.twilio_auth_tokens)
    async with httpx2.AsyncClient() as client:
        accounts = accounts_of(own, directory, settings.twilio_api_base_url, client)
        if not accounts:
            raise SettingsError(
                f"no record of {call_sid} is here, and Twilio can't be asked: "
                "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
            )
        found = [alert for account in accounts for alert in await account.alerts_of(call_sid)]
    return [explain(alert) for alert in found]
