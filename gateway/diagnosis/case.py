"""One call as the doctor's rules see it: its story, when the agent was audible, and how its audio was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.audio.frames import BYTES_PER_MS
from gateway.call import events as e
from gateway.call.policy import Policy
from gateway.call.turns import Turn
from gateway.diagnosis.finding import Code, Finding
from gateway.diagnosis.sound import Sound
from gateway.store.joined import on_one_clock
from gateway.store.log_lines import Entry, Line
from gateway.store.story import Story, tell

DEPARTING = frozenset({"CloseStream", "EndCall", "Redirect"})
"""Commands by which we leave the caller."""
_JOINED = 0.05
_GAP = 1.0
_BY_US = frozenset({"max-duration", "silence", "drained"})


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the call, in seconds; of the agent's audio, with its item (empty: a clip)."""

    begin: float
    end: float
    item_id: str = ""

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(slots=True)
class Frames:
    """How the caller's frames came: where there were none for over a second, and how late they were at most."""

    gaps: list[Span] = field(default_factory=list)
    late: float = 0.0
    """Seconds by which a frame came later than the fastest one, beside its own clock."""
    late_at: float = 0.0
    _last: float | None = None
    _fastest: float = float("inf")

    def watch(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Pass lines on, and look at the frames among them."""
        for line in lines:
            if isinstance(line, Entry):
                if type(line.event) is e.CallerAudio:
                    self._frame(line.at, line.event.timestamp_ms)
                elif isinstance(line.event, e.StreamStarted):
                    self._last, self._fastest = line.at, float("inf")
                elif isinstance(line.event, e.StreamStopped):
                    self._end(line.at)
            yield line

    def _frame(self, at: float, timestamp_ms: int) -> None:
        offset = at - timestamp_ms / 1000
        self._fastest = min(self._fastest, offset)
        if offset - self._fastest > self.late:
            self.late, self.late_at = offset - self._fastest, at
        self._end(at)
        self._last = at

    def _end(self, at: float) -> None:
        if self._last is not None and at - self._last >= _GAP:
            self.gaps.append(Span(self._last, at))
        self._last = None


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that rules look at.

    Attributes:
        story: what happened.
        frames: how the caller's audio came.
        played: when the agent, or a clip, was audible, as far as what was sent tells; without the way to the ear.
        talks: the stretches in which caller and agent could talk: each stream, until we left it.
        sound: of the recording, where there is one.
        settings: what the line's files say, by key, where that is known.
    """

    story: Story
    frames: Frames
    played: tuple[Span, ...]
    talks: tuple[Span, ...]
    sound: Sound | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        return self.story.header.policy

    @property
    def entries(self) -> Sequence[Entry]:
        return self.story.entries

    @property
    def reason(self) -> str:
        """Why the call ended, in the words of the record; empty while it lives."""
        return self.story.reason.reason if self.story.reason is not None else ""

    @property
    def caller_turns(self) -> list[Turn]:
        return [turn for turn in self.story.turns if turn.speaker == "caller"]

    @property
    def agent_turns(self) -> list[Turn]:
        return [turn for turn in self.story.turns if turn.speaker == "agent"]

    def turn(self, item_id: str, speaker: Literal["caller", "agent"] = "agent") -> Turn | None:
        """Return the turn of an item."""
        return next((turn for turn in self.story.turns if (turn.item_id, turn.speaker) == (item_id, speaker)), None)

    def cuts(self) -> list[Entry]:
        """The moments at which the caller's speech or keys cut the agent short while it was heard."""
        return [entry for entry in self.entries if _cuts(entry)]

    def last_audible(self) -> float | None:
        """When the agent was last heard."""
        return self.played[-1].end if self.played else None

    def asked_to_leave(self) -> float | None:
        """When it was decided to hang up, or to transfer the caller; None where that was not our doing."""
        for entry in self.entries:
            if isinstance(entry.event, e.HangUpAsked | e.TransferAsked):
                return entry.at
        return self.departed() if self.reason in _BY_US else None

    def departed(self) -> float | None:
        """When we left the caller."""
        return next((entry.at for entry in self.entries if _departs(entry)), None)

    def finding(
        self, code: Code, at: float, seen: str, change: str, *settings: str, words: str = "", turn: Turn | None = None
    ) -> Finding:
        """Return a finding, in the turn where its moment is unless it is told."""
        number = self.story.turn_at(at) if turn is None else self.story.turns.index(turn) + 1
        return Finding(code, round(at, 3), number, seen, change, settings, words)


def case_of(lines: Iterable[Line], sound: Sound | None = None, settings: Mapping[str, object] | None = None) -> Case:
    """Return the case of a call from the lines of its log.

    Raises:
        LogError: the log does not begin with a header, or can't be read.
    """
    frames = Frames()
    story = tell(frames.watch(on_one_clock(lines)))
    return Case(story, frames, _played(story.entries), _talks(story), sound, settings or {})


def _cuts(entry: Entry) -> bool:
    names = {name for name, _ in entry.commands}
    return {"Clear", "Interrupt"} <= names and isinstance(entry.event, e.SpeechStarted | e.TimePassed | e.DigitPressed)


def _departs(entry: Entry) -> bool:
    return any(name in DEPARTING for name, _ in entry.commands)


def _played(entries: Iterable[Entry]) -> tuple[Span, ...]:
    """When what was sent is audible: one after the other, until it is cleared or its stream ends."""
    spans: list[Span] = []

    def cut(at: float) -> None:
        while spans and spans[-1].begin >= at:
            spans.pop()
        if spans and spans[-1].end > at:
            spans[-1] = Span(spans[-1].begin, at, spans[-1].item_id)

    for entry in entries:
        if isinstance(entry.event, e.StreamStopped | e.StreamStarted):
            cut(entry.at)
        item_id = entry.event.item_id if isinstance(entry.event, e.AgentAudio) else ""
        for name, fields in entry.commands:
            if name == "Clear":
                cut(entry.at)
            elif name == "Play":
                begin = max(entry.at, spans[-1].end if spans else 0.0)
                end = begin + fields["size"] / BYTES_PER_MS / 1000
                if spans and spans[-1].item_id == item_id and begin - spans[-1].end < _JOINED:
                    spans[-1] = Span(spans[-1].begin, end, item_id)
                else:
                    spans.append(Span(begin, end, item_id))
    return tuple(spans)


def _talks(story: Story) -> tuple[Span, ...]:
    talks = []
    for stream in story.streams:
        end = stream.ended if stream.ended is not None else story.last
        left = min(
            (entry.at for entry in story.entries if stream.began <= entry.at <= end and _departs(entry)), default=end
        )
        talks.append(Span(stream.began, left))
    return tuple(talks)
