"""Calls for the doctor: the real core on a virtual clock, a caller with a voice, logs and recordings as files."""

import math
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gateway.audio.g711 import from_pcm
from gateway.call import commands as c
from gateway.call import events as e
from gateway.call.policy import Policy
from gateway.diagnosis.case import Case, case_of
from gateway.diagnosis.finding import Finding
from gateway.diagnosis.rules import diagnose
from gateway.diagnosis.sound import listen
from gateway.store.log import LogWriter
from gateway.store.log_lines import read_log
from gateway.store.recording.shelf import Recordings
from tests.store.drama import WAY, Drama

STEP = 0.02
VOICE = 0.2
"""How loud people and agents speak: -17 dB below full scale."""


@cache
def voice(loud: float, number: int = 0) -> bytes:
    """One frame of a voice: a tone whose loudness rises and falls as syllables do."""
    syllable = 0.35 + 0.65 * abs(math.sin(number * 0.37) * math.sin(number * 0.11))
    samples = [loud * syllable * math.sin(2 * math.pi * 300 * at / 8000) for at in range(160)]
    pcm = b"".join(round(each * 32767).to_bytes(2, "little", signed=True) for each in samples)
    return from_pcm(pcm)


@dataclass
class Scene(Drama):
    """A call whose caller has a voice, and hears an echo where ``echo`` is the share of the agent's sound."""

    loud: float = VOICE
    noise: float = 0.0005
    echo: float = 0.0
    speaking: bool = False
    counted: int = 0
    heard_by_caller: dict[int, float] = field(default_factory=dict)

    def spoken(self) -> str:
        self.counted += 1
        loud = self.loud if self.speaking else self.noise
        if self.echo and not self.speaking:
            loud = max(loud, self.echo * self.heard_by_caller.get(round(self.now / STEP) - 10, 0.0))
            return b64encode(voice(loud)).decode()
        return b64encode(voice(loud, self.counted if self.speaking else 0)).decode()

    def caller(self, text: str = "I have a question.", seconds: float = 1.0, **options: Any) -> str:
        self.speaking = True
        try:
            return super().caller(text, seconds, **options)
        finally:
            self.speaking = False

    def _perform(self, command: c.Command) -> None:
        """Note when the agent is heard at the caller's end, for the echo of it."""
        begin = max(self.idle_at, self.now + WAY)
        super()._perform(command)
        match command:
            case c.Play(_, size):
                steps = range(round(begin / STEP), round((begin + size / 8000) / STEP))
                self.heard_by_caller |= dict.fromkeys(steps, 0.5)
            case c.Clear():
                self.heard_by_caller = {at: loud for at, loud in self.heard_by_caller.items() if at * STEP <= self.now}
            case _:
                pass

    def leave(self) -> "Scene":
        """Let the call end from our side: the carrier does as it is told."""
        for _ in range(400):
            if self.over or any(
                type(each).__name__ in {"CloseStream", "EndCall", "Redirect"} for each in self.commands
            ):
                break
            self.run(0.05)
        self.run(0.1)
        self.do(e.StreamStopped(1, "closed"))
        self.run(0.1)
        self.do(e.ContinuationAsked("in-progress"))
        if not self.over:
            self.do(e.StatusChanged("completed"))
        return self


def start(**policy: Any) -> Scene:
    """A call that was picked up and greeted."""
    scene = opened(**policy)
    scene.agent("Hello, how can I help you today?", 2.0)
    return scene


def opened(**policy: Any) -> Scene:
    """A call that was picked up."""
    scene = Scene(Policy("desk", greeting="Hello.", **policy))
    scene.begin()
    return scene


def talk(scene: Scene, turns: int = 2) -> Scene:
    """Some good turns."""
    for number in range(turns):
        scene.run(0.8)
        scene.caller(f"Here is question number {number}.", 1.4)
        scene.agent(f"The answer to number {number} is here.", 2.5)
    return scene


def file_of(scene: Drama, folder: Path) -> Path:
    """Write a call's log, as the gateway does."""
    writer = LogWriter(folder)
    writer.start()
    log = writer.open(scene.header)
    scene.write(log)
    writer.stop()
    return log.path


def recorded(scene: Drama, folder: Path) -> Recordings:
    """Record a call, as the gateway does."""
    recordings = Recordings(folder)
    recordings.record(scene.header.call_id).take(scene.raw)
    return recordings


def case_from(scene: Drama, folder: Path, *, record: bool = False, **settings: object) -> Case:
    """Return a call's case from its files."""
    kept = recorded(scene, folder / "recordings").find(scene.header.call_id) if record else None
    heard = listen(kept) if kept is not None else None
    return case_of(read_log(file_of(scene, folder / "calls")), heard, settings)


def found(scene: Drama, folder: Path, *, record: bool = False, **settings: object) -> list[Finding]:
    return [*diagnose(case_from(scene, folder, record=record, **settings))]
