"""Which calls are wanted, as conditions on their table."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from gateway.store.tables import calls


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are wanted; what is empty or None does not matter. Moments are Unix seconds."""

    line: str = ""
    caller: str = ""
    called: str = ""
    result: str = ""
    reason: str = ""
    call_sid: str = ""
    live: bool | None = None
    since: float | None = None
    until: float | None = None
    status: str = ""
    words: str = ""
    """Words and ``"phrases"``, all of which were heard on the call or stand in its outcome."""


def conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    """Return the conditions that a call meets, but for its words."""
    exact = ("line", "caller", "called", "result", "reason", "call_sid", "status")
    found: list[ColumnElement[bool]] = [
        calls.c[name] == getattr(wanted, name) for name in exact if getattr(wanted, name)
    ]
    if wanted.live is not None:
        found.append(calls.c.ended.is_(None) if wanted.live else calls.c.ended.is_not(None))
    if wanted.since is not None:
        found.append(calls.c.id >= first_id(wanted.since))
    if wanted.until is not None:
        found.append(calls.c.id < first_id(wanted.until))
    return found


def first_id(moment: float) -> str:
    """Return the least id of a call that began at a moment (ids are UUIDs of version 7)."""
    digits = f"{max(0, min(int(moment * 1000), (1 << 48) - 1)):012x}"
    return f"{digits[:8]}-{digits[8:]}"
