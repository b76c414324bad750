"""The log of each call: the record that everything else is derived from.

One file of JSON lines per call. The first line is the header: schema, call, hash of the configuration's snapshot,
package version, both clocks at zero, the policy. Then one line for each event in the order in which the call took it,
with its number, its moment (seconds since zero) and the commands that it led to, so that a replay can reproduce them.
Audio stands as its size, with what the ledger learned of where it was heard, which places it in the recording (see
:mod:`gateway.store.recording.tape`); secrets are masked. Between them stand the turns as they settle and notes of what
other parts know of the call. A line closes the record; only notes come after it.

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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
import structlog

from gateway.audio.frames import BYTES_PER_MS
from gateway.call import events as events_module
from gateway.call.commands import Command, Hear, Play
from gateway.call.events import (
    AgentAudio,
    AgentAudioDone,
    AgentTranscribed,
    CallerAudio,
    CallerTranscribed,
    Event,
    MarkReached,
    ResponseStarted,
)
from gateway.call.playout import Placed, PlaybackState
from gateway.call.policy import Policy
from gateway.call.reason import EndReason
from gateway.call.turns import Turn
from gateway.errors import LogError
from gateway.store.feed import AUDIO, Feed
from gateway.store.node import NodeLock

SCHEMA = 1
FLUSH_EVERY = 0.25
"""Seconds between two writes of a log."""
RUN = 20
"""Frames of the caller in one line, 0.4 s; a crash loses that much, and what was not yet written."""
PORTION = 0.005
"""Seconds that the writer rests between portions, once it has done what is due by then."""
_MASKED = ("CallToken", "token")


def _plain(value: Any) -> Any:
    """Turn what msgspec does not know into what it does: read-only mappings."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a log can't hold a {type(value).__name__}")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
log = structlog.get_logger()


def _encoded(line: tuple[Any, ...]) -> bytes:
    try:
        return _encoder.encode(line)
    except UnicodeEncodeError:  # halves of surrogate pairs: a model or a user's tool may give what is no text
        return _encoder.encode(_mended(msgspec.to_builtins(line, enc_hook=_plain)))


def _mended(value: Any) -> Any:
    """Return plain JSON whose texts are texts."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_mended(key): _mended(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_mended(inner) for inner in value]
    return value


@dataclass(frozen=True, slots=True)
class Header:
    """What a log begins with. ``wall`` is Unix time at ``zero``, the monotonic moment that offsets count from."""

    call_id: str
    call_sid: str
    line: str
    snapshot: str
    version: str
    wall: float
    zero: float
    policy: Policy
    incoming: dict[str, str]
    account_sid: str = ""
    caller: str = ""
    called: str = ""
    direction: str = "inbound"
    node: str = ""
    """The process that writes the log: see :mod:`gateway.store.node`."""
    keep_transcript: float | None = None
    """Seconds after the end of the call for which the line keeps what was said; None keeps it."""
    keep_recording: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it was taken, and the commands that it led to."""

    number: int
    at: float
    event: Event
    commands: list[Any]
    placed: tuple[Placed, ...] = ()


@dataclass(frozen=True, slots=True)
class TrackerRead:
    """The SDK asked what the ear is at, and this is what it was told."""

    number: int
    at: float
    state: PlaybackState


@dataclass(frozen=True, slots=True)
class Settled:
    """A turn as it stands now: it has ended, or was changed after its end."""

    at: float
    turn: Turn


