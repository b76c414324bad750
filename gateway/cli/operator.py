"""Who runs a command, and when things happened, as commands show it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import typer

_AGES = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0, "y": 365 * 86_400.0}


def operator() -> str:
    """Return who runs the command, as the audit names them."""
    import getpass  # noqa: PLC0415 - not for --help

    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return "cli:unknown"


def moment(seconds: float | None, *, exact: bool = False) -> str | None:
    """Return Unix seconds as ISO 8601 in UTC: whole ones, or exact to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds" if exact else "seconds")


def age(text: str) -> float:
    """Return the seconds of ``30m``, ``12h``, ``7d``, ``2w`` or ``1y``.

    Raises:
        typer.BadParameter: it is none of these.
    """
    match = re.fullmatch(r"(\d{1,6})([mhdwy])", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no span of time; write 30m, 12h, 7d, 2w or 1y")
    return int(match[1]) * _AGES[match[2]]
