"""``gateway init``: a first folder of lines that works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_RENAMED = {
    "env.example": ".env.example",
    "hello_tools.py.txt": "hello_tools.py",
    "gateway.yml": ".github/workflows/gateway.yml",
}
"""Files whose names would be hidden, or mean something, inside the package."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write.", show_default=".")] = Path(),
) -> None:
    """Write a first agents_config/, .env.example, a trial and what a CI server runs; nothing is ever overwritten."""
    from importlib import resources  # noqa: PLC0415 - not for --help

    files = {folder / name: content for name, content in _first(resources.files("gateway.cli") / "first", "")}
    whole = ("agents_config", "trials", ".env.example", "ci.sh", ".github/workflows/gateway.yml")
    taken = [folder / name for name in whole if (folder / name).exists()]
    if taken:
        names = " and ".join(str(path) for path in taken)
        typer.echo(f"{names} {'are' if len(taken) > 1 else 'is'} there already; nothing was written.", err=True)
        typer.echo("gateway init NAME writes into a folder of that name.", err=True)
        raise typer.Exit(1)
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            typer.echo(f"wrote {path}")
    except OSError as error:
        typer.echo(f"can't write {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"\nNext{'' if folder == Path() else f', in {folder}'}:\n"
        "  gateway check                                        is every file right?\n"
        "  gateway try hello trials/hello.opening_hours.yaml    a caller who needs no phone and no key\n"
        "  gateway dev                                          talk to it in your browser; edits count at once\n"
        "With keys, copy .env.example to .env and fill it in: gateway dev then takes real calls, too."
    )


def _first(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += [] if entry.name == "__pycache__" else _first(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + _RENAMED.get(entry.name, entry.name), entry.read_bytes()))
    return found
