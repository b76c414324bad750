"""Runs a call's log through the call core again, on the clock of the log, and says what the core now decides otherwise.

With the policy that the call had, every event must lead to the very commands that the log holds. With another policy
(a changed line) the replay is a guess from the first difference on, as good as can be without the people of the call:
what caller, carrier and model did is given, deadlines come when the changed call wants them, and the echo of a mark
counts where the changed call has a mark in its place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.policy import Policy
from gateway.errors import LogError
from gateway.store.joined import parts
from gateway.store.log_lines import Entry, Header, Line, TrackerRead, named_commands
from gateway.store.story import Story, tell

SOON = 0.25
"""Seconds by which a deadline of the log may have come late: then it is the same one."""
STEP = 0.01
"""The least time, in seconds, between two deadlines that the log lacks: a call that wants one at once, again and again,
gets on all the same."""
_WORDS = 70
_AUDIO = ("Play", "Mark", "Hear")


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that came out otherwise: event ``number``, ``at`` seconds into the call."""

    number: int
    at: float
    event: str
    logged: Any
    replayed: Any


@dataclass(frozen=True, slots=True)
class Decided:
    """What one event led to, as the log has it and as it is now; ``number`` 0 is a deadline that the log lacks."""

    number: int
    at: float
    event: str
    logged: list[Any]
    replayed: list[Any]


@dataclass(slots=True)
class Turn:
    """The differences of one turn, as lines of a diff: ``-`` was decided then, ``+`` is decided now."""

    number: int
    who: str
    at: float
    lines: list[str]


@dataclass(slots=True)
class Comparison:
    """A whole replay: how many events, how many of them led to anything else at all, and the turns that differ."""

    events: int = 0
    different: int = 0
    first: float | None = None
    turns: list[Turn] = field(default_factory=list)


def replay(log: Iterable[Line], policy: Policy | None = None) -> Iterator[Difference]:
    """Yield every difference between what was decided and what this code (and ``policy``, if given) decides.

    Raises:
        LogError: the log does not begin with a header.
    """
    for decided in decide(log, policy):
        if decided.logged != decided.replayed:
            yield Difference(decided.number, decided.at, decided.event, decided.logged, decided.replayed)


def decide(log: Iterable[Line], policy: Policy | None = None) -> Iterator[Decided]:
    """Yield what every event led to, then and now.

    Raises:
        LogError: the log does not begin with a header.
    """
    lines = list(log)
    if not lines or not isinstance(lines[0], Header):
        raise LogError("the log does not begin with a header")
    base = 0
    for part in parts(lines):  # several, where another process took the call up: a call of its own, a little later
        header, last = part[0], 0
        assert isinstance(header, Header)  # noqa: S101 - a part begins with one
        shift = header.wall - lines[0].wall
        for decided in _decide(header, part, policy):
            last = decided.number or last
            moved = decided
            if shift or base:
                number = decided.number and decided.number + base
                moved = replace(decided, number=number, at=decided.at + shift)
            yield moved
        base += last


def _decide(header: Header, part: Iterable[Line], policy: Policy | None) -> Iterator[Decided]:
    timers = sorted(line.at for line in part if isinstance(line, Entry) and isinstance(line.event, e.TimePassed))
    again = _Again(policy or header.policy, guess=policy is not None and policy != header.policy, timers=timers)
    for line in part:
        match line:
            case Entry():
                yield from again.late(line.at)
                yield again.take(line)
            case TrackerRead(number, at, state) if not again.guess:
                yield Decided(number, at, "TrackerRead", [state], [again.call.playback(at)])
            case _:
                pass


