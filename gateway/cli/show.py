"""How commands show what they found: tables for people, one JSON object per line for programs."""

from __future__ import annotations

import dataclasses
import json as jsonlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from gateway.errors import Fault

_NARROWEST = 16
"""Columns that a column which gives way still needs to be read."""
_PADDING = 3
"""Columns between two columns of a table."""


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


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, folds: str, caption: str = "", empty: str = ""
) -> None:
    """Print a table as wide as the terminal, or ``empty`` where it has no rows; the column ``folds`` gives way.

    Where that is not enough, each row is a paragraph: nothing is ever cut off.
    """
    from rich import box  # noqa: PLC0415 - only tables pay for it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if empty and not rows:
        typer.echo(empty)
        return
    console = Console()
    widths = [max(map(_width, (head, *cells))) for head, *cells in zip(heads, *rows, strict=True)]
    fixed = sum(width for head, width in zip(heads, widths, strict=True) if head != folds)
    if fixed + min(widths[heads.index(folds)], _NARROWEST) + _PADDING * len(heads) > console.width:
        for row in rows:
            print_fields((head, cell) for head, cell in zip(heads, row, strict=True) if cell not in {"", "-"})
    elif rows or not caption:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        for head in heads:
            table.add_column(head, overflow="fold", no_wrap=head != folds)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
    if caption:
        console.print(Text(caption))


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print one thing as a paragraph: its first field, and under it the others by name."""
    (_, first), *others = fields
    widest = max((len(name) for name, _ in others), default=0)
    typer.echo(first)
    for name, value in others:
        typer.echo(f"  {name.lower():{widest}}  {value.replace(chr(10), ', ')}")


def _width(cell: str) -> int:
    return max(map(len, cell.split("\n")))
