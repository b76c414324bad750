"""Arithmetic on audio that is base64 text, for the most part without decoding it.

Three bytes are four characters, and a frame is 160 bytes; so a cut at a multiple of 480 bytes (640 characters) gives
whole frames that are valid base64 on both sides. Other cuts have to decode, which only odd lengths ever need.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator

from gateway.audio.frames import FRAME_BYTES, SILENCE_BYTE

SLICE_BYTES = 480
SLICE_CHARS = 640


def size_of(payload: str) -> int:
    """The number of bytes that a padded base64 text stands for."""
    size = len(payload) // 4 * 3
    if payload.endswith("="):
        size -= 2 if payload.endswith("==") else 1
    return size


def encode(audio: bytes) -> str:
    """Bytes as base64 text."""
    return b64encode(audio).decode("ascii")


def decode(payload: str) -> bytes:
    """Base64 text as bytes; ``ValueError`` where it is not base64."""
    return b64decode(payload, validate=True)


def slices(
    payload: str, size: int, each: int = SLICE_BYTES, *, first: int | None = None, slack: int = 0
) -> Iterator[tuple[str, int]]:
    """Slice a payload of ``size`` bytes, nothing decoded: pairs of text and bytes.

    A slice is ``each`` bytes long (the first one ``first``), rounded up to a multiple of 480; what is at most ``slack``
    longer than wanted is left whole.
    """
    start, wanted = 0, each if first is None else first
    while size > wanted + slack:
        blocks = max(-(-wanted // SLICE_BYTES), 1)
        if blocks * SLICE_BYTES >= size:
            break
        yield payload[start : start + blocks * SLICE_CHARS], blocks * SLICE_BYTES
        start += blocks * SLICE_CHARS
        size -= blocks * SLICE_BYTES
        wanted = each
    if size:
        yield payload[start:], size


def drop_first(payload: str, count: int) -> str:
    """The payload without its first ``count`` bytes; decodes only where ``count`` is no multiple of 3."""
    if count % 3 == 0:
        return payload[count // 3 * 4 :]
    return encode(decode(payload)[count:])


class Framer:
    """Makes whole frames of one item's deltas; what is left over of one delta goes before the next."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, payload: str, size: int) -> tuple[str, int]:
        """Take a delta of ``size`` bytes; returns what is whole by now, a multiple of 160 bytes, maybe nothing."""
        if not self._rest and size % FRAME_BYTES == 0:
            return payload, size
        audio = self._rest + decode(payload)
        whole = len(audio) - len(audio) % FRAME_BYTES
        self._rest = audio[whole:]
        return encode(audio[:whole]), whole

    def flush(self) -> tuple[str, int]:
        """End the item: the rest as one frame, filled up with silence, or nothing where none is left."""
        if not self._rest:
            return "", 0
        audio, self._rest = self._rest, b""
        return encode(audio.ljust(FRAME_BYTES, bytes([SILENCE_BYTE]))), FRAME_BYTES
