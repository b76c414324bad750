"""``gateway try``: a scripted caller against a line, without a telephone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import UNREACHABLE
from gateway.cli.show import print_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.config.model_options import ModelConfig
    from gateway.trial.judge import Check
    from gateway.trial.perform import Order
    from gateway.trial.script import Trial
    from gateway.trial.telling import Told


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("try")(try_line)


def try_line(
    line: Annotated[str, typer.Argument(help="The line that is called.")],
    said: Annotated[
        str, typer.Argument(metavar='["TEXT" | AUDIO.wav | SCRIPT.yaml]', help="What the caller does; else it listens.")
    ] = "",
    *,
    expect: Annotated[
        list[str] | None,
        typer.Option(help='Such as "says: nine to one" or "calls_tool: {book: {day: saturday}}"; may be repeated.'),
    ] = None,
    real: Annotated[
        bool, typer.Option("--real", help="Ask the model of OPENAI_API_KEY or OPENAI_REALTIME_URL.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit's XML into this file.")] = None,
    wav: Annotated[Path | None, typer.Option(help="Write the call: left the caller, right the agent.")] = None,
    path: Annotated[Path | None, typer.Option(help="The folder of lines.", show_default="agents_config")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each expectation.")] = False,
) -> None:
    """Call a line and check what the agent says and does; exit with 1 where something expected did not happen.

    The gateway is the real one, the telephone is played, and the model is that of this machine unless --real.
    """
    from gateway.cli.folder import config_folder  # noqa: PLC0415 - heavy

    for file in (junit, wav):
        _make_room(file)
    trial, beside = _trial(said, expect or [])
    order = _order(config_folder(path), line, trial, beside, wav, real=real)
    checks = _checked(order, lambda text: typer.echo(text, err=json))
    if junit is not None:
        from gateway.trial.junit import junit as as_junit  # noqa: PLC0415

        junit.write_text(as_junit(line, trial.name or said or "listening", checks), encoding="utf-8")
    failed = sum(not check.passed for check in checks)
    if json:
        for check in checks:
            print_line(dataclasses.asdict(check))
    elif checks:
        typer.echo(f"{len(checks) - failed} of {len(checks)} expectations came true.")
    else:
        typer.echo('Nothing was expected; --expect "says: ..." has it checked.')
    if failed:
        raise typer.Exit(1)


def _make_room(file: Path | None) -> None:
    """Make the folder of a file that is written when the call is over: too late to find out that it can't be."""
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"can't write {file}: {error.strerror}") from None


def _order(folder: Path, line: str, trial: Trial, beside: Path, wav: Path | None, *, real: bool) -> Order:
    from gateway.config.explain import nearest  # noqa: PLC0415 - heavy
    from gateway.config.loader import load  # noqa: PLC0415
    from gateway.settings import environment  # noqa: PLC0415
    from gateway.trial.perform import Order  # noqa: PLC0415
    from gateway.trial.surroundings import needs_of  # noqa: PLC0415

    variables = environment()
    directory = load(folder, variables if real else None)
    if line not in directory.lines:
        raise typer.BadParameter(f"there is no line {line} ({nearest(line, directory.lines)})", param_hint="LINE")
    if not real:
        return Order(folder, line, trial, beside, variables, wav=wav, needs=needs_of(directory, line))
    url, model = variables.get("OPENAI_REALTIME_URL", ""), directory.lines[line].model
    if not (variables.get("OPENAI_API_KEY") or url or model.url or model.headers):
        remedy = "set OPENAI_API_KEY, in .env or in the environment, or OPENAI_REALTIME_URL to another server"
        raise typer.BadParameter(f"there is no key of a model: {remedy}", param_hint="--real")
    return Order(folder, line, trial, beside, variables, _lets_us_in(model, url, variables), wav=wav)


def _lets_us_in(model: ModelConfig, url: str, variables: Mapping[str, str]) -> str:
    """Return where a real model is, having asked whether it talks to us: a call would take a minute to find out."""
    import anyio  # noqa: PLC0415 - heavy

    from gateway.checkup.model import connects  # noqa: PLC0415
    from gateway.realtime.options import OPENAI_URL, endpoint  # noqa: PLC0415

    there = endpoint(model, url=url, api_key=variables.get("OPENAI_API_KEY", ""))
    found = anyio.run(connects, "the model", there.url, there.headers)
    if found.state == "fault":
        typer.echo(f"{found.found} ({found.remedy})", err=True)
        raise typer.Exit(UNREACHABLE)
    return url or OPENAI_URL


def _checked(order: Order, told: Told) -> list[Check]:
    from gateway.cli import node  # noqa: PLC0415 - heavy
    from gateway.errors import GatewayError  # noqa: PLC0415
    from gateway.trial.perform import perform  # noqa: PLC0415

    checks: list[Check] | None = None

    async def work() -> None:
        nonlocal checks
        checks = await perform(order, told)

    try:
        node.run(work)
    except GatewayError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNREACHABLE) from None
    if checks is None:
        raise typer.Abort
    return checks


def _trial(said: str, expectations: list[str]) -> tuple[Trial, Path]:
    from gateway.trial.script import read, single  # noqa: PLC0415 - heavy

    given = Path(said)
    if said.endswith((".yaml", ".yml")):
        if expectations:
            raise typer.BadParameter("a script says itself what it expects", param_hint="--expect")
        return read(given), given.parent
    if said.endswith(".wav"):
        if not given.is_file():
            raise typer.BadParameter(f"there is no file {said}", param_hint="AUDIO.wav")
        return single({"play": given.name}, expectations), given.parent
    return single({"say": said} if said else {}, expectations), Path()
