"""``gateway fallback``: what answers when neither the gateway nor the model does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.show import print_faults
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config.directory import Directory
    from gateway.config.resolved import LineConfig


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What answers when the gateway does not.", no_args_is_help=True)
    group.callback()(_fallback)
    group.command()(export)
    app.add_typer(group, name="fallback")


def _fallback() -> None:
    """What answers when the gateway does not."""


def export(
    *,
    line: Annotated[str, typer.Option("--line", "-l", help="The line's name.")],
    number: Annotated[str, typer.Option("--number", "-n", help="As it is on this number.")] = "",
    path: Annotated[
        Path | None, typer.Option("--dir", help="The folder of lines.", show_default="agents_config")
    ] = None,
) -> None:
    """Print a line's on_failure as TwiML that needs no gateway: for a TwiML Bin, as the number's fallback URL."""
    from gateway.call.moving import apology  # noqa: PLC0415 - heavy
    from gateway.carriers.twilio.twiml import Links, render  # noqa: PLC0415 - heavy
    from gateway.cli.folder import config_folder, environment_name  # noqa: PLC0415 - heavy
    from gateway.config.loader import load  # noqa: PLC0415 - heavy

    try:
        found = _line(load(config_folder(path), env=environment_name()), line, number)
    except ConfigError as error:
        print_faults(error.faults, json=False)
        raise typer.Exit(1) from None
    policy = found.policy()
    if policy.on_failure.sound and not policy.on_failure.say:
        typer.echo(f"{line}: on_failure: say is a recording, which only the gateway serves; add its text:", err=True)
        raise typer.Exit(1)
    spoken = replace(policy, on_failure=replace(policy.on_failure, sound=""))
    typer.echo(render(apology(spoken), Links("")))


def _line(directory: Directory, name: str, number: str) -> LineConfig:
    from gateway.config.explain import nearest  # noqa: PLC0415 - heavy

    found = directory.find(number, name)
    if found is None:
        raise typer.BadParameter(f"there is no line {name}: {nearest(name, directory.lines)}", param_hint="--line")
    return found
