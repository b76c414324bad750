"""Records one call: takes its log's lines, with their audio, and writes the tape down as it grows."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from gateway.audio.frames import SAMPLE_RATE, SILENCE_BYTE
from gateway.audio.wav import WavWriter
from gateway.call.commands import Command, Play
from gateway.call.events import CallerAudio, Event, StreamStarted, StreamStopped
from gateway.call.playout import Placed
from gateway.store.recording.tape import Tape

log = structlog.get_logger()

PAUSED, RESUMED, MASKED = "recording-paused", "recording-resumed", "recording-masked"
"""What notes in a log mean to its recording."""


class Recorder:
    """Writes one call's recording; the file is there, and playable, from the first frame on.

    Runs on the thread that writes logs, whenever it looks at this call's; so a crash loses what came since then, which
    is 0.4 s on a machine that keeps up (:data:`gateway.store.log.FLUSH_EVERY`). A disk that fails ends the recording,
    never the call.

    While it is written the file is locked (shared), so that no other process takes it for one that is over.

    Args:
        path: the file.
        done: told once when it is over, and whether the file could not be written; there may be none.
        began: asked where another process has begun the recording: when that was, in seconds of the call's clock here;
            None where nobody knows.
    """

    wants_audio = True

    def __init__(
        self, path: Path, done: Callable[[bool], None], began: Callable[[], float | None] = lambda: None
    ) -> None:
        self.path = path
        self.failed = False
        self._done = done
        self._began = began
        self._tape = Tape()
        self._written = 0
        self._file: BinaryIO | None = None
        self._writer: WavWriter | None = None
        self._before = 0  # samples of the recording before the tape: another process began it

    def take(self, lines: Sequence[tuple[Any, ...]]) -> None:
        """Take lines of the log in order (:class:`gateway.store.log.Tap`)."""
        if self.failed:
            return
        over = False
        try:
            for line in lines:
                if line[0] == "event":
                    _, _, now, event, commands, placed = line
                    if type(event) is CallerAudio and not placed:
                        self._tape.caller(event.timestamp_ms, event.payload, event.size, now)
                    else:
                        self._event(now, event, commands, placed)
                elif line[0] == "frames":
                    _, _, timestamp_ms, size, moments, payloads = line
                    self._tape.frames(timestamp_ms, payloads, size, moments[-1])
                elif line[0] == "note":
                    self._note(line[2], line[3])
                elif line[0] == "closed":
                    over = True
            if over or self._tape.end > self._written:
                self._write()
            if over:
                self._close()
        except (OSError, ValueError) as error:
            self.failed = True
            log.error("recording-not-written", path=str(self.path), error=str(error))  # noqa: TRY400 - no fault of ours
            self._close()

    def _event(self, now: float, event: Event, commands: list[Command], placed: tuple[Placed, ...]) -> None:
        tape = self._tape
        match event:
            case CallerAudio(payload, size, timestamp_ms):
                tape.caller(timestamp_ms, payload, size, now)
            case StreamStarted(_, stream):
                self._write()
                tape.stream_started(stream, now)
            case _:
                tape.passed(now)
        for news in placed:
            tape.placed(news)
        for command in commands:
            if isinstance(command, Play):
                tape.agent(command.payload, command.size)
        if isinstance(event, StreamStopped):
            tape.stream_stopped()

    def _note(self, what: str, details: dict[str, Any]) -> None:
        match what:
            case _ if what == PAUSED:
                self._tape.pause()
            case _ if what == RESUMED:
                self._tape.resume()
            case _ if what == MASKED:
                begin, end = self._tape.mask(details["seconds"])
                if self._writer is not None:
                    silence(self._writer, self._before + begin, min(self._before + end, self._writer.samples))

    def _write(self) -> None:
        if not self._tape.end:
            return
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("r+b" if self.path.exists() else "w+b", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_SH)
            self._writer = WavWriter(self._file)
            self._before = self._place()
        start = self._before + self._tape.start
        silence(self._writer, self._writer.samples, start)
        self._writer.put(start, *self._tape.window())
        self._tape.settle()
        self._written = self._tape.end

    def _place(self) -> int:
        """Return the sample of the recording at which the tape begins: behind what is there, and on its clock."""
        assert self._writer is not None  # noqa: S101 - it was just made
        there = self._writer.samples
        began = self._began() if there else None
        return there if began is None else max(there, round((self._tape.first - began) * SAMPLE_RATE))

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None
        self._done(self.failed)


def silence(writer: WavWriter, begin: int, end: int) -> None:
    """Lay silence over both channels, from one sample to another."""
    step = 1 << 16
    for at in range(begin, end, step):
        nothing = bytes([SILENCE_BYTE]) * min(step, end - at)
        writer.put(at, nothing, nothing)
