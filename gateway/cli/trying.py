"""``gateway try``: a scripted caller against a line, without a telephone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.show import print_line

if TYPE_CHECKING:
    from gateway.trial.script import Trial


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
    import anyio  # noqa: PLC0415 - heavy

    from gateway.cli.folder import config_folder  # noqa: PLC0415
    from gateway.config.explain import nearest  # noqa: PLC0415
    from gateway.config.loader import load  # noqa: PLC0415
    from gateway.errors import GatewayError  # noqa: PLC0415
    from gateway.settings import environment  # noqa: PLC0415
    from gateway.trial.junit import junit as as_junit  # noqa: PLC0415
    from gateway.trial.perform import Order, perform  # noqa: PLC0415

    folder = config_folder(path)
    variables = environment()
    directory = load(folder, variables, variables.get("GATEWAY_ENV", ""))
    if line not in directory.lines:
        raise typer.BadParameter(f"there is no line {line}: {nearest(line, directory.lines)}", param_hint="LINE")
    trial, beside = _trial(said, expect or [])
    url = ""
    if real:
        url = variables.get("OPENAI_REALTIME_URL") or "wss://api.openai.com/v1/realtime"
        if not variables.get("OPENAI_API_KEY") and not variables.get("OPENAI_REALTIME_URL"):
            raise typer.BadParameter("--real needs OPENAI_API_KEY", param_hint="--real")
    order = Order(folder, line, trial, beside, variables, url, wav)
    try:
        checks = anyio.run(perform, order, lambda text: typer.echo(text, err=json))
    except GatewayError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from None
    if json:
        for check in checks:
            print_line(dataclasses.asdict(check))
    if junit is not None:
        junit.write_text(as_junit(line, trial.name or said or "listening", checks), encoding="utf-8")
    failed = sum(not check.passed for check in checks)
    if not json:
        typer.echo(f"{len(checks) - failed} of {len(checks)} expectations came true.")
    if failed:
        raise typer.Exit(1)


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
