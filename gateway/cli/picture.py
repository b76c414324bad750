"""``gateway calls picture``: a call as an SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the group ``calls``, which is made here where no other file has made it."""
    group = next((each.typer_instance for each in app.registered_groups if each.name == "calls"), None)
    if group is None:
        group = typer.Typer(help="Look at calls.", no_args_is_help=True)
        group.callback()(_calls)
        app.add_typer(group, name="calls")
    group.command()(picture)


def _calls() -> None:
    """Look at calls."""


def picture(
    call: Annotated[str, typer.Argument(metavar="CALL", help="A call's id, or the first characters of it; or a log.")],
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to write.", show_default="CALL.svg")
    ] = None,
    words: Annotated[bool, typer.Option(help="Whether what was said is on it.")] = True,
) -> None:
    """Draw a call: waveforms where it was recorded, turns, tools, handoffs, barge-ins, and what callers waited for."""
    from gateway.cli.recorded import log_of, recordings  # noqa: PLC0415 - each command imports what it needs
    from gateway.errors import LogError  # noqa: PLC0415
    from gateway.store.log_lines import read_log  # noqa: PLC0415
    from gateway.store.picture import draw, longest_step  # noqa: PLC0415
    from gateway.store.story import tell  # noqa: PLC0415
    from gateway.store.waveform import measure  # noqa: PLC0415

    try:
        story = tell(read_log(log_of(call)))
    except LogError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    kept = recordings().find(story.header.call_id)
    waveform = measure(kept, longest_step(story)) if kept is not None else None
    path = output or Path(f"{story.header.call_id}.svg")
    path.write_text(draw(story, waveform, words=words), encoding="utf-8")
    typer.echo(f"wrote {path}{'' if waveform else ' (the call was not recorded: no waveforms)'}")
