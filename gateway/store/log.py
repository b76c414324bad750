"""The log of each call: the record that everything else is derived from.

What its lines hold stands in :mod:`gateway.store.log_lines`.

Appending costs the call a tuple in a list, and for a frame of the caller, which is nearly all there is, a number in
one. Encoding and writing happen on the writer's own thread, a few times a second, in small portions: a thread that
computes for long would hold up the frames of all calls. A crash of the process loses at most that much, and never half
a line that a reader would trust.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import structlog

from gateway.audio.frames import BYTES_PER_MS
from gateway.call.commands import Command
from gateway.call.events import CallerAudio, Event
from gateway.call.playout import Placed, PlaybackState
from gateway.call.reason import EndReason
from gateway.call.turns import Turn
from gateway.store.feed import AUDIO, Feed
from gateway.store.log_lines import Header, encode, is_projected, path_of
from gateway.store.node import NodeLock

FLUSH_EVERY = 0.4
"""Seconds between two writes of a log."""
RUN = 20
"""Frames of the caller in one line, 0.4 s; a crash loses that much of the log, and what was not yet written."""
PORTION = 0.005
"""Seconds that the writer rests between portions, once it has done what is due by then."""


log = structlog.get_logger()

Told: TypeAlias = Callable[[str, bytes], None]
"""Gets a call's id and whole lines of its log as they are written, but for audio; called on the writer's thread."""


class Tap(Protocol):
    """Somebody who also gets what is written of a call, audio and all, on the writer's thread."""

    wants_audio: bool
    """Whether runs of the caller's frames are to bring their audio."""

    def take(self, lines: Sequence[tuple[Any, ...]]) -> None:
        """Take lines as they were appended; the last one of a call begins with ``closed``. Never raises.

        Who wants audio gets runs of frames as they grow, and whole when they have ended: the same frames again.
        """
        ...


