"""The program ``gateway``: one file for each group of commands.

A group's file has ``register(app)`` and is named in ``GROUPS``. It imports what is heavy inside its commands, so that
``gateway --help`` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import __version__
from gateway.errors import ConfigError, SettingsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = (
    "serve",
    "dev",
    "talk",
    "demo",
    "init",
    "check",
    "config",
    "lines",
    "trying",
    "doctor",
    "numbers",
    "fallback",
    "db",
    "tokens",
    "calls",
    "picture",
    "replay",
    "why",
    "hooks",
    "people",
    "audit",
    "purge",
    "local",
    "bench",
)
"""The files of this folder that add commands, in the order of ``gateway --help``."""

OK, FAULTS, USAGE, UNREACHABLE, SETTINGS = 0, 1, 2, 3, 78
"""Exit statuses: all is well; faults were found; the command was written wrongly; a service outside could not be asked;
the environment is wrong."""


def create_cli() -> typer.Typer:
    """Return the program with all its commands."""
    app = typer.Typer(
        name="gateway",
        help="Answers phone calls with realtime voice agents.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for group in GROUPS:
        importlib.import_module(f"gateway.cli.{group}").register(app)
    app.command()(version)
    return app


def version(*, json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Show the version of the gateway."""
    typer.echo(f'{{"version": "{__version__}"}}' if json else f"gateway {__version__}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and leave with its exit status; ``arguments`` are those of the command line unless given."""
    try:
        create_cli()(args=arguments, prog_name="gateway")
    except (SettingsError, StoreError) as error:
        typer.echo(str(error), err=True)
        sys.exit(SETTINGS)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        sys.exit(FAULTS)
