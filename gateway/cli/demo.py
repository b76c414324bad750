"""``gateway demo``: one whole call on this machine, shown live."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.demo.perform import Show


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(demo)


def demo(
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON object at the end, and nothing else.")] = False,
    svg: Annotated[Path | None, typer.Option(help="Draw the call as a picture into this file.")] = None,
    out: Annotated[Path, typer.Option(help="Where a folder with the call's sound and record is made.")] = Path(
        "data/demo"
    ),
    openai: Annotated[
        bool, typer.Option("--openai", help="Let OpenAI's model answer instead; costs a few cents.")
    ] = False,
    openai_key: Annotated[str, typer.Option(envvar="OPENAI_API_KEY", hidden=True)] = "",
) -> None:
    """Call the airline of agents_config: a caller speaks, interrupts, presses a key; two agents, slow tools, a goodbye.

    Carrier, gateway and model run on this machine; nobody needs an account. The exit status is 1 where something of it
    did not happen.
    """
    if openai and not openai_key:
        typer.echo(f"--openai needs a key: OPENAI_API_KEY=sk-... {Path(sys.argv[0]).name} demo --openai", err=True)
        raise typer.Exit(2)
    import anyio  # noqa: PLC0415 (each command imports what it needs, when it runs)

    from gateway.demo.perform import Order, perform  # noqa: PLC0415
    from gateway.demo.picture import Picture  # noqa: PLC0415
    from gateway.errors import GatewayError  # noqa: PLC0415

    order = Order(out / time.strftime("%Y%m%d-%H%M%S"), openai_key if openai else "")
    show = Picture(_show(json=json)) if svg is not None else _show(json=json)
    try:
        outcome = anyio.run(perform, order, show)
    except GatewayError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if isinstance(show, Picture) and svg is not None:
        svg.write_text(show.draw(outcome), encoding="utf-8")
    if json:
        typer.echo(jsonlib.dumps(outcome.as_json(), ensure_ascii=False))
    raise typer.Exit(1 if outcome.failures else 0)


def _show(*, json: bool) -> Show:
    """Return whoever presents the call: to a program, a person at a terminal, or a file."""
    from rich.console import Console  # noqa: PLC0415 (heavy, as above)

    from gateway.demo.show import LiveShow, PlainShow, QuietShow  # noqa: PLC0415

    if json:
        return QuietShow(lambda line: typer.echo(line, err=True))
    console = Console(highlight=False)
    return LiveShow(console) if console.is_terminal else PlainShow(typer.echo)
