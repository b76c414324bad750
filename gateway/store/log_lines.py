"""The file of a call's log: what its lines hold, and how they are written and read.

One file of JSON lines per call. The first line is the header: schema, call, hash of the configuration's snapshot,
package version, both clocks at zero, the policy. Then one line for each event in the order in which the call took it,
with its number, its moment (seconds since zero) and the commands that it led to, so that a replay can reproduce them.
Audio stands as its size, with what the ledger learned of where it was heard, which places it in the recording (see
:mod:`gateway.store.recording.tape`); secrets are masked. Between them stand the turns as they settle and notes of what
other parts know of the call. A line closes the record; only notes come after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

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

SCHEMA = 1
_MASKED = ("CallToken", "token")


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


_NOT_PROJECTED = (CallerAudio, AgentAudio, AgentAudioDone, MarkReached, ResponseStarted)


def is_projected(event: Event) -> bool:
    """Say whether records are made of an event: audio and its marks come fifty times a second and are not."""
    match event:
        case AgentTranscribed(final=final):
            return final
        case CallerTranscribed(final=final, failed=failed):
            return final or failed
    return not isinstance(event, _NOT_PROJECTED)


# ---- Writing --------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Turn what msgspec does not know into what it does: read-only mappings."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a log can't hold a {type(value).__name__}")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


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


def named_commands(commands: list[Command]) -> list[Any]:
    """Commands in the form in which a log holds them, for comparing."""
    return msgspec.json.decode(_encoder.encode([_named(command) for command in commands]), type=list[Any])


# ---- Reading --------------------------------------------------------------------------------------------------------


def path_of(folder: Path, call_id: str) -> Path:
    """Return where the log of a call is, or would be."""
    return folder / f"{call_id}.jsonl"


def header_of(path: Path) -> Header:
    """Return what a call's log begins with.

    Raises:
        LogError: the file can't be read, or does not begin with a header of this schema.
    """
    try:
        with path.open("rb") as file:
            first = next(read_lines(file.readline(), str(path)), None)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from error
    if not isinstance(first, Header):
        raise LogError(f"{path}: the log does not begin with a header")
    return first


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


_AUDIO_LINES = (b'["f"', b'["a"', b'["t"')
_AFTER_A_CRASH = (b'["z"', b'["n"', b'["h"')


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
            if isinstance(error, msgspec.DecodeError) and lines[index + 1].startswith(_AFTER_A_CRASH):
                continue  # torn by a crash, and closed or taken up by those who came after
            raise LogError(f"{source}:{index + 1}: {error}") from error


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


def _frames(number: int, timestamp_ms: int, size: int, moments: list[float]) -> Iterator[Line]:
    payload, heard = silent_payload(size), [["Hear", {"size": size}]]
    for index, at in enumerate(moments):
        frame = CallerAudio(payload, size, timestamp_ms + index * (size // BYTES_PER_MS))
        yield Entry(number + index, at, frame, heard)


def silent_payload(size: int) -> str:
    """Base64 of ``size`` bytes of mu-law silence, in place of audio that the log does not hold."""
    whole, rest = divmod(size, 3)
    return "////" * whole + {0: "", 1: "/w==", 2: "//8="}[rest]
