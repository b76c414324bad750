"""``gateway config``: what is in effect on a line, and where each value was written."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.show import print_faults, print_line, print_table
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config.directory import Directory
    from gateway.config.schema import LineConfig
    from gateway.config.tree import Place


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Show what is in effect.", no_args_is_help=True)
    group.callback()(_config)
    group.command()(show)
    app.add_typer(group, name="config")


def _config() -> None:
    """Show what is in effect on a line."""


def show(
    *,
    line: Annotated[str, typer.Option("--line", "-l", help="The line's name.")] = "",
    number: Annotated[str, typer.Option("--number", "-n", help="A number, as a call to it would be answered.")] = "",
    path: Annotated[
        Path | None, typer.Option("--dir", help="The folder of lines.", show_default="agents_config")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each value.")] = False,
) -> None:
    """Show every value of a line with the file and line where it was written."""
    from gateway.cli.folder import config_folder  # noqa: PLC0415 - heavy
    from gateway.config.loader import load  # noqa: PLC0415 - heavy

    if bool(line) == bool(number):
        raise typer.BadParameter("give either --line or --number")
    try:
        directory = load(config_folder(path))
    except ConfigError as error:
        print_faults(error.faults, json=json)
        raise typer.Exit(1) from None
    found = _find(directory, line, number)
    settings = directory.settings[found.id]
    if json:
        for setting in settings:
            place = setting.place
            where = {"file": place.file, "line": place.line, "column": place.column} if place else {"file": None}
            print_line({"key": setting.key, "value": setting.value, **where})
        return
    print_table(
        ("Key", "Value", "Written in"),
        [(setting.key, _shown(setting.value), _within(setting.place, directory.folder)) for setting in settings],
        folds="Value",
        caption=f"The line {found.id}, snapshot {directory.hash}.",
    )


def _find(directory: Directory, line: str, number: str) -> LineConfig:
    from gateway.config.explain import nearest  # noqa: PLC0415 - heavy

    found = directory.find(number, line)
    if found is None and line:
        raise typer.BadParameter(f"there is no line {line}: {nearest(line, directory.lines)}", param_hint="--line")
    if found is None:
        raise typer.BadParameter(f"no line answers {number}, and none is the default", param_hint="--number")
    return found


def _within(place: Place | None, folder: Path) -> str:
    return f"{Path(place.file).relative_to(folder)}:{place.line}" if place else "default"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False)
