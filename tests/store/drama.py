"""Calls on a virtual clock: the real core, a carrier that plays what it gets, and whoever a test wants to speak."""

from base64 import b64encode
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gateway.call import commands as c
from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.policy import Policy
from gateway.store.log import CallLog
from gateway.store.log_lines import Closed, Entry, Header, Line, Note, Settled, named_commands

WAY = 0.06
"""Seconds from the gateway to the carrier, and back."""
FAST = 5.0
"""How many times faster than speech the model makes audio."""
USAGE = {
    "input_tokens": 200,
    "output_tokens": 100,
    "input_audio_tokens": 150,
    "output_audio_tokens": 80,
    "cached_tokens": 50,
}


@cache
def sound(size: int, value: int = 0x10) -> str:
    return b64encode(bytes([value]) * size).decode()


@dataclass
class Drama:
    """One call. Times are seconds since its webhook."""

    policy: Policy = field(default_factory=lambda: Policy("desk", greeting="Hello."))
    frames: bool = True
    echoes: bool = True
    stop_at_clear: bool = True
    header: Header = field(init=False)
    lines: list[Line] = field(init=False)
    raw: list[tuple[Any, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.header = Header("0193-call", "CA1", "desk", "hash", "1", 1_700_000_000.0, 0.0, self.policy, {})
        self.lines, self.raw = [self.header], [("header", self.header)]
        self.call = Call(self.policy, 0.0)
        self.now, self.number = 0.0, 0
        self.frame_at: float | None = None
        self.began = 0.0
        self.idle_at = 0.0
        self.marks: list[tuple[float, str]] = []
        self.items = self.responses = 0
        self.commands: list[c.Command] = []
        self.over = False

    def do(self, event: e.Event) -> list[c.Command]:
        """Let something happen now."""
        if self.over:
            return []
        self.number += 1
        commands = self.call.handle(event, self.now)
        placed = tuple(self.call.playout.placed)
        self.call.playout.placed.clear()
        self.lines.append(Entry(self.number, self.now, event, named_commands(commands), placed))
        self.raw.append(("event", self.number, self.now, event, commands, placed))
        self.commands += commands
        settled = self.call.turns.take_settled()
        self.lines += [Settled(self.now, turn) for turn in settled]
        self.raw += [("settled", self.now, turn) for turn in settled]
        for command in commands:
            self._perform(command)
        return commands

    def _perform(self, command: c.Command) -> None:
        match command:
            case c.Play():
                self.idle_at = max(self.idle_at, self.now + WAY) + command.size / 8000
            case c.Mark():
                if self.echoes:
                    self.marks.append((max(self.idle_at, self.now + WAY) + WAY, command.name))
            case c.Clear():
                self.idle_at = self.now + WAY
                self.marks = [(self.now + 2 * WAY, name) for _, name in self.marks]
            case c.Finish(reason):
                self.lines.append(Closed(self.now, reason, dict(self.call.usage), tuple(self.call.turns.held)))
                usage = {"usage": self.call.usage, "turns": self.call.turns.held}
                self.raw.append(("closed", self.now, reason, usage))
                self.over = True
            case _:
                pass

    def note(self, what: str, **details: Any) -> None:
        self.lines.append(Note(self.now, what, details))
        self.raw.append(("note", self.now, what, details))

    def write(self, log: CallLog) -> None:
        """Append all of the call to a log, as the gateway does."""
        for line in self.raw:
            match line:
                case ("event", _, now, event, commands, placed):
                    log.append(now, event, commands, placed)
                case ("settled", now, turn):
                    log.settled(now, [turn])
                case ("note", now, what, details):
                    log.note(now, what, details)
                case ("closed", now, reason, summary):
                    log.close(now, reason, summary)

    def run(self, seconds: float) -> None:
        """Let time pass: frames, echoes of marks, deadlines."""
        until = self.now + seconds
        while not self.over:
            due = [(until, "end", "")]
            if self.frame_at is not None and self.frames:
                due.append((self.frame_at, "frame", ""))
            due += [(at, "mark", name) for at, name in self.marks[:1]]
            if self.call.deadline is not None:
                due.append((self.call.deadline, "time", ""))
            at, what, name = min(due, key=lambda each: each[0])
            self.now = max(self.now, at)
            match what:
                case "end":
                    return
                case "frame":
                    assert self.frame_at is not None
                    self.frame_at += 0.02
                    stamp = round((self.now - self.began) * 1000 / 20) * 20 - 20
                    self.do(e.CallerAudio(self.spoken(), 160, max(stamp, 0)))
                case "mark":
                    self.marks.pop(0)
                    self.do(e.MarkReached(name))
                case _:
                    self.do(e.TimePassed())

    def spoken(self) -> str:
        """What the caller's next frame holds."""
        return sound(160, 0xFF)

    # ---- Scenes -----------------------------------------------------------------------------------------------------

    def begin(self, *, ready: float = 0.5, stream: float = 0.2) -> "Drama":
        """The stream starts, and the model is ready (``ready`` seconds later)."""
        self.run(stream)
        self.do(e.StreamStarted("MZ1", 1))
        self.began, self.frame_at = self.now, self.now + 0.02
        self.run(ready)
        self.do(e.AgentReady(1))
        self.do(e.AgentChanged("", "reception"))
        return self

    def agent(
        self, text: str, seconds: float = 2.0, *, think: float = 0.4, status: str = "completed", code: str = "",
        heard_out: bool = True, audio: bool = True, usage: dict[str, int] | None = None, value: int = 0x10,
    ) -> str:  # fmt: skip
        """The agent answers; by default until the caller has heard it all."""
        self.responses += 1
        self.items += 1
        response, item = f"resp{self.responses}", f"item{self.items}"
        self.do(e.ResponseStarted(response))
        self.run(think)
        left = round(seconds * 8000) if audio else 0
        while left > 0:
            size = min(left, 4000)
            left -= size
            self.do(e.AgentAudio(1, response, item, 0, sound(size, value), size))
            self.run(size / 8000 / FAST)
        self.do(e.AgentTranscribed(1, item, 0, text, final=True))
        if audio:
            self.do(e.AgentAudioDone(1, item, 0))
        self.do(e.ResponseDone(response, status, code, USAGE if usage is None else usage))
        if heard_out:
            self.run(max(self.idle_at - self.now, 0) + 0.3)
        return item

    def caller(
        self, text: str = "I have a question.", seconds: float = 1.0, *, detection: float = 0.5, failed: bool = False
    ) -> str:
        """The caller speaks; the model notices the end ``detection`` seconds after the last sound."""
        self.items += 1
        item = f"item{self.items}"
        self.run(0.1)
        begun = self._input_ms()
        self.do(e.SpeechStarted(item, begun - 100))
        self.run(seconds - 0.1 + detection)
        self.do(e.SpeechStopped(item, self._input_ms() - round((detection - self.policy.end_of_speech) * 1000)))
        self.do(e.CallerTranscribed(item, "" if failed else text, final=True, failed=failed))
        return item

    def _input_ms(self) -> int:
        return round((self.now - self.began) * 1000)

    def tool(
        self, name: str = "find_order", seconds: float = 0.5, output: str = "shipped", *, ends: bool = True
    ) -> None:
        call_id = f"call{self.number}"
        self.responses += 1
        self.do(e.ResponseStarted(f"resp{self.responses}"))
        self.do(e.ResponseDone(f"resp{self.responses}", "completed", "", USAGE))
        self.do(e.ToolStarted(name, "{}", call_id))
        self.run(seconds)
        if ends:
            self.do(e.ToolEnded(name, output, call_id))

    def hang_up(self) -> list[Line]:
        """The caller hangs up."""
        self.run(0.5)
        self.do(e.StreamStopped(1, "stop"))
        self.run(0.1)
        self.do(e.StatusChanged("completed"))
        return self.lines


def healthy(turns: int = 3, **policy: Any) -> Drama:
    """A call in which everything is as it should be."""
    drama = Drama(Policy("desk", greeting="Hello.", **policy)).begin()
    drama.agent("Hello, how can I help you today?", 2.0)
    for number in range(turns):
        drama.run(0.8)
        drama.caller(f"Question number {number}, please.", 1.2)
        drama.agent(f"The answer to number {number} is here.", 2.5)
    return drama