class CallLog:
    """One call's log, as the call appends to it. Moments are seconds since the header's zero."""

    __slots__ = (
        *("_audio", "_beginning", "_count", "_file", "_header", "_lines", "_run", "_writer"),
        *("begun", "feed", "path", "taps"),
    )

    def __init__(self, path: Path, header: Header, writer: LogWriter, taps: Sequence[Tap] = ()) -> None:
        self.path = path
        self.taps = taps
        self.begun = False
        """Whether the header is in the file."""
        self._audio = any(tap.wants_audio for tap in taps)
        self.feed = Feed()
        self._count = 0
        self._header = ("header", header)
        self._lines: deque[tuple[Any, ...]] = deque([self._header])
        self._run: _Run | None = None
        self._file = -1
        self._beginning = threading.Lock()
        self._writer = writer
        writer.add(self)

    def append(self, now: float, event: Event, commands: list[Command], placed: tuple[Placed, ...] = ()) -> None:
        if type(event) is CallerAudio and len(commands) == 1 and not placed:
            self.frame(now, event.payload, event.size, event.timestamp_ms, heard=True)
            return
        self._count += 1
        if self._run is not None:
            self._end_run()
        self._lines.append(("event", self._count, now, event, commands, placed))
        if type(event) not in AUDIO:
            self.feed.take(self._count, now, event, commands)

    def frame(self, now: float, payload: str, size: int, timestamp_ms: int, *, heard: bool) -> None:
        """Append a frame of the caller that the agent was to hear, or not.

        It joins the run of those before it if it goes on where they end: all but the moment is known then.
        """
        if not heard:
            self.append(now, CallerAudio(payload, size, timestamp_ms), [])
            return
        self._count += 1
        run = self._run
        if run is None or run.next_ms != timestamp_ms or run.size != size:
            if run is not None:
                self._end_run()
            self._run = run = _Run(self._count, timestamp_ms, size)
        moments = run.moments
        moments.append(now)
        run.next_ms += run.step_ms
        if self._audio:
            run.payloads.append(payload)
        if len(moments) == RUN:
            self._end_run()

    def _end_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._lines.append(("frames", run.number, run.timestamp_ms, run.size, run.moments, run.payloads))

    def tracker_read(self, now: float, state: PlaybackState) -> None:
        self._end_run()
        self._count += 1
        self._lines.append(("tracker", self._count, now, state))

    def settled(self, now: float, turns: Iterable[Turn]) -> None:
        """Note turns that will hardly change any more; they must not be changed by anybody else."""
        self._end_run()
        self._lines += [("settled", now, turn) for turn in turns]

    def note(self, now: float, what: str, details: Mapping[str, Any]) -> None:
        self._end_run()
        self._lines.append(("note", now, what, details))

    def close(self, now: float, reason: EndReason, summary: Mapping[str, Any]) -> None:
        """Close the record; nothing is appended after it."""
        self._end_run()
        self._lines.append(("closed", now, reason, summary))
        self._writer.remove(self)
        self.feed.close(reason)

    def take(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Hand over what is not yet written, and as it stands the run that still goes on (the writer's side).

        The run comes once more as a line when it has ended; until then it is for those who want audio without delay.
        """
        run, lines = self._run, []
        with contextlib.suppress(IndexError):  # the call may append at the same time
            while True:
                lines.append(self._lines.popleft())
        if run is None or run is not self._run:  # what came after it is not among the lines
            return lines, []
        payloads = run.payloads[:]  # the call adds to a run's payloads last
        moments = run.moments[: len(payloads)]
        return lines, [("frames", run.number, run.timestamp_ms, run.size, moments, payloads)] if payloads else []

    def begin(self) -> None:
        """Have the header in the file, so that whoever comes after a crash knows of the call; from any thread.

        Raises:
            OSError: it could not be written.
        """
        with self._beginning:
            if self.begun:
                return
            if self._file < 0:
                self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            size = os.fstat(self._file).st_size
            # What a crash of the process before tore is no line; its end would swallow this one's beginning.
            torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"
            self._put(b"\n" * torn + encode(self._header) + b"\n")
            self.begun = True

    def write(self, text: bytes) -> None:
        """Add lines to the file, which stays open from the first time on (the writer's side).

        Raises:
            OSError: they could not be written; nothing of them is in the file.
        """
        self.begin()
        self._put(text)

    def _put(self, text: bytes) -> None:
        left = text
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            # Half a line in the middle would make the log unreadable once the disk has room again.
            os.ftruncate(self._file, os.fstat(self._file).st_size - (len(text) - len(left)))
            raise

    def let_go(self) -> None:
        """Close the file (the writer's side)."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class _Run:
    """Frames of the caller that follow each other without a gap."""

    __slots__ = ("moments", "next_ms", "number", "payloads", "size", "step_ms", "timestamp_ms")

    def __init__(self, number: int, timestamp_ms: int, size: int) -> None:
        self.number = number
        self.timestamp_ms = self.next_ms = timestamp_ms
        self.size = size
        self.step_ms = size // BYTES_PER_MS
        self.moments: list[float] = []
        self.payloads: list[str] = []


class LogWriter:
    """Writes the logs of all calls of this process, on a thread of its own.

    Args:
        folder: where; one file for each call.
        told: gets what was written, but for audio and marks.
    """

    def __init__(self, folder: Path, told: Told | None = None) -> None:
        self.folder = folder
        self._told = told
        self._node = NodeLock(folder)
        self._logs: set[CallLog] = set()
        self._closing: list[CallLog] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="call-logs", daemon=True)
        self.failures = 0

    def start(self) -> None:
        """Begin to write.

        Raises:
            OSError: the folder can't be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._node.take()
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._node.release()

    def open(self, header: Header, taps: Sequence[Tap] = ()) -> CallLog:
        path = path_of(self.folder, header.call_id)
        return CallLog(path, replace(header, node=self._node.node), self, taps)

    def add(self, call_log: CallLog) -> None:
        with self._lock:
            self._logs.add(call_log)

    def remove(self, call_log: CallLog) -> None:
        with self._lock:
            self._logs.discard(call_log)
            self._closing.append(call_log)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            with self._lock:
                logs, closing = [*self._logs], self._closing
                self._closing = []
            for call_log in closing:
                self._flush(call_log)
                call_log.let_go()
            for done, call_log in enumerate(logs, 1):
                self._flush(call_log)
                rest = began + FLUSH_EVERY * done / len(logs) - time.monotonic()
                if rest > PORTION:
                    self._stop.wait(rest)
            self._stop.wait(began + FLUSH_EVERY - time.monotonic())
        for call_log in (*self._logs, *self._closing):
            self._flush(call_log)
            call_log.let_go()

    def _flush(self, call_log: CallLog) -> None:
        lines, going_on = call_log.take()
        if lines:
            self._write(call_log, lines)
        for tap in call_log.taps:
            if told := [*lines, *going_on] if tap.wants_audio else lines:
                tap.take(told)

    def _write(self, call_log: CallLog, lines: list[tuple[Any, ...]]) -> None:
        encoded = [self._encode(call_log, line) for line in lines]
        path = call_log.path
        try:
            call_log.write(b"".join(text for text, line in zip(encoded, lines, strict=True) if line[0] != "header"))
        except OSError as error:
            # The call goes on without its record: a full disk must not end it (reliability N14).
            self.failures += 1
            log.error("call-log-not-written", path=str(path), error=str(error), lines=len(lines))  # noqa: TRY400
        if self._told is not None:
            projected = b"".join(text for text, line in zip(encoded, lines, strict=True) if _is_told(line))
            if projected:
                self._told(path.stem, projected)

    def _encode(self, call_log: CallLog, line: tuple[Any, ...]) -> bytes:
        try:
            return encode(line) + b"\n"
        except Exception:
            # A fault of ours in one line is none of the other lines', nor of the other calls' that this thread writes.
            self.failures += 1
            log.exception("line-not-logged", path=str(call_log.path), kind=line[0])
            return b""


def _is_told(line: tuple[Any, ...]) -> bool:
    return line[0] not in {"frames", "tracker"} and (line[0] != "event" or is_projected(line[3]))
