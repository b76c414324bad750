"""``gateway config``: what is in effect on a line or number, where it was written, and what an edit changes."""

from __future__ import annotations

import dataclasses
import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.show import print_faults, print_line, print_table
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config.directory import Directory
    from gateway.config.resolved import LineConfig
    from gateway.config.tree import Place


BRIEF = 60
"""Characters of a value in the table of differences."""

Env = Annotated[
    str, typer.Option("--env", help="The environment whose table of numbers is read.", show_default="GATEWAY_ENV")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Show what is in effect.", no_args_is_help=True)
    group.callback()(_config)
    group.command()(show)
    group.command()(diff)
    app.add_typer(group, name="config")


def _config() -> None:
    """Show what is in effect, and what an edit changes."""


def show(
    *,
    line: Annotated[str, typer.Option("--line", "-l", help="The line's name.")] = "",
    number: Annotated[str, typer.Option("--number", "-n", help="A number, as a call to it would be answered.")] = "",
    account: Annotated[str, typer.Option(help="With --number: the name of the account that it is called on.")] = "",
    path: Annotated[
        Path | None, typer.Option("--dir", help="The folder of lines.", show_default="agents_config")
    ] = None,
    env: Env = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each value.")] = False,
) -> None:
    """Show every value of a line with the file and line where it was written."""
    from gateway.cli.folder import config_folder  # noqa: PLC0415 - heavy

    if bool(line) == bool(number):
        raise typer.BadParameter("give either --line or --number")
    directory = _load(config_folder(path), env, json=json)
    found = _find(directory, line, number, account)
    settings = directory.settings[found.key]
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
        caption=f"The line {found.id}{_on(directory, number, account)}, snapshot {directory.hash}.",
    )


def diff(
    before: Annotated[Path, typer.Argument(help="A folder of lines.", metavar="A")],
    after: Annotated[Path, typer.Argument(help="The same folder as it would be.", metavar="B")],
    *,
    env: Env = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each value that differs.")] = False,
) -> None:
    """Show what changes on which number between two folders; prompts, clips and Python count too."""
    from gateway.config.compare import changes  # noqa: PLC0415 - heavy

    old, new = _load(before, env, json=json), _load(after, env, json=json)
    found = changes(old, new)
    if json:
        for change in found:
            print_line(dataclasses.asdict(change))
        return
    grouped: dict[tuple[tuple[str, str, str], ...], list[str]] = {}
    by_number: dict[str, list[tuple[str, str, str]]] = {}
    for change in found:
        row = (change.key, _brief(change.before), _brief(change.after))
        by_number.setdefault(change.number, []).append(row)
    for number, rows in by_number.items():
        grouped.setdefault(tuple(rows), []).append(number)
    print_table(
        ("Number", "Key", "Before", "After"),
        [
            ("\n".join(numbers) if first else "", *row)
            for rows, numbers in grouped.items()
            for first, row in zip((True, *(False for _ in rows)), rows, strict=False)
        ],
        folds="After",
        caption=f"{len(by_number)} numbers change. Snapshots {old.hash} and {new.hash}.",
    )


def _load(folder: Path, env: str, *, json: bool) -> Directory:
    from gateway.cli.folder import environment_name  # noqa: PLC0415 - heavy
    from gateway.config.loader import load  # noqa: PLC0415 - heavy

    try:
        return load(folder, env=env or environment_name())
    except ConfigError as error:
        print_faults(error.faults, json=json)
        raise typer.Exit(1) from None


def _find(directory: Directory, line: str, number: str, account: str) -> LineConfig:
    from gateway.config.explain import nearest  # noqa: PLC0415 - heavy

    if account and account not in directory.accounts:
        remedy = nearest(account, directory.accounts) or "the table of numbers names none"
        raise typer.BadParameter(f"there is no account {account}: {remedy}", param_hint="--account")
    found = directory.find(number, line, account=directory.accounts[account].sid if account else "")
    if found is None and line:
        raise typer.BadParameter(f"there is no line {line}: {nearest(line, directory.lines)}", param_hint="--line")
    if found is None:
        raise typer.BadParameter(f"no line answers {number}, and none is the default", param_hint="--number")
    return found


def _on(directory: Directory, number: str, account: str) -> str:
    """Return which claim on a number won, for people."""
    from gateway.cli.routes import shown  # noqa: PLC0415 - heavy

    if not number:
        return ""
    claim = directory.claim(number, directory.accounts[account].sid if account else "")
    if claim is None:
        return ", which answers every other number"
    return f" on {shown(claim)}, as {_within(claim.place, directory.folder)} says"


def _brief(value: object) -> str:
    """Return a value for a table; of a long text its beginning, and what tells it from one that begins the same."""
    if value is None:
        return "-"
    text = " ".join(_shown(value).split())
    if len(text) <= BRIEF:
        return text
    import hashlib  # noqa: PLC0415 - not for --help

    return f"{text[:BRIEF]}... ({len(text)} characters, {hashlib.sha256(text.encode()).hexdigest()[:8]})"


def _within(place: Place | None, folder: Path) -> str:
    return f"{Path(place.file).relative_to(folder)}:{place.line}" if place else "default"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False)
