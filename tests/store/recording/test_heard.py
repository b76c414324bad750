"""The recording against the truth: the carrier of the ledger's own test, which plays by a clock that nobody is told."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.audio.wav import read_channels
from gateway.call.events import CallerAudio, StreamStarted
from gateway.call.reason import EndReason
from gateway.store.recording.recorder import Recorder
from tests.call.test_playout_truth import World, payload

TOLERANCE_MS = 40
SPOKEN = 0x00
"""The agent's audio in this test; silence is 0xff."""


class Recorded(World):
    """A call of that world, recorded as the gateway would: lines of the log, taken four times a second."""

    def __init__(self, seed: int, path: Path) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.segments: list[list[float]] = []
        self.recorder = Recorder(path, lambda _failed: None)
        super().__init__(seed)
        self._line(StreamStarted("MZ1", 1))
        self._flush()

    def _line(self, event: object = None, commands: Iterable[object] = ()) -> None:
        placed = tuple(self.ledger.placed)
        self.ledger.placed.clear()
        self.lines.append(("event", 0, self.now, event, list(commands), placed))

    def _flush(self) -> None:
        self.recorder.take(self.lines)
        self.lines = []
        self.at(self.now + 0.25, self._flush)

    def _frame_arrives(self, timestamp: int) -> None:
        super()._frame_arrives(timestamp)
        self._line(CallerAudio(payload(160), 160, timestamp))

    def _perform(self, key, commands) -> None:
        self._line(None, commands)
        super()._perform(key, commands)

    def _echo_arrives(self, name: str, telling: bool) -> None:
        super()._echo_arrives(name, telling)
        self._line()

    def _note_truth(self) -> None:
        for piece in self.playing:
            end = piece.begin + piece.heard(self.clock(self.now)) / 8
            if end <= piece.begin:
                continue
            if self.segments and piece.begin - self.segments[-1][1] < 1:
                self.segments[-1][1] = max(end, self.segments[-1][1])
            else:
                self.segments.append([piece.begin, end])

    def _cleared(self) -> None:
        self._note_truth()
        super()._cleared()

    def clear(self):
        outcome = super().clear()
        self._line()
        return outcome

    def finish(self) -> None:
        self._note_truth()
        self.recorder.take([*self.lines, ("closed", self.now, EndReason("success", "x"), {})])


def stretches(channel: bytes) -> list[tuple[float, float]]:
    """Where the channel is not silent, in milliseconds; what fills up an item's last frame is no hole."""
    found: list[list[float]] = []
    for at, sample in enumerate(channel):
        if sample != SPOKEN:
            continue
        if found and at / 8 - found[-1][1] < 20:
            found[-1][1] = (at + 1) / 8
        else:
            found.append([at / 8, (at + 1) / 8])
    return [(begin, end) for begin, end in found]


def test_five_barge_ins_stand_where_the_caller_heard_them(tmp_path: Path) -> None:
    """Each segment begins within 40 ms of where it was heard, and ends where it was cut."""
    errors: list[float] = []
    for seed in range(12):
        path = tmp_path / f"{seed}.wav"
        world = Recorded(seed, path)
        world.watch(world.now + 0.3)
        world.answer(99)
        world.watch(world.now + 14)  # the greeting is heard to its end, and by then the delays are known
        for number in range(5):
            length = world.answer(number)
            world.watch(world.now + world.rng.uniform(0.4, min(length, 4.0)))
            world.clear()
            world.ledger.truncated()
            world.watch(world.now + world.rng.uniform(1.0, 2.0))
        world.finish()
        caller, agent = read_channels(path.read_bytes())
        assert abs(len(caller) / 8 - world.clock(world.now)) < 300
        truth, written = world.segments, stretches(agent)
        assert len(truth) == len(written) >= 6, (truth, written)
        for (begin, end), (was, until) in zip(truth, written, strict=True):
            errors += [abs(begin - was), abs(end - until)]
    errors.sort()
    print(f"segments of 12 calls: n={len(errors)} p50={errors[len(errors) // 2]:.0f} max={errors[-1]:.0f} ms")  # noqa: T201
    assert errors[-1] <= TOLERANCE_MS