@dataclass(frozen=True, slots=True)
class Note:
    """Something that befell the call's record, not the call: ``recording-paused``, ``outcome`` and the like.

    Notes may follow the end.
    """

    at: float
    what: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of the record, with what the call came to."""

    at: float
    reason: EndReason
    usage: dict[str, int] = field(default_factory=dict)
    turns: tuple[Turn, ...] = ()


Line: TypeAlias = Header | Entry | TrackerRead | Settled | Note | Closed
"""What a log holds."""
Told: TypeAlias = Callable[[str, bytes], None]
"""Gets a call's id and whole lines of its log as they are written, but for audio; called on the writer's thread."""


class Tap(Protocol):
    """Somebody who also gets what is written of a call, audio and all, on the writer's thread."""

    wants_audio: bool
    """Whether runs of the caller's frames are to bring their audio."""

    def take(self, lines: Sequence[tuple[Any, ...]]) -> None:
        """Take lines as they were appended; the last one of a call begins with ``closed``. Never raises."""
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
        self._count += 1
        if type(event) is CallerAudio and len(commands) == 1 and not placed:
            self._append_frame(now, event)
            return
        if self._run is not None:
            self._end_run()
        self._lines.append(("event", self._count, now, event, commands, placed))
        if type(event) not in AUDIO:
            self.feed.take(self._count, now, event, commands)

    def _append_frame(self, now: float, frame: CallerAudio) -> None:
        """Add a frame to the run of those before it, if it goes on where they end: all but the moment is known then."""
        run = self._run
        if run is None or run.next_ms != frame.timestamp_ms or run.size != frame.size:
            if run is not None:
                self._end_run()
            self._run = run = _Run(self._count, frame.timestamp_ms, frame.size)
        run.moments.append(now)
        run.next_ms += run.step_ms
        if self._audio:
            run.payloads.append(frame.payload)
        if len(run.moments) == RUN:
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

    def take(self) -> list[tuple[Any, ...]]:
        """Hand over what is not yet written (the writer's side)."""
        lines = []
        with contextlib.suppress(IndexError):  # the call may append at the same time
            while True:
                lines.append(self._lines.popleft())
        return lines

    def begin(self) -> None:
        """Have the header in the file, so that whoever comes after a crash knows of the call; from any thread.

        Raises:
            OSError: it could not be written.
        """
        with self._beginning:
            if self.begun:
                return
            if self._file < 0:
                self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._put(encode(self._header) + b"\n")
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
        lines = call_log.take()
        if lines:
            self._write(call_log, lines)
            for tap in call_log.taps:
                tap.take(lines)

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


def path_of(folder: Path, call_id: str) -> Path:
    """Return where the log of a call is, or would be."""
    return folder / f"{call_id}.jsonl"


