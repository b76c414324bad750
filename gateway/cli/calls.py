"""``gateway calls``: what calls were, and what was said on them."""

from __future__ import annotations

import json as jsonlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.operator import age, moment, operator
from gateway.cli.records import Records, id_of, with_records
from gateway.cli.show import print_line, print_table

if TYPE_CHECKING:
    from gateway.store.calls import CallFilter

Json = Annotated[bool, typer.Option("--json", help="One JSON object for each row.")]
CallId = Annotated[
    str, typer.Argument(metavar="CALL", help="The call's id, its beginning, or the carrier's id (CA...).")
]
_RESULTS = ("success", "caller", "agent", "carrier", "model", "gateway")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Calls: what they were, and what was said on them.", no_args_is_help=True)
    group.command("list")(list_)
    group.command()(show)
    group.command()(transcript)
    group.command()(tail)
    group.command()(recording)
    group.command()(end)
    app.add_typer(group, name="calls")


def list_(
    *,
    line: Annotated[str, typer.Option("--line", "-l", help="Of this line.")] = "",
    caller: Annotated[str, typer.Option("--caller", help="From this number.")] = "",
    called: Annotated[str, typer.Option("--called", help="To this number.")] = "",
    result: Annotated[str, typer.Option("--result", help="success, caller, agent, carrier, model or gateway.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why they ended, such as caller-hung-up.")] = "",
    status: Annotated[str, typer.Option("--status", help="In Twilio's words, such as in-progress or busy.")] = "",
    live: Annotated[bool | None, typer.Option("--live/--over", help="Only those that live, or are over.")] = None,
    since: Annotated[str, typer.Option("--since", help="Not older than this, as 30m, 12h or 7d.")] = "",
    until: Annotated[str, typer.Option("--until", help="Not newer than this.")] = "",
    search: Annotated[str, typer.Option("--search", "-q", help='Words and "phrases" that were heard.')] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")] = 50,
    json: Json = False,
) -> None:
    """List calls, the newest first."""
    from gateway.store.calls import CallFilter  # noqa: PLC0415 - heavy

    after = time.time() - age(since) if since else None
    before = time.time() - age(until) if until else None
    if result and result not in _RESULTS:
        raise typer.BadParameter(f"{result} is none of {', '.join(_RESULTS)}", param_hint="--result")
    wanted = CallFilter(
        line=line,
        caller=caller,
        called=called,
        result=result,
        reason=reason,
        status=status,
        live=live,
        since=after,
        until=before,
        words=search,
    )

    async def work(records: Records) -> list[dict[str, Any]]:
        return await _pages(records, wanted, limit)

    rows = with_records(work)
    if json:
        for row in rows:
            print_line(_timed(row))
        return
    heads = ("Id", "Line", "Caller", "Began", "Seconds", "Turns", "End", *(["Match"] if search else []))
    print_table(heads, [_cells(row, matched=bool(search)) for row in rows], folds=heads[-1], empty="No such calls.")


async def _pages(records: Records, wanted: CallFilter, limit: int) -> list[dict[str, Any]]:
    from gateway.store.calls import find_calls  # noqa: PLC0415 - heavy

    rows: list[dict[str, Any]] = []
    before = ""
    async with records.database.read() as connection:
        while len(rows) < limit:
            page, before = await find_calls(connection, wanted, limit=min(200, limit - len(rows)), before=before)
            rows += page
            if not before:
                break
    return rows


def _cells(row: dict[str, Any], *, matched: bool) -> list[str]:
    ended = row["ended"] or time.time()
    end = f"{row['result']}: {row['reason']}" if row["ended"] else "live"
    cells = [row["id"], row["line"], row["caller"], moment(row["began"]) or "", f"{ended - row['began']:.0f}"]
    return [*cells, str(row["turns"]), end, *([row["match"]] if matched else [])]


def show(call: CallId, *, json: Json = False) -> None:
    """Show everything that is known of a call, but for what was said."""
    from gateway.store import calls  # noqa: PLC0415 - heavy

    async def work(records: Records) -> dict[str, Any]:
        async with records.database.read() as connection:
            found = await calls.get_call(connection, await id_of(records, call))
        assert found is not None  # noqa: S101 - its id was found
        return found

    found = with_records(work)
    if json:
        print_line(_timed(found))
        return
    for name, value in _timed(found).items():
        if isinstance(value, list):
            for item in value:
                shown = ((key, _plain(each)) for key, each in item.items())
                typer.echo(f"{name}: " + ", ".join(f"{key} {each}" for key, each in shown if each))
        elif shown_value := _plain(value):
            typer.echo(f"{name}: {shown_value}")


