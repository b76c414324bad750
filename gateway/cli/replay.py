"""``gateway replay``: a recorded call through today's core, or through a changed line."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.call.policy import Policy
    from gateway.store.log_lines import Header
    from gateway.store.replay import Comparison


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    call: Annotated[str, typer.Argument(metavar="CALL", help="A call's id, or the first characters of it; or a log.")],
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="A folder of lines, or a line's file in one: decide by that instead of the call's own line.",
        ),
    ] = None,
    line: Annotated[str, typer.Option(help="The line of that folder, where the call's is named otherwise now.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each turn that differs.")] = False,
) -> None:
    """Show where today's code, or a changed line, decides a call differently; exit with 1 where it does.

    Only the gateway's own decisions are made again (barge-ins, waiting, ends, transfers), without network; what another
    prompt would say is for gateway try.
    """
    from gateway.cli.recorded import log_of  # noqa: PLC0415 - each command imports what it needs
    from gateway.cli.show import print_line  # noqa: PLC0415
    from gateway.errors import LogError  # noqa: PLC0415
    from gateway.store.log_lines import Header, read_log  # noqa: PLC0415
    from gateway.store.replay import compare  # noqa: PLC0415

    try:
        lines = list(read_log(log_of(call)))
        header = lines[0] if lines and isinstance(lines[0], Header) else None
        policy = _policy(config, header, line) if config is not None and header is not None else None
        found = compare(lines, policy)
    except LogError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if json:
        for turn in found.turns:
            print_line(asdict(turn))
    else:
        _show(found, guess=policy is not None)
    raise typer.Exit(1 if found.different else 0)


def _policy(config: Path, header: Header, line: str) -> Policy:
    """Return what the line decides by now; what belongs to the call alone stays."""
    from gateway.carriers.twilio.arrival import variables  # noqa: PLC0415 - heavy
    from gateway.carriers.twilio.form import Form  # noqa: PLC0415 - heavy
    from gateway.config.explain import nearest  # noqa: PLC0415 - heavy
    from gateway.config.loader import load  # noqa: PLC0415 - heavy

    folder, line = (config.parent, line or config.stem) if config.is_file() else (config, line or header.line)
    directory = load(folder)
    known = directory.lines.get(line)
    if known is None:
        raise typer.BadParameter(f"{folder} has no line {line}: {nearest(line, directory.lines)}", param_hint="--line")
    said = Form((name, [value]) for name, value in header.incoming.items())
    policy = known.policy(known.variables(variables(said, Form())))
    before = header.policy.transfers
    transfers = {
        name: replace(target, refer=target.refer and before[name].refer) if name in before else target
        for name, target in policy.transfers.items()
    }
    return replace(policy, line=header.policy.line, return_to=header.policy.return_to, transfers=transfers)


def _show(found: Comparison, *, guess: bool) -> None:
    for turn in found.turns:
        typer.echo(f"turn {turn.number}: {turn.who}, {turn.at:.2f} s" if turn.number else turn.who)
        for text in turn.lines:
            typer.echo(f"  {text}")
    if not found.different:
        typer.echo(f"{found.events} events, and every decision is the same.")
        return
    typer.echo(f"{found.different} of {found.events} events are decided differently, the first at {found.first:.2f} s.")
    if not found.turns:
        typer.echo("They differ in when audio and its marks are sent, and in nothing else.")
    elif guess:
        typer.echo("What follows the first difference is a guess: caller and model might have gone on otherwise.")
