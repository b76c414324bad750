"""What was found out about one thing, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "warning", "fault", "left-out"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's table. ``left-out`` says what was not looked at, and why."""

    subject: str
    state: State
    found: str
    remedy: str = ""


def ok(subject: str, found: str) -> Finding:
    return Finding(subject, "ok", found)


def fault(subject: str, found: str, remedy: str) -> Finding:
    return Finding(subject, "fault", found, remedy)


def warning(subject: str, found: str, remedy: str) -> Finding:
    return Finding(subject, "warning", found, remedy)


def left_out(subject: str, why: str, remedy: str = "") -> Finding:
    return Finding(subject, "left-out", why, remedy)


def words(error: BaseException) -> str:
    """Say a failed connection in words: ``Connection refused``."""
    said = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return said or type(error).__name__
