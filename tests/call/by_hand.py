"""A call whose two sides are played by hand: time is given, the carrier plays and echoes without delay."""

from __future__ import annotations

from base64 import b64encode
from typing import TypeVar

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.commands import Clear, CloseStream, Command, Interrupt, Mark, Play
from gateway.call.policy import Policy
from gateway.call.state import State

C = TypeVar("C")
FRAME = "/" * 216  # 162 bytes less padding: what it holds does not matter here


def payload(seconds: float) -> tuple[str, int]:
    size = round(seconds * 8000)
    return b64encode(bytes(size)).decode(), size


class ByHand:
    """Feeds a call, keeps every command, and plays what it is told to play.

    The model's side answers an ``Interrupt`` at once, as the SDK does.

    Attributes:
        start_delay: seconds from the arrival of audio on an empty queue to its first sound.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.now = 0.0
        self.call = Call(policy or Policy("desk", greeting="Hello."), self.now)
        self.said: list[Command] = []
        self.stream = 0
        self.start_delay = 0.0
        self._frames = 0
        self._began = 0.0
        self._end = 0.0
        self._marks: list[tuple[float, str]] = []
        self._open = False

    # ---- What happens ------------------------------------------------------------------------------------------------

    def tell(self, event: e.Event) -> list[Command]:
        commands = self.call.handle(event, self.now)
        for command in commands:
            self._take(command)
        self.said += commands
        if Interrupt() in commands:
            self.tell(e.Interrupted())
        return commands

    def start(self) -> list[Command]:
        self.stream += 1
        self._began, self._frames, self._open = self.now, 0, True
        self._marks.clear()
        self._end = self.now
        return self.tell(e.StreamStarted(f"MZ{self.stream}", self.stream))

    def stop(self, cause: e.StopCause = "stop") -> list[Command]:
        self._open = False
        return self.tell(e.StreamStopped(self.stream, cause))

    def talk(self) -> None:
        """Get to the point where both sides are there and the greeting was asked for."""
        self.start()
        self.tell(e.AgentReady(1))
        self.tell(e.AgentChanged("", "desk"))

    def speak(self, seconds: float, item: str = "item", response: str = "r", text: str = "") -> list[Command]:
        """Have the agent generate an item at once, faster than it is heard; the response stays open."""
        commands = self.tell(e.ResponseStarted(response)) if self.call.floor.open_response != response else []
        text_, size = payload(seconds)
        commands = [*commands, *self.tell(e.AgentAudio(self.call.session, response, item, 0, text_, size))]
        if text:
            self.tell(e.AgentTranscribed(self.call.session, item, 0, text, final=True))
        return [*commands, *self.tell(e.AgentAudioDone(self.call.session, item, 0))]

    def answer(self, seconds: float, item: str = "item", response: str = "r", text: str = "") -> None:
        self.speak(seconds, item, response, text)
        self.tell(e.ResponseDone(response, "completed"))

    def caller_speaks(self, item: str = "said") -> list[Command]:
        return self.tell(e.SpeechStarted(item, self.appended_ms))

    def caller_stops(self, item: str = "said") -> list[Command]:
        return self.tell(e.SpeechStopped(item, self.appended_ms))

    @property
    def appended_ms(self) -> int:
        return self._frames * 20

    def run(self, seconds: float) -> None:
        """Let time pass: frames come, marks are echoed, deadlines are met, each at its own time."""
        until = self.now + seconds
        while True:
            frame_at = self._began + (self._frames + 1) * 0.02 if self._open else until + 1
            mark_at = self._marks[0][0] if self._marks and self._open else until + 1
            deadline = until + 1 if self.call.deadline is None else max(self.call.deadline, self.now)
            nearest = min(frame_at, mark_at, deadline)
            if nearest > until:
                break
            self.now = nearest
            if nearest == frame_at:
                self.tell(e.CallerAudio(FRAME, 160, self._frames * 20))
                self._frames += 1
            elif nearest == mark_at:
                self.tell(e.MarkReached(self._marks.pop(0)[1]))
            else:
                self.tell(e.TimePassed())
        self.now = until

    # ---- What came of it ---------------------------------------------------------------------------------------------

    def all(self, kind: type[C]) -> list[C]:
        return [command for command in self.said if isinstance(command, kind)]

    def is_in(self, state: State) -> bool:
        return self.call.state is state

    @property
    def ended(self) -> bool:
        return self.is_in(State.ENDED)

    def _take(self, command: Command) -> None:
        match command:
            case Play(_, size):
                starts = self.now if self._end >= self.now else self.now + self.start_delay
                self._end = max(self._end, starts) + size / 8000
            case Mark(name):
                self._marks.append((max(self._end, self.now), name))
            case Clear():
                self._end = self.now
                self._marks = [(self.now, name) for _, name in self._marks]
            case CloseStream():
                self._open = False
            case _:
                pass
