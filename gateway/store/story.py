"""What happened on a call, told from its log: turns, tools, responses, waits, barge-ins, streams.

One reader for all who want to know: the picture and the doctor read a log from its file; metrics and traces follow the
lines of live calls. Moments are seconds since the call began.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from gateway.call import events as e
from gateway.call.reason import EndReason
from gateway.call.turns import Turn
from gateway.errors import LogError
from gateway.store.joined import on_one_clock
from gateway.store.log_lines import Closed, Entry, Header, Line, Note, Settled

Outcome: TypeAlias = Literal["ok", "failed", "timed-out", "cancelled", "refused", "unended"]
_FAILURES: tuple[tuple[str, Outcome], ...] = (
    ("The tool {} failed.", "failed"),
    ("The tool {} took longer than", "timed-out"),
    ("Tool '{}' timed out after", "timed-out"),  # the SDK's words, where the tool has a timeout of its own
    ("The tool {} was cancelled.", "cancelled"),
    ("The arguments were not a JSON object.", "refused"),
    ("The call is over.", "cancelled"),
    ("Too many tools are running.", "failed"),
)


@dataclass(slots=True)
class Tool:
    """One run of a tool."""

    tool: str
    arguments: str
    tool_call_id: str
    began: float
    ended: float | None = None
    output: str = ""


@dataclass(slots=True)
class Response:
    """One response of the model, from its start to its end."""

    response_id: str
    began: float
    ended: float | None = None
    status: str = ""
    code: str = ""
    first_audio: float | None = None
    audio_ms: float = 0.0
    usage: dict[str, int] = field(default_factory=dict)
    cut: bool = False


@dataclass(slots=True)
class Wait:
    """What a caller waited for between their last sound and the answer, in seconds.

    Attributes:
        item_id: the agent's item that answered.
        at: when its audio began to be sent.
        detection: until the model said that the caller had finished.
        gateway: until we asked for the answer, where that is ours to ask.
        tool: while tools ran.
        model: the rest until audio came.
        playout: from there until the caller heard it; None where that is not known.
    """

    item_id: str
    at: float
    detection: float
    gateway: float
    tool: float
    model: float
    playout: float | None = None

    @property
    def sent(self) -> float:
        """From the last sound to the first frame that was sent."""
        return self.detection + self.gateway + self.tool + self.model

    @property
    def total(self) -> float:
        """From the last sound to the first sound of the answer, or to its sending where no more is known."""
        return self.sent + (self.playout or 0.0)

    def parts(self) -> dict[str, float]:
        """Each part by name, the unknown left out."""
        parts = {"detection": self.detection, "gateway": self.gateway, "tool": self.tool, "model": self.model}
        return parts if self.playout is None else {**parts, "playout": self.playout}


@dataclass(slots=True)
class Stream:
    """One media stream of the call."""

    number: int
    began: float
    ended: float | None = None
    cause: str = ""
    frames: int = 0
    """Frames of the caller."""
    last_frame: float | None = None
    longest_gap: float = 0.0
    """The longest time without a frame, in seconds, by our own clock."""
    zero: float = math.inf
    """When the time 0 of its frames was, by the one that came fastest: where a recording of it begins."""


@dataclass(slots=True)
class _Asked:
    """A caller's turn that is over and not answered yet."""

    stopped: float
    asked: float | None = None


