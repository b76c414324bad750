"""Where commands find what is known of a call: its log and its recording in the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gateway.cli.records import read_loosely

if TYPE_CHECKING:
    from gateway.store.recording.shelf import Recordings


def log_of(call: str) -> Path:
    """Return the log that is meant: a file, or a call by its id, by the first characters of it, or by its CallSid.

    Raises:
        typer.BadParameter: there is none, or there are several.
    """
    if Path(call).is_file():
        return Path(call)
    folder = read_loosely().data_dir / "calls"
    found = sorted(folder.glob(f"{call}*.jsonl")) if call.replace("-", "").isalnum() else []
    if not found and call.startswith("CA"):
        found = [path for path in folder.glob("*.jsonl") if _is_of(path, call)]
    if len(found) == 1:
        return found[0]
    if found:
        raise typer.BadParameter(f"{len(found)} calls begin with {call}: write more of the id", param_hint="CALL")
    raise typer.BadParameter(
        f"no log of a call {call} in {folder} (it goes when what was said is kept no longer, or the call is erased)",
        param_hint="CALL",
    )


def recordings() -> Recordings:
    """Return where recordings are."""
    from gateway.store.recording.shelf import Recordings  # noqa: PLC0415 - each command imports what it needs

    known = read_loosely()
    return Recordings(known.data_dir / "recordings", known.recordings_url)


def _is_of(path: Path, call_sid: str) -> bool:
    """Whether a log is that of a carrier's call: its first line says so."""
    with path.open("rb") as file:
        return f'"{call_sid}"'.encode() in file.readline()
