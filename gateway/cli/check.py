"""``gateway check`` and ``gateway schema``: whether the lines are right, and what editors may suggest."""

from __future__ import annotations

import enum
import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.routes import numbers_of
from gateway.cli.show import print_faults, print_line, print_table
from gateway.errors import ConfigError, Fault

if TYPE_CHECKING:
    from pydantic import BaseModel

    from gateway.config.directory import Directory


LAID_OVER = ("TransferConfig", "HoursConfig")
"""Parts of a number's row of which some keys may be left to the line."""


class Kind(enum.StrEnum):
    """What a file of the folder describes."""

    LINE = "line"
    AGENT = "agent"
    NUMBERS = "numbers"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(schema)


def check(
    path: Annotated[Path | None, typer.Argument(help="The folder of lines.", show_default="agents_config")] = None,
    *,
    env: Annotated[
        str, typer.Option("--env", help="Check this environment's table of numbers alone.", show_default="GATEWAY_ENV")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each fault or line.")] = False,
) -> None:
    """Check every file of the folder, all tables of numbers too; exit with 1 where something is wrong."""
    from gateway.cli.folder import config_folder, environment_name  # noqa: PLC0415 - heavy

    folder = config_folder(path)
    directory, faults = _read(folder, env or environment_name(), others=not env)
    if faults or directory is None:
        print_faults(faults, json=json)
        raise typer.Exit(1)
    rows = [*_rows(directory)]
    if json:
        for row in rows:
            print_line(row)
        return
    print_table(
        ("Line", "Answers", "Agents", "Tools", "Environment"),
        [
            (
                row["line"],
                "\n".join([*row["numbers"], *(["every other number"] if row["default"] else [])]) or "by its name only",
                "\n".join(row["agents"]),
                ", ".join(tool.rpartition(":")[2] for tool in row["tools"]),
                "\n".join(row["environment"]),
            )
            for row in rows
        ],
        folds="Tools",
        caption=f"{folder} is right. Snapshot {directory.hash}.",
    )


def _read(folder: Path, env: str, *, others: bool) -> tuple[Directory | None, list[Fault]]:
    """Return the folder with one environment's table of numbers, and what is wrong with it, or with any ``others``."""
    from gateway.config.folder import read_folder  # noqa: PLC0415 - heavy
    from gateway.config.loader import parse  # noqa: PLC0415
    from gateway.config.table import environments  # noqa: PLC0415

    faults: dict[Fault, None] = {}
    directory: Directory | None = None
    try:
        content = read_folder(folder)
        for each in dict.fromkeys([env, *(environments(content) if others else [])]):
            try:
                checked = parse(content, env=each)
                directory = directory or checked
            except ConfigError as error:
                faults |= dict.fromkeys(error.faults)
    except ConfigError as error:
        faults |= dict.fromkeys(error.faults)
    return directory, [*faults]


def schema(
    kind: Annotated[Kind, typer.Argument(help="The kind of file.")] = Kind.LINE,
) -> None:
    """Print the JSON Schema of a line's file (or of a file in agents/, or the table of numbers), for editors."""
    from gateway.config.numbers import NumbersFile  # noqa: PLC0415 - heavy
    from gateway.config.schema import AgentFile, LineFile  # noqa: PLC0415 - heavy

    models: dict[Kind, type[BaseModel]] = {Kind.LINE: LineFile, Kind.AGENT: AgentFile, Kind.NUMBERS: NumbersFile}
    model = models[kind]
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    if kind is Kind.NUMBERS:
        for part in LAID_OVER:  # A row is laid over its line, which has the rest.
            described["$defs"][part].pop("required", None)
    typer.echo(jsonlib.dumps(described, indent=2, ensure_ascii=False))


def _rows(directory: Directory) -> list[dict[str, Any]]:
    return [
        {
            "line": line.id,
            "label": line.label,
            "numbers": numbers_of(directory, line),
            "default": line.default,
            "agents": [*line.agents] or [line.agent],
            "tools": sorted({tool for agent in line.agents.values() for tool in agent.tools}),
            "environment": sorted(directory.environment[line.id]),
            "snapshot": directory.hash,
        }
        for line in directory.lines.values()
    ]
