"""Digits that the caller presses, collected into what they meant to say."""

from __future__ import annotations

LONGEST_ENTRY = 64
"""Digits beyond this many in one entry are counted and ignored."""


class Keypad:
    """Collects one entry: digits, ended by ``#`` or by a pause (the call's business: it keeps the time)."""

    __slots__ = ("_digits", "ignored")

    def __init__(self) -> None:
        self._digits: list[str] = []
        self.ignored = 0

    def press(self, digit: str) -> str | None:
        """Take a digit; return the entry that it completes, if it does."""
        if digit == "#" and self._digits:
            return self.take()
        if len(self._digits) < LONGEST_ENTRY:
            self._digits.append(digit)
        else:
            self.ignored += 1
        return None

    def take(self) -> str:
        """Return what was pressed so far, and begin anew."""
        entry = "".join(self._digits)
        self._digits.clear()
        return entry
