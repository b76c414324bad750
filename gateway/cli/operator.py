"""Who runs a command, and when things happened, as commands show it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime


def operator() -> str:
    """Return who runs the command, as the audit names them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return "cli:unknown"


def moment(seconds: float | None) -> str | None:
    """Return Unix seconds as ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
