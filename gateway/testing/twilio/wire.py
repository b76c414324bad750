"""Media Streams messages, as "Media Streams - WebSocket Messages" shows them: ours built, the gateway's checked."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'


def start(
    sequence: int,
    *,
    account_sid: str,
    stream_sid: str,
    call_sid: str,
    parameters: dict[str, str],
) -> str:
    """Describe the stream; its sequence number is 1."""
    return json.dumps(
        {
            "event": "start",
            "sequenceNumber": str(sequence),
            "start": {
                "accountSid": account_sid,
                "streamSid": stream_sid,
                "callSid": call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": parameters,
            },
            "streamSid": stream_sid,
        },
        separators=(",", ":"),
    )


def media(sequence: int, stream_sid: str, *, chunk: int, timestamp_ms: int, frame: bytes) -> str:
    """Carry one frame of the caller; every number is a string."""
    payload = base64.b64encode(frame).decode()
    return (
        f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}",'
        f'"timestamp":"{timestamp_ms}","payload":"{payload}"}},"streamSid":"{stream_sid}"}}'
    )


def dtmf(sequence: int, stream_sid: str, digit: str) -> str:
    """One key was pressed."""
    return json.dumps(
        {
            "event": "dtmf",
            "streamSid": stream_sid,
            "sequenceNumber": str(sequence),
            "dtmf": {"track": "inbound_track", "digit": digit},
        },
        separators=(",", ":"),
    )


def mark(sequence: int, stream_sid: str, name: str) -> str:
    """A mark comes back."""
    return json.dumps(
        {"event": "mark", "sequenceNumber": str(sequence), "streamSid": stream_sid, "mark": {"name": name}},
        separators=(",", ":"),
    )


def stop(sequence: int, stream_sid: str, *, account_sid: str, call_sid: str) -> str:
    """The stream is over; the call need not be."""
    return json.dumps(
        {
            "event": "stop",
            "sequenceNumber": str(sequence),
            "stop": {"accountSid": account_sid, "callSid": call_sid},
            "streamSid": stream_sid,
        },
        separators=(",", ":"),
    )


@dataclass(frozen=True, slots=True)
class Media:
    """Audio to be played; ``suspicious`` names a container whose header is in it, so that static is heard."""

    data: bytes
    suspicious: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    pass


Message: TypeAlias = Media | Mark | Clear

_FIELDS: dict[str, set[str]] = {
    "media": {"event", "streamSid", "media"},
    "mark": {"event", "streamSid", "mark"},
    "clear": {"event", "streamSid"},
}
_HEADERS = {b"RIFF": "WAV", b"ID3": "MP3", b"OggS": "Ogg", b".snd": "AU", b"fLaC": "FLAC"}


class RefusedError(Exception):
    """A message is not one of the three that a server may send; ``code`` is the carrier's warning."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def parse(message: str | bytes, stream_sid: str) -> Message:
    """Check a message of the gateway: nothing missing, nothing extra, and meant for this stream (31950, 31951)."""
    if isinstance(message, bytes):
        raise RefusedError(31950, "Malformed message: do not use binary format")
    try:
        body = json.loads(message)
    except ValueError as error:
        raise RefusedError(31951, f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise RefusedError(31951, "not a JSON object")
    event = body.get("event")
    if not isinstance(event, str) or event not in _FIELDS:
        raise RefusedError(31951, f"unknown event {event!r}")
    _exact(body, _FIELDS[event], event)
    if body["streamSid"] != stream_sid:
        raise RefusedError(31951, f"{event}: streamSid is {body['streamSid']!r}, this stream is {stream_sid!r}")
    if event == "media":
        return _media(_exact(body["media"], {"payload"}, "media.media")["payload"])
    if event == "mark":
        name = _exact(body["mark"], {"name"}, "mark.mark")["name"]
        if not isinstance(name, str):
            raise RefusedError(31951, "mark.mark.name is not a string")
        return Mark(name)
    return Clear()


def _exact(value: Any, fields: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RefusedError(31951, f"{where} is not an object")
    if missing := fields - value.keys():
        raise RefusedError(31951, f"{where}: missing {', '.join(sorted(missing))}")
    if extra := value.keys() - fields:
        raise RefusedError(31951, f"{where}: extra {', '.join(sorted(extra))}")
    return value


def _media(payload: Any) -> Media:
    if not isinstance(payload, str):
        raise RefusedError(31951, "media.media.payload is not a string")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(31951, f"media.media.payload is not base64: {error}") from error
    suspicious = next((name for header, name in _HEADERS.items() if data.startswith(header)), "")
    return Media(data, suspicious)
