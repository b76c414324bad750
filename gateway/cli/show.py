"""How commands show what they found: tables for people, one JSON object per line for programs."""

from __future__ import annotations

import dataclasses
import json as jsonlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from gateway.errors import Fault


def print_line(row: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    typer.echo(jsonlib.dumps(row, ensure_ascii=False))


def print_faults(faults: Sequence[Fault], *, json: bool) -> None:
    """Print faults: ``file:line:column: what (remedy)`` for people and editors, or JSON."""
    for fault in faults:
        if json:
            print_line(dataclasses.asdict(fault))
        else:
            typer.echo(str(fault))
    if not json:
        typer.echo(f"{len(faults)} fault{'s' if len(faults) > 1 else ''}.", err=True)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, folds: str, caption: str = "") -> None:
    """Print a table as wide as the terminal; the column ``folds`` gives way where that is too narrow."""
    from rich import box  # noqa: PLC0415 - only tables pay for it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold", no_wrap=head != folds)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    console.print(table)
    if caption:
        console.print(Text(caption))
