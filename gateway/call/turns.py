"""Who spoke when, what they said, what of it was heard, and how long the caller waited.

A turn is one uninterrupted contribution of one party. The caller's turns come from the model's voice detector and its
transcription, which arrives late and out of order; the agent's from the items that it generates and from the playout
ledger. All times are seconds of the call's ``now``.

A call of hours holds no more turns than one of minutes: those that can still change, and the newest few. The others are
on the record (:meth:`Turns.take_settled`), which has all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

FRAME_MS = 20.0
KEPT = 16
"""Turns that are held in any case, so that what still comes for them is put where it belongs."""
MOST = 64
"""Turns that are held at most, also where no transcription comes, or an item that was never sent does not end."""
WORDS = 8000
"""Characters of turns that are not held any more by which the conversation can still be told: nine minutes of it."""


@dataclass(slots=True)
class Turn:
    """One party's contribution.

    ``generated`` is all text; ``heard`` the part that reached the ear (an estimate: the API sends no word times, design
    rule 15), equal to ``generated`` for the caller. ``waited_sent`` and ``waited_heard`` are the seconds from the
    caller's last sound to the first audio of this answer sent to the carrier, and heard by the caller.
    """

    speaker: Literal["caller", "agent"]
    item_id: str
    began: float
    agent: str = ""
    ended: float | None = None
    generated: str = ""
    heard: str = ""
    generated_ms: float = 0.0
    heard_ms: float = 0.0
    cut: bool = False
    transcription_failed: bool = False
    waited_sent: float | None = None
    waited_heard: float | None = None

    @property
    def unheard(self) -> str:
        """What was generated and never reached the ear."""
        return self.generated[len(self.heard) :].strip()


class Turns:
    """The turns of a call that may still change, and the newest of the others."""

    __slots__ = ("_answered", "_by_item", "_past", "_unread", "_waiting_since", "gone", "settled")

    def __init__(self) -> None:
        self.gone = 0
        """How many turns are not held any more."""
        self.settled: dict[tuple[str, str], Turn] = {}
        """By item: turns that ended, or were changed after their end, since :meth:`take_settled` was asked last."""
        self._by_item: dict[tuple[str, str], Turn] = {}
        self._unread: set[str] = set()  # items of the caller whose transcription is still to come
        self._past = ""
        self._waiting_since: float | None = None
        self._answered: dict[str, float] = {}

    @property
    def held(self) -> list[Turn]:
        """The turns that are held, in the order in which they were begun."""
        return [*self._by_item.values()]

    def caller_began(self, item_id: str, at: float) -> None:
        self._open(Turn("caller", item_id, at))
        self._waiting_since = None

    def caller_ended(self, item_id: str, at: float) -> None:
        """Close a caller's turn; the wait for an answer begins with the last sound."""
        turn = self._by_item.get(("caller", item_id)) or self._open(Turn("caller", item_id, at))
        turn.ended = at
        self.settled[turn.speaker, item_id] = turn
        self._waiting_since = at

    def caller_said(self, item_id: str, text: str, at: float, *, final: bool = True, failed: bool = False) -> None:
        """Put a transcription where its speech was, whenever it comes."""
        turn = self._by_item.get(("caller", item_id)) or self._open(Turn("caller", item_id, at, ended=at))
        turn.transcription_failed = failed
        if final or failed:
            self._unread.discard(item_id)
        if not failed:
            turn.generated = text if final else turn.generated + text
            turn.heard = turn.generated
        if final or failed:
            self.settled[turn.speaker, item_id] = turn

    def agent_said(self, item_id: str, text: str, at: float, agent: str, *, final: bool) -> None:
        turn = self._by_item.get(("agent", item_id)) or self._open(Turn("agent", item_id, at, agent))
        turn.generated = text if final else turn.generated + text
        if not final:
            return
        turn.heard = estimate_heard(turn.generated, turn.generated_ms, turn.heard_ms)
        if turn.ended is not None:
            self.settled[turn.speaker, item_id] = turn

    def agent_sent(self, item_id: str, at: float, agent: str) -> None:
        """Note audio of an item leaving for the carrier; the first of an answer ends the caller's wait."""
        turn = self._by_item.get(("agent", item_id)) or self._open(Turn("agent", item_id, at, agent))
        if self._waiting_since is not None:
            turn.waited_sent = at - self._waiting_since
            self._answered[item_id] = self._waiting_since
            self._waiting_since = None

    def agent_heard(
        self, item_id: str, *, began: float | None, ended: float | None, heard_ms: float, generated_ms: float
    ) -> Turn | None:
        """Take the ledger's word on how much of an item reached the ear, and when; it may know better later."""
        turn = self._by_item.get(("agent", item_id))
        if turn is None:
            return None
        known = None if ended is None else replace(turn)
        turn.heard_ms, turn.generated_ms = heard_ms, generated_ms
        turn.heard = estimate_heard(turn.generated, generated_ms, heard_ms)
        if ended is not None:
            turn.ended = ended
            turn.cut = heard_ms < generated_ms - FRAME_MS
        if began is not None and item_id in self._answered:
            turn.waited_heard = began - self._answered[item_id]
        if known is not None and turn != known:
            self.settled[turn.speaker, item_id] = turn
        return turn

    def of(self, item_id: str) -> Turn | None:
        """Return the turn of an item, the agent's where both sides name one so."""
        return self._by_item.get(("agent", item_id)) or self._by_item.get(("caller", item_id))

    def take_settled(self) -> list[Turn]:
        """Return copies of the turns that are settled since this was asked last, for the record."""
        settled, self.settled = self.settled, {}
        return [replace(turn) for turn in settled.values()]

    def so_far(self) -> str:
        """Return the conversation as it was heard, for a model that has to be told of it."""
        return "\n".join(filter(None, (self._past, *map(_told, self._by_item.values()))))

    def _open(self, turn: Turn) -> Turn:
        self._let_go()
        self._by_item[turn.speaker, turn.item_id] = turn
        if turn.speaker == "caller":
            self._unread.add(turn.item_id)
        return turn

    def _let_go(self) -> None:
        """Make room for a turn: the oldest ones that are over go, and of too many that are not the oldest."""
        held = self._by_item
        if len(held) < KEPT:
            return
        over = [key for key, turn in held.items() if self._is_over(turn)]
        for key in over[: len(held) - KEPT + 1]:
            self._forget(key)
        if len(held) >= MOST:
            oldest = next(iter(held))
            self.settled[oldest] = held[oldest]  # as it stands: more will not be known
            self._forget(oldest)

    def _forget(self, key: tuple[str, str]) -> None:
        turn = self._by_item.pop(key)
        self.gone += 1
        if turn.speaker == "caller":
            self._unread.discard(turn.item_id)
        else:
            self._answered.pop(turn.item_id, None)
        self._past = "\n".join(filter(None, (self._past, _told(turn))))
        if len(self._past) > WORDS:
            self._past = self._past[-WORDS:].partition("\n")[2]  # whole turns

    def _is_over(self, turn: Turn) -> bool:
        """Whether a turn has ended, and all of its words are there."""
        return turn.ended is not None and (turn.speaker == "agent" or turn.item_id not in self._unread)


def _told(turn: Turn) -> str:
    return f"{turn.speaker}: {turn.heard}" if turn.heard else ""


def estimate_heard(text: str, generated_ms: float, heard_ms: float) -> str:
    """Return the words of ``text`` that fit into the heard part of its audio, in proportion.

    A word counts as heard when its middle was. Punctuation that follows the last heard word goes with it.
    """
    if generated_ms <= 0 or heard_ms <= 0:
        return ""
    if heard_ms >= generated_ms:
        return text
    reach = len(text) * heard_ms / generated_ms
    begun = text[: int(reach) + 1].rstrip()
    if not begun:
        return ""
    start = len(begun) - len(begun.rsplit(None, 1)[-1])  # of the last word that has begun; those before it were heard
    end = start + len(text[start:].split(None, 1)[0])
    return text[:end] if (start + end) / 2 <= reach else text[:start].rstrip()
