"""``gateway check`` and ``gateway schema``: whether the lines are right, and what editors may suggest."""

from __future__ import annotations

import enum
import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.show import print_faults, print_line, print_table
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config.directory import Directory


class Kind(enum.StrEnum):
    """What a file of the folder describes."""

    LINE = "line"
    AGENT = "agent"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(schema)


def check(
    path: Annotated[Path | None, typer.Argument(help="The folder of lines.", show_default="agents_config")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each fault or line.")] = False,
) -> None:
    """Check every file of the folder; exit with 1 where something is wrong."""
    from gateway.cli.folder import config_folder  # noqa: PLC0415 - heavy
    from gateway.config.loader import load  # noqa: PLC0415 - heavy

    folder = config_folder(path)
    try:
        directory = load(folder)
    except ConfigError as error:
        print_faults(error.faults, json=json)
        raise typer.Exit(1) from None
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


def schema(
    kind: Annotated[Kind, typer.Argument(help="The kind of file.")] = Kind.LINE,
) -> None:
    """Print the JSON Schema of a line's file (or of a file in agents/), for editors."""
    from gateway.config.schema import AgentFile, LineFile  # noqa: PLC0415 - heavy

    model = LineFile if kind is Kind.LINE else AgentFile
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    typer.echo(jsonlib.dumps(described, indent=2, ensure_ascii=False))


def _rows(directory: Directory) -> list[dict[str, Any]]:
    return [
        {
            "line": line.id,
            "label": line.label,
            "numbers": list(line.numbers),
            "default": line.default,
            "agents": [*line.agents] or [line.agent],
            "tools": sorted({tool for agent in line.agents.values() for tool in agent.tools}),
            "environment": sorted(directory.environment[line.id]),
            "snapshot": directory.hash,
        }
        for line in directory.lines.values()
    ]