class Story:
    """One call, as far as it was told. Feed it every event, then the end."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.entries: list[Entry] = []
        """Every event but audio, from a file only."""
        self.turns: list[Turn] = []
        self.tools: list[Tool] = []
        self.responses: list[Response] = []
        self.waits: list[Wait] = []
        self.streams: list[Stream] = []
        self.handoffs: list[tuple[float, str, str]] = []
        self.barge_ins: list[float] = []
        self.notes: list[Note] = []
        self.model_ready: float | None = None
        self.first_audio: float | None = None
        """When the first of the agent's audio was sent."""
        self.usage: dict[str, int] = {}
        self.reason: EndReason | None = None
        self.ended: float | None = None
        self.last = 0.0
        """The moment of the newest line."""
        self._waiting: _Asked | None = None
        self._begun: dict[str, float] = {}

    # ---- Events -----------------------------------------------------------------------------------------------------

    def feed(self, at: float, event: e.Event, commands: Sequence[str]) -> None:
        """Take one event and the names of the commands that it led to."""
        self.last = at
        if type(event) is e.CallerAudio:
            self._frame(at, event.timestamp_ms)
            return
        if "Respond" in commands and self._waiting is not None and self._waiting.asked is None:
            self._waiting.asked = at
        if "Clear" in commands and isinstance(event, e.SpeechStarted | e.TimePassed | e.DigitPressed):
            self.barge_ins.append(at)
            for response in self.responses:
                response.cut = response.cut or (response.ended is None and response.first_audio is not None)
        match event:
            case e.AgentAudio():
                self._audio(at, event, played="Play" in commands)
            case e.SpeechStarted():
                self._waiting = None
            case e.SpeechStopped():
                self._waiting = _Asked(at)
            case e.ResponseStarted() | e.ResponseDone():
                self._response(at, event)
            case e.ToolStarted() | e.ToolEnded():
                self._tool(at, event)
            case e.StreamStarted(_, stream):
                self.streams.append(Stream(stream, at))
            case e.StreamStopped(stream, cause):
                for each in self.streams:
                    if each.number == stream and each.ended is None:
                        each.ended, each.cause = at, cause
            case e.AgentReady() if self.model_ready is None:
                self.model_ready = at
            case e.AgentChanged(before, after):
                self.handoffs.append((at, before, after))
            case _:
                pass

    def _frame(self, at: float, timestamp_ms: int) -> None:
        if not self.streams:
            return
        stream = self.streams[-1]
        stream.longest_gap = max(stream.longest_gap, at - (stream.last_frame or stream.began))
        stream.frames, stream.last_frame = stream.frames + 1, at
        stream.zero = min(stream.zero, at - timestamp_ms / 1000)

    def _response(self, at: float, event: e.ResponseStarted | e.ResponseDone) -> None:
        if isinstance(event, e.ResponseStarted):
            self.responses.append(Response(event.response_id, at))
            return
        response = next((each for each in self.responses if each.response_id == event.response_id), None)
        if response is None:
            response = Response(event.response_id, at)
            self.responses.append(response)
        response.ended, response.status, response.code, response.usage = at, event.status, event.code, event.usage
        for kind, amount in event.usage.items():
            self.usage[kind] = self.usage.get(kind, 0) + amount

    def _tool(self, at: float, event: e.ToolStarted | e.ToolEnded) -> None:
        if isinstance(event, e.ToolStarted):
            self.tools.append(Tool(event.tool, event.arguments, event.tool_call_id, at))
            return
        for tool in self.tools:
            same = tool.tool_call_id == event.tool_call_id if event.tool_call_id else tool.tool == event.tool
            if same and tool.ended is None:
                tool.ended, tool.output = at, event.output
                return

    def _audio(self, at: float, event: e.AgentAudio, *, played: bool) -> None:
        response = self.responses[-1] if self.responses else None
        if response is not None and response.response_id == event.response_id:
            response.first_audio = response.first_audio or at
            response.audio_ms += event.size / 8
        if not played:
            return
        if self.first_audio is None:
            self.first_audio = at
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        asked = waiting.stopped
        if self.header.policy.owns_responses and waiting.asked is not None:
            asked = waiting.asked
        tool = covered([(tool.began, tool.ended or at) for tool in self.tools], asked, at)
        self.waits.append(Wait(event.item_id, at, 0.0, asked - waiting.stopped, tool, at - asked - tool))

    # ---- What is known later ----------------------------------------------------------------------------------------

    def settle(self, turn: Turn) -> Wait | None:
        """Take a turn as the call's own books have it; returns the wait that it ended, where there was one."""
        wait = next((each for each in self.waits if each.item_id == turn.item_id), None)
        if wait is None or turn.waited_sent is None:
            return None
        # The call knows when the caller's last sound was; from then on is what detection took.
        wait.detection = max(turn.waited_sent - wait.gateway - wait.tool - wait.model, 0.0)
        if turn.waited_heard is not None:
            wait.playout = max(turn.waited_heard - turn.waited_sent, 0.0)
        return wait

    @property
    def zero(self) -> float:
        """When the call's recording begins."""
        first = self.streams[0] if self.streams else None
        return 0.0 if first is None else min(first.zero, first.began)

    def note(self, note: Note) -> None:
        self.notes.append(note)

    def forget(self) -> None:
        """Let go of what is over and will not be told of any more, for those who count as they follow a live call.

        What remains are the newest response, what is still open, and the tools of the answer that the caller waits for.
        """
        since = math.inf if self._waiting is None else self._waiting.stopped
        self.tools = [tool for tool in self.tools if tool.ended is None or tool.ended >= since]
        newest = self.responses[-1:]
        self.responses = [*(each for each in self.responses[:-1] if each.ended is None), *newest]
        self.barge_ins.clear()
        self.handoffs.clear()

    def tell_turns(self, turns: Iterable[Turn]) -> None:
        """Take all turns of the call, in whatever order."""
        self.turns = sorted(turns, key=lambda turn: turn.began)
        for turn in self.turns:
            self.settle(turn)

    @property
    def waited(self) -> Wait | None:
        """The longest wait."""
        return max(self.waits, key=lambda wait: wait.total, default=None)

    def turn_at(self, at: float) -> int | None:
        """Return the number, from 1, of the turn in which a moment lies, or before it."""
        return max((number for number, turn in enumerate(self.turns, 1) if turn.began <= at + 0.001), default=None)


