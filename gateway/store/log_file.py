"""What is added to a call's log after its own process is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.errors import LogError
from gateway.store.log_lines import Closed, encode, path_of

_LONGEST_NOTE = 1 << 16


def append_note(folder: Path, call_id: str, at: float, what: str, details: Mapping[str, Any]) -> bytes:
    """Add a note to a log that is closed; return the line.

    Args:
        folder: that of the logs.
        call_id: the call.
        at: seconds since the call's zero.
        what: what the note is about.
        details: plain JSON.

    Raises:
        LogError: the log is gone or can't be written.
    """
    line = encode(("note", at, what, details)) + b"\n"
    _append(path_of(folder, call_id), line)
    return line


def ends_with_note(path: Path) -> bool:
    """Say whether the last line of a log that is closed is a note; false where there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LONGEST_NOTE))
            return file.read().rstrip(b"\n").rpartition(b"\n")[2].startswith(b'["n"')
    except OSError:
        return False


def append_closed(path: Path, closed: Closed, cost: Mapping[str, Any] | None = None) -> None:
    """Close a log whose process did not live to do so, with a note of what the call cost where that is known.

    Raises:
        LogError: the log is gone or can't be written.
    """
    summary = {"usage": closed.usage, "turns": closed.turns}
    lines = [] if cost is None else [encode(("note", closed.at, "cost", cost))]
    lines.append(encode(("closed", closed.at, closed.reason, summary)))
    _append(path, b"".join(line + b"\n" for line in lines))


def _append(path: Path, line: bytes) -> None:
    try:
        with path.open("r+b") as file:
            whole = file.seek(0, 2)
            if whole:
                file.seek(whole - 1)
                # What a crash tore is no line; its end would swallow this one's beginning.
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from error
