"""``gateway bench``: how many calls a core carries, and how fast, beside a baseline."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

LONG_CALLS, DENSITY = 20, 6.0
"""Long calls at the same time, and how much denser than usual their turns are."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(bench)


def bench(
    *,
    calls: Annotated[str, typer.Option(help="Numbers of calls to measure at, by commas.")] = "100",
    seconds: Annotated[float, typer.Option(min=1, help="Length of each window.")] = 10.0,
    repeat: Annotated[int, typer.Option(min=1, help="How often gateway and relay take turns.")] = 2,
    ramp: Annotated[bool, typer.Option(help="Add calls until delays pass 20 ms or audio is lost.")] = True,
    ramp_limit: Annotated[int, typer.Option(help="Calls at which the ramp ends.")] = 1000,
    relay: Annotated[bool, typer.Option(help="Run the baseline relay too, in turns.")] = True,
    tls: Annotated[bool, typer.Option(help="Encrypt the model's leg.")] = False,
    without: Annotated[
        str,
        typer.Option(
            help="Run a gateway without these too, in turns, and say what they cost: "
            "recording, transcription, metrics, records; by commas."
        ),
    ] = "",
    short_calls: Annotated[int, typer.Option(help="Instead: place so many calls of a second, and see what grows.")] = 0,
    turns: Annotated[int, typer.Option(help="Instead: have calls of so many turns, six times as dense.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write every window to this file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the result into this file.")] = None,
) -> None:
    """Load a gateway of its own with calls, and measure what they cost and how long their audio takes."""
    import asyncio  # noqa: PLC0415 - heavy
    import importlib.util  # noqa: PLC0415 - heavy

    if short_calls or turns:
        _grow(short_calls, turns, json)
        return
    if relay and importlib.util.find_spec("orjson") is None:
        typer.echo("the relay needs orjson: pip install 'telephony-voice-gateway[bench]', or --no-relay", err=True)
        raise typer.Exit(1)
    from gateway.testing.load import report  # noqa: PLC0415 - heavy
    from gateway.testing.load.rig import LEAVES_OUT, Placing  # noqa: PLC0415 - heavy
    from gateway.testing.load.runs import BARE, Plan, run  # noqa: PLC0415 - heavy

    left_out = tuple(filter(None, without.split(",")))
    if unknown := [each for each in left_out if each not in LEAVES_OUT]:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(LEAVES_OUT)}", param_hint="--without")
    programs = ("gateway", *((BARE,) if left_out else ()), *(("relay",) if relay else ()))
    plan = Plan(
        programs=programs * repeat,
        calls=tuple(sorted(int(each) for each in calls.split(","))),
        seconds=seconds,
        ramp=ramp,
        ramp_limit=ramp_limit,
        tls=tls,
        without=left_out,
    )
    placing = Placing.best()
    windows = asyncio.run(run(plan, placing, lambda line: typer.echo(line, err=True)))
    result = report.Result.of(windows, plan, placing)
    typer.echo(result.table())
    if json is not None:
        json.write_text(jsonlib.dumps(result.as_json(), indent=1))
    if svg is not None:
        svg.write_text(result.picture())


def _grow(short_calls: int, turns: int, json: Path | None) -> None:
    import asyncio  # noqa: PLC0415 - heavy

    from gateway.testing.load import growth  # noqa: PLC0415 - heavy
    from gateway.testing.load.rig import Placing  # noqa: PLC0415 - heavy

    def say(line: str) -> None:
        typer.echo(line, err=True)

    placing = Placing.best()
    if short_calls:
        looks = asyncio.run(growth.short_calls(short_calls, 1.0, placing, say))
    else:
        looks = asyncio.run(growth.long_calls(turns, LONG_CALLS, DENSITY, placing, say))
    if json is not None:
        json.write_text(jsonlib.dumps(growth.as_json(looks), indent=1))