class _Again:
    """The call once more."""

    def __init__(self, policy: Policy, *, guess: bool, timers: list[float]) -> None:
        self.call = Call(policy, 0.0)
        self.guess = guess
        self._timers = timers
        self._marks: dict[str, str] = {}
        """Marks of the log that may still be echoed, and those of the changed call in their places."""
        self._late = float("-inf")

    def late(self, until: float) -> Iterator[Decided]:
        """Let the deadlines come that the changed call has before a moment, and the log has not."""
        while self.guess and (deadline := self.call.deadline) is not None:
            at = max(deadline, self._late + STEP)
            if at >= until or self._comes(deadline):
                return
            self._late = at
            yield Decided(0, at, "TimePassed", [], self._handle(e.TimePassed(), at))

    def _comes(self, deadline: float) -> bool:
        """Whether the log has a deadline there too."""
        first = bisect_left(self._timers, deadline)
        return first < len(self._timers) and self._timers[first] <= deadline + SOON

    def take(self, entry: Entry) -> Decided:
        event, commands = entry.event, []
        if not self.guess:
            commands = self._handle(event, entry.at)
        elif not isinstance(event, e.MarkReached):
            commands = self._handle(event, entry.at)
            self._pair(entry.commands, commands)
        elif event.name in self._marks:
            commands = self._handle(replace(event, name=self._marks.pop(event.name)), entry.at)
        return Decided(entry.number, entry.at, type(event).__name__, entry.commands, commands)

    def _handle(self, event: e.Event, at: float) -> list[Any]:
        commands = self.call.handle(event, at)
        self.call.playout.placed.clear()
        return named_commands(commands)

    def _pair(self, logged: list[Any], replayed: list[Any]) -> None:
        """Remember which mark of the changed call stands where the log has one."""
        if any(name == "Clear" for name, _ in logged):
            self._marks.clear()  # what is echoed of these was thrown away, and says nothing of what is heard now
        self._marks.update(zip(_names(logged), _names(replayed), strict=False))


def _names(commands: Iterable[Any]) -> list[str]:
    return [fields["name"] for name, fields in commands if name == "Mark"]


# ---- For people -----------------------------------------------------------------------------------------------------


def compare(log: Iterable[Line], policy: Policy | None = None) -> Comparison:
    """Replay a log, and put what differs together by turn.

    Raises:
        LogError: the log does not begin with a header.
    """
    lines = list(log)
    story = tell(lines)
    comparison = Comparison()
    then: dict[int, list[str]] = {}
    now: dict[int, list[str]] = {}
    for decided in decide(lines, policy):
        comparison.events += decided.number > 0
        if decided.logged != decided.replayed:
            comparison.different += 1
            comparison.first = decided.at if comparison.first is None else comparison.first
        if decided.event == "TrackerRead":
            continue
        number = story.turn_at(decided.at) or 0
        for side, commands in ((then, decided.logged), (now, decided.replayed)):
            side.setdefault(number, [])
            told = ", ".join(_told(name, fields) for name, fields in commands if name not in _AUDIO)
            if told:
                side[number].append(f"{decided.at:7.2f} s  {_kebab(decided.event)}: {told}")
            if played := sum(fields["size"] for name, fields in commands if name == "Play"):
                _add_audio(side[number], played // 8)
    for number in sorted({*then, *now}):
        before, after = then.get(number, []), now.get(number, [])
        if before != after:
            comparison.turns.append(_turn(story, number, before, after))
    return comparison


def _add_audio(lines: list[str], milliseconds: int) -> None:
    """Add audio that was sent to the line before, where that is of audio too."""
    if lines and lines[-1].startswith("           audio: "):
        milliseconds += int(lines.pop().split()[1])
    lines.append(f"           audio: {milliseconds} ms sent")


def _turn(story: Story, number: int, before: list[str], after: list[str]) -> Turn:
    turn = story.turns[number - 1] if number else None
    who = (turn.agent or turn.speaker) if turn else "before anybody spoke"
    return Turn(number, who, turn.began if turn else 0.0, [*_diff(before, after)])


def _diff(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    for kind, first, last, begin, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (f"  {line}" for line in before[first:last])
        else:
            yield from (f"- {line}" for line in before[first:last])
            yield from (f"+ {line}" for line in after[begin:end])


def _told(name: str, fields: Mapping[str, Any]) -> str:
    """A command in a few words."""
    parts = []
    for key, value in fields.items():
        if key == "plan":
            parts.append(" then ".join(_kebab(verb) for verb, _ in value))
        elif isinstance(value, Mapping):
            parts.append(" ".join(str(each) for each in value.values()))
        elif value not in ("", None):
            parts.append(str(value))
    text = " ".join(parts)
    text = text if len(text) <= _WORDS else text[: _WORDS - 1] + "…"
    return _kebab(name) + (f" ({text})" if text else "")


def _kebab(name: str) -> str:
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-")