def read_log(path: Path, *, audio: bool = True) -> Iterator[Line]:
    """Read a call's log back; what a crash tore is left out.

    Args:
        path: the log.
        audio: whether the caller's frames and the tracker's reads, which are most of it, are wanted.

    Raises:
        LogError: the file can't be read, is of another schema, or a line inside it is damaged.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from error
    yield from read_lines(text, str(path), audio=audio)


def read_lines(text: bytes, source: str, *, audio: bool = True) -> Iterator[Line]:
    """Read lines of a log; ``source`` names them in errors.

    Raises:
        LogError: a line is of another schema, or damaged.
    """
    lines = text.split(b"\n")
    torn = len(lines) - 1 if lines[-1] else None
    for index, line in enumerate(lines):
        if not line or (not audio and line.startswith(_AUDIO_LINES)):
            continue
        try:
            yield from decode_line(line)
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
            if index == torn:
                return
            if isinstance(error, msgspec.DecodeError) and lines[index + 1].startswith(b'["z"'):
                continue  # torn by a crash, and closed by those who came after
            raise LogError(f"{source}:{index + 1}: {error}") from error


_AUDIO_LINES = (b'["f"', b'["a"', b'["t"')
_NOT_PROJECTED = (CallerAudio, AgentAudio, AgentAudioDone, MarkReached, ResponseStarted)


def is_projected(event: Event) -> bool:
    """Say whether records are made of an event: audio and its marks come fifty times a second and are not."""
    match event:
        case AgentTranscribed(final=final):
            return final
        case CallerTranscribed(final=final, failed=failed):
            return final or failed
    return not isinstance(event, _NOT_PROJECTED)


def encode(line: tuple[Any, ...]) -> bytes:
    """Return a line as a log holds it, without its end."""
    match line:
        case ("frames", number, timestamp_ms, size, moments, _):
            return _encoder.encode(("f", number, timestamp_ms, size, moments))
        case ("event", number, at, CallerAudio(_, size, timestamp_ms), commands, _) if len(commands) <= 1:
            return _encoder.encode(("a", number, at, timestamp_ms, size, len(commands)))
        case ("event", number, at, event, commands, placed):
            named = (_named(event), [_named(item) for item in commands])
            return _encoded(("e", number, at, *named, *([placed] if placed else [])))
        case ("note", at, what, details):
            return _encoded(("n", at, what, details))
        case ("tracker", number, at, state):
            return _encoded(("t", number, at, state))
        case ("settled", at, turn):
            return _encoded(("u", at, turn))
        case ("closed", at, reason, summary):
            return _encoded(("z", at, reason, summary))
        case ("header", header):
            incoming = {key: "***" if key in _MASKED else value for key, value in header.incoming.items()}
            policy = msgspec.to_builtins(header.policy, enc_hook=_plain)
            fields = msgspec.to_builtins(header, enc_hook=_plain) | {"incoming": incoming, "policy": policy}
            return _encoded(("h", SCHEMA, fields))
    raise LogError(f"no such line: {line[0]}")


def _named(value: Any) -> tuple[str, Any]:
    kind = type(value)
    if kind is AgentAudio or kind is Play or kind is Hear:  # most of what there is, and not to be kept whole
        return kind.__name__, {name: getattr(value, name) for name in kind.__slots__ if name != "payload"}
    plan = getattr(value, "plan", None)
    if plan is None and not hasattr(value, "payload"):
        return kind.__name__, value
    fields = msgspec.to_builtins(value, enc_hook=_plain)
    fields.pop("payload", None)
    if plan is not None:
        fields["plan"] = [[type(verb).__name__, _masked(msgspec.to_builtins(verb))] for verb in plan]
    return type(value).__name__, fields


def _masked(verb: dict[str, Any]) -> dict[str, Any]:
    if "parameters" in verb:
        verb["parameters"] = {key: "***" if key in _MASKED else value for key, value in verb["parameters"].items()}
    return verb


def _frames(number: int, timestamp_ms: int, size: int, moments: list[float]) -> Iterator[Line]:
    payload, heard = silent_payload(size), [["Hear", {"size": size}]]
    for index, at in enumerate(moments):
        frame = CallerAudio(payload, size, timestamp_ms + index * (size // BYTES_PER_MS))
        yield Entry(number + index, at, frame, heard)


def decode_line(text: bytes) -> Iterator[Line]:
    """Read one line of a log, which is one thing, or a run of the caller's frames.

    Raises:
        MsgspecError, LookupError, TypeError, ValueError: it is damaged.
    """
    decoded = msgspec.json.decode(text)
    if decoded[0] == "f":
        yield from _frames(*decoded[1:])
    else:
        yield _decode(decoded)


def _decode(line: list[Any]) -> Line:
    match line:
        case ["h", schema, fields]:
            if schema != SCHEMA:
                raise ValueError(f"schema {schema}, this version reads {SCHEMA}")
            return msgspec.convert(fields, Header)
        case ["a", number, at, timestamp_ms, size, commands]:
            heard = [["Hear", {"size": size}]] * commands
            return Entry(number, at, CallerAudio(silent_payload(size), size, timestamp_ms), heard)
        case ["e", number, at, [name, fields], commands, *placed]:
            kind = getattr(events_module, name)
            if "size" in fields and name in {"CallerAudio", "AgentAudio"}:
                fields["payload"] = silent_payload(fields["size"])
            where = msgspec.convert(placed[0], tuple[Placed, ...]) if placed else ()
            return Entry(number, at, msgspec.convert(fields, kind), commands, where)
        case ["n", at, what, details]:
            return Note(at, what, details)
        case ["t", number, at, state]:
            return TrackerRead(number, at, msgspec.convert(state, PlaybackState))
        case ["u", at, turn]:
            return Settled(at, msgspec.convert(turn, Turn))
        case ["z", at, reason, summary]:
            turns = msgspec.convert(summary["turns"], tuple[Turn, ...])
            return Closed(at, msgspec.convert(reason, EndReason), summary["usage"], turns)
    raise ValueError("a line of no known kind")


def named_commands(commands: list[Command]) -> list[Any]:
    """Commands in the form in which a log holds them, for comparing."""
    return msgspec.json.decode(_encoder.encode([_named(command) for command in commands]), type=list[Any])


def silent_payload(size: int) -> str:
    """Base64 of ``size`` bytes of mu-law silence, in place of audio that the log does not hold."""
    whole, rest = divmod(size, 3)
    return "////" * whole + {0: "", 1: "/w==", 2: "//8="}[rest]