def _plain(value: Any) -> str:
    """Return a value as people read it; nothing where there is nothing to say."""
    match value:
        case None | False:
            return ""
        case True:
            return "yes"
        case float():
            return f"{value:.4g}"
        case dict() | list():
            return jsonlib.dumps(value, ensure_ascii=False) if value else ""
    return str(value)


def transcript(
    call: CallId,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead.")] = None,
    json: Json = False,
) -> None:
    """Show who said what, as it was heard; what was not heard stands in brackets."""
    from gateway.store import calls  # noqa: PLC0415 - heavy

    async def work(records: Records) -> tuple[float, list[dict[str, Any]]]:
        call_id = await id_of(records, call)
        async with records.database.read() as connection:
            found = await calls.get_call(connection, call_id)
            turns = await calls.turns_of(connection, call_id)
        return (found or {})["began"], turns

    began, turns = with_records(work)
    if json:
        for turn in turns:
            print_line(_timed(turn))
        return
    text = "\n".join(_said(turn, began) for turn in turns)
    if output is None:
        typer.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")


def _said(turn: dict[str, Any], began: float) -> str:
    unheard = turn["generated"][len(turn["heard"]) :].strip()
    who = turn["agent"] or turn["speaker"]
    failed = "(not transcribed)" if turn["transcription_failed"] else ""
    words = " ".join(part for part in (turn["heard"], f"[{unheard}]" if unheard else "", failed) if part)
    return f"{turn['began'] - began:7.1f}  {who}: {words}"


def tail(
    *,
    line: Annotated[str, typer.Option("--line", "-l", help="Of this line.")] = "",
    json: Json = False,
) -> None:
    """Show calls as they begin and end, until interrupted."""
    import anyio  # noqa: PLC0415 - heavy

    from gateway.store.calls import CallFilter  # noqa: PLC0415 - heavy

    async def work(records: Records) -> None:
        told: dict[str, bool] = {}
        since = time.time() - 3600
        while True:
            for row in reversed(await _pages(records, CallFilter(line=line, since=since), 1000)):
                over = row["ended"] is not None
                if told.get(row["id"]) != over:
                    told[row["id"]] = over
                    _tell(row, json=json)
            await anyio.sleep(0.5)

    try:
        with_records(work)
    except KeyboardInterrupt:
        return


def _tell(row: dict[str, Any], *, json: bool) -> None:
    if json:
        print_line(_timed(row))
    else:
        typer.echo("  ".join(_cells(row, matched=False)))


def recording(
    call: CallId,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; by default ID.wav here.")] = None,
) -> None:
    """Copy a call's recording into a file; the audit takes note."""
    from gateway.cli.recorded import recordings  # noqa: PLC0415 - heavy
    from gateway.store import audit, calls  # noqa: PLC0415 - heavy

    async def work(records: Records) -> Path:
        call_id = await id_of(records, call)
        kept = recordings().find(call_id)
        if kept is None:
            raise typer.BadParameter("the call has no recording")
        async with records.database.write() as connection:
            found = await calls.get_call(connection, call_id)
            line = (found or {})["line"]
            await audit.note(connection, operator(), "recording-exported", subject=call_id, line=line)
        path = output or Path(f"{call_id}.wav")
        path.write_bytes(kept.read(0, kept.size))
        return path

    typer.echo(str(with_records(work)))


def end(call: CallId) -> None:
    """End a live call, after the agent's last word. Asks the node through its API, with a token of GATEWAY_TOKEN."""
    import httpx2  # noqa: PLC0415 - heavy

    async def work(records: Records) -> tuple[str, Any]:
        return await id_of(records, call), records.settings

    call_id, settings = with_records(work)
    if not settings.token:
        raise typer.BadParameter("set GATEWAY_TOKEN: a token of `gateway tokens create NAME --scope operate`")
    address = f"http://127.0.0.1:{settings.port}/api/v1/calls/{call_id}/end"
    try:
        answer = httpx2.post(address, headers={"Authorization": f"Bearer {settings.token}"}, timeout=10)
    except httpx2.TransportError as error:
        typer.echo(f"The gateway does not answer on port {settings.port}: {error}", err=True)
        raise typer.Exit(3) from error
    if answer.is_error:
        typer.echo(answer.json()["error"]["message"], err=True)
        raise typer.Exit(1)
    typer.echo(f"{call_id} ends after the agent's last word.")


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its moments in ISO 8601, to the millisecond."""
    moments = {"began", "ended", "answered", "at", "keep_until"}
    return {
        name: [_timed(item) for item in value]
        if isinstance(value, list) and all(isinstance(item, dict) for item in value)
        else moment(value, exact=True)
        if name in moments
        else value
        for name, value in row.items()
    }
