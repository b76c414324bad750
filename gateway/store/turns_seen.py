"""How many turns a call had, and the longest of its waits, from turns that are told one by one and corrected later."""

from __future__ import annotations

from array import array

from gateway.call.turns import MOST, Turn


class TurnsSeen:
    """The turns of one call that were told; it holds eight bytes of each, and the waits of the newest."""

    __slots__ = ("_items", "_longest", "_waits")

    def __init__(self) -> None:
        self._items = array("q")
        self._waits: dict[str, float | None] = {}
        self._longest: float | None = None  # of turns that are not corrected any more

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._items)

    @property
    def slowest_answer(self) -> float | None:
        """The longest that the caller waited for an answer, in seconds; None where nobody waited."""
        return _longest(self._longest, *self._waits.values())

    def take(self, turn: Turn) -> None:
        """Take a turn as it stands now."""
        item = hash(turn.item_id)
        if item not in self._items:
            self._items.append(item)
        self._waits[turn.item_id] = turn.waited_heard or turn.waited_sent
        if len(self._waits) > MOST:
            self._longest = _longest(self._longest, self._waits.pop(next(iter(self._waits))))


def _longest(*waits: float | None) -> float | None:
    return max((wait for wait in waits if wait is not None), default=None)