def covered(spans: Iterable[tuple[float, float]], begin: float, end: float) -> float:
    """Seconds between two moments that are covered by spans, which may overlap."""
    total, reach = 0.0, begin
    for first, last in sorted(spans):
        total += max(min(last, end) - max(first, reach), 0.0)
        reach = max(reach, min(last, end))
    return total


def tell(lines: Iterable[Line]) -> Story:
    """Return the story of a call from the lines of its log.

    Raises:
        LogError: the log does not begin with a header.
    """
    whole = on_one_clock(lines)
    header = next(whole, None)
    if not isinstance(header, Header):
        raise LogError("the log does not begin with a header")
    story = Story(header)
    settled: dict[tuple[str, str], Turn] = {}
    for line in whole:
        match line:
            case Entry():
                story.feed(line.at, line.event, [name for name, _ in line.commands])
                if not isinstance(line.event, e.CallerAudio):
                    story.entries.append(line)
            case Note():
                story.note(line)
            case Settled(_, turn):
                settled[turn.speaker, turn.item_id] = turn
            case Closed(at, reason, _, turns):
                settled |= {(turn.speaker, turn.item_id): turn for turn in turns}
                story.ended, story.reason = at, reason
                story.last = max(story.last, at)
            case _:
                pass
    story.tell_turns(settled.values())
    return story


def outcome(tool: Tool) -> Outcome:
    """Say how a run of a tool ended. The agent is told of failures in sentences of ours; all else is a result."""
    if tool.ended is None:
        return "unended"
    for begins, how in _FAILURES:
        if tool.output.startswith(begins.format(tool.tool)):
            return how
    return "refused" if tool.output.endswith("Correct the arguments and try again.") else "ok"


def names_of(commands: Iterable[Any]) -> list[str]:
    """The names of commands, as a log has them."""
    return [type(command).__name__ for command in commands]
