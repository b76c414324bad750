"""Twilio Media Streams messages, read and written. Pure.

Quotations are from Twilio's page "Media Streams - WebSocket Messages". Fields that nothing here needs (the sequence
number, the chunk) are not read: Twilio may add and reorder fields, and only a field that we use can be wrong.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

import msgspec

from gateway.errors import WireError

MAX_PAYLOAD: Final = 10_668
"""Characters of base64 in one message: 8,000 bytes, a second of audio. Twilio sends 216 (20 ms)."""
MAX_PARAMETERS: Final = 64
MAX_MARK_NAME: Final = 256
MAX_EVENT_NAME: Final = 64
DIGITS: Final = frozenset("0123456789*#ABCD")

_MAX_TIMESTAMP: Final = 2**53
# Sids are "MZ", "CA" or "AC" and 32 hexadecimal digits. Compatible carriers have their own, so this asks only for what
# keeps them harmless in JSON, URLs and logs.
_SID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")


class Connected(msgspec.Struct, frozen=True, tag_field="event", tag="connected"):
    """The first message; ``start`` follows at once."""

    protocol: str = ""
    version: str = ""


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    encoding: str
    sample_rate: int
    channels: int


class StartBody(msgspec.Struct, frozen=True, rename="camel"):
    account_sid: str
    call_sid: str
    stream_sid: str
    media_format: MediaFormat
    tracks: list[str] = []
    custom_parameters: dict[str, str] = {}


class Start(msgspec.Struct, frozen=True, tag_field="event", tag="start", rename="camel"):
    """What the stream is, said once. Sids are checked to be harmless, the rest is as Twilio said it."""

    stream_sid: str
    start: StartBody


class MediaBody(msgspec.Struct, frozen=True, gc=False):
    """A frame: base64 of G.711 mu-law, and its place in milliseconds from the start of the stream.

    The payload is harmless text: put between the quotes of a JSON string it needs no escaping.
    """

    payload: str
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=_MAX_TIMESTAMP)]
    track: str = "inbound"


class Media(msgspec.Struct, frozen=True, tag_field="event", tag="media", rename="camel", gc=False):
    stream_sid: str
    media: MediaBody


class DtmfBody(msgspec.Struct, frozen=True):
    digit: str


class Dtmf(msgspec.Struct, frozen=True, tag_field="event", tag="dtmf", rename="camel"):
    """A key that the caller pressed."""

    stream_sid: str
    dtmf: DtmfBody


class MarkBody(msgspec.Struct, frozen=True):
    name: str


class Mark(msgspec.Struct, frozen=True, tag_field="event", tag="mark", rename="camel"):
    """The echo of a mark of ours: the audio before it was played, or a ``clear`` has thrown it away."""

    stream_sid: str
    mark: MarkBody


class Stop(msgspec.Struct, frozen=True, tag_field="event", tag="stop", rename="camel"):
    """Sent "when the Stream has stopped or the call has ended"; the two can't be told apart here."""

    stream_sid: str


class Unknown(msgspec.Struct, frozen=True):
    """A message of a kind that did not exist when this was written; to be ignored."""

    event: str


class _Envelope(msgspec.Struct):
    event: str


Known: TypeAlias = Connected | Start | Media | Dtmf | Mark | Stop
Message: TypeAlias = Known | Unknown

_KINDS: Final = frozenset({"connected", "start", "media", "dtmf", "mark", "stop"})
# Lax: every number outside mediaFormat is a string on the wire.
_known: Final[msgspec.json.Decoder[Known]] = msgspec.json.Decoder(Known, strict=False)
_envelope: Final = msgspec.json.Decoder(_Envelope)
_quote: Final = msgspec.json.Encoder().encode


def decode(text: bytes) -> Message:
    """Read one text message, as the bytes that it came in.

    Raises:
        WireError: it is not what Twilio's documents say; the message says why and holds nothing personal.
    """
    try:
        message = _known.decode(text)
    except msgspec.ValidationError as error:
        return _unknown(text, error)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise WireError("the message is not JSON") from error
    if type(message) is Media:  # nearly always
        body = message.media
        length = len(body.payload)
        if length % 4 or length > MAX_PAYLOAD or b"\\" in text or body.track != "inbound":
            _check_media(body, text)  # it may still be right
        elif not body.payload.isascii():
            raise WireError("media: the payload is not base64")
        return message
    match message:
        case Start():
            _check_start(message)
        case Dtmf():
            if message.dtmf.digit not in DIGITS:
                raise WireError("dtmf: the digit is none of 0-9, *, #, A-D")
        case Mark():
            if len(message.mark.name) > MAX_MARK_NAME:
                raise WireError("mark: the name is too long")
        case Connected() | Stop():
            pass
    return message


def _unknown(text: bytes, error: msgspec.ValidationError) -> Unknown:
    try:
        event = _envelope.decode(text).event
    except (msgspec.DecodeError, UnicodeError, RecursionError) as another:
        raise WireError("the message is no object with an event") from another
    if event in _KINDS:
        raise WireError(f"{event}: {error}") from error
    return Unknown(event[:MAX_EVENT_NAME])


def _check_media(media: MediaBody, text: bytes) -> None:
    payload = media.payload
    length = len(payload)
    if length % 4 or not payload.isascii():
        raise WireError("media: the payload is not base64")
    if length > MAX_PAYLOAD:
        raise WireError("media: the payload is longer than a second")
    # In JSON a quote, a backslash or a control character can only be written with a backslash: without any in the
    # message, the payload needs no look at its characters, which would cost more than all the rest.
    if b"\\" in text and not _BASE64.fullmatch(payload):
        raise WireError("media: the payload is not base64")
    if media.track not in {"inbound", "inbound_track"}:
        raise WireError("media: the track is not the caller's")


def _check_start(message: Start) -> None:
    start = message.start
    for name, sid in (("streamSid", start.stream_sid), ("callSid", start.call_sid), ("accountSid", start.account_sid)):
        if not _SID.fullmatch(sid):
            raise WireError(f"start: the {name} is not one")
    if message.stream_sid != start.stream_sid:
        raise WireError("start: two different streamSids")
    if len(start.custom_parameters) > MAX_PARAMETERS:
        raise WireError("start: too many parameters")


class Writer:
    """Writes the three messages that Twilio takes, for one stream.

    Twilio's warning 31951 names what it refuses: a "missing or extra field", or a wrong ``streamSid``.
    """

    def __init__(self, stream_sid: str) -> None:
        """Raises: ValueError, when the sid could break out of its quotes."""
        if not _SID.fullmatch(stream_sid):
            raise ValueError("not a streamSid")
        self._media = '{"event":"media","streamSid":"' + stream_sid + '","media":{"payload":'
        self._mark = '{"event":"mark","streamSid":"' + stream_sid + '","mark":{"name":'
        self._clear = '{"event":"clear","streamSid":"' + stream_sid + '"}'

    def media(self, payload: str) -> str:
        """Audio to be "buffered and played in the order received"; it "can be of any size"."""
        if '"' in payload or "\\" in payload:
            return f"{self._media}{_quote(payload).decode()}}}}}"
        return f'{self._media}"{payload}"}}}}'

    def mark(self, name: str) -> str:
        """A mark, sent back "when the audio ends (or if there is no audio buffered)", and on ``clear``."""
        return f"{self._mark}{_quote(name).decode()}}}}}"

    def clear(self) -> str:
        """The end of all that is buffered: it "causes any mark messages to be sent back"."""
        return self._clear
