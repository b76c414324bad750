"""``gateway purge``: what is kept no longer goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.operator import age, operator
from gateway.cli.records import Records, with_records
from gateway.cli.show import print_line

if TYPE_CHECKING:
    from gateway.store.retention import Purged


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(purge)


def purge(
    *,
    older_than: Annotated[str, typer.Option("--older-than", help="Remove whole calls, as old as 90d.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Remove transcripts and recordings that their lines keep no longer (a running gateway does so each hour)."""
    from gateway.store.retention import Retention  # noqa: PLC0415 - heavy

    seconds = age(older_than) if older_than else None
    if seconds is not None and not yes:
        typer.confirm(
            f"Remove all calls that ended more than {older_than} ago, but for those that are held?", abort=True
        )

    async def work(records: Records) -> Purged:
        retention = Retention(records.shelf(), records.keep())
        if seconds is not None:
            return await retention.older_than(seconds, by=operator())
        return await retention.run(by=operator())

    purged = with_records(work)
    counts = {"transcripts": purged.transcripts, "recordings": purged.recordings, "calls": purged.calls}
    if json:
        print_line(counts)
    else:
        typer.echo("Removed: " + ", ".join(f"{count} {what}" for what, count in counts.items()) + ".")
