"""Audio that can be checked: 20 ms frames of G.711 mu-law that carry a number, and what to count in a recording.

Nothing between the model and the ear transcodes, so a frame arrives byte for byte or not at all, and a listener
can say which frames were lost, repeated, reordered or damaged.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from functools import cache

FRAME_BYTES = 160
"""20 ms of G.711 at 8 kHz."""

SILENCE = 0xFF
"""Mu-law for zero."""

_MAGIC = b"\x2a\xd5\x3b\xc4"
_HEADER = struct.Struct(">4sIII")
_CLIP = 32635
_BIAS = 0x84


@dataclass(frozen=True, slots=True)
class Frame:
    """A numbered frame that was found in audio, ``at`` bytes from its beginning."""

    seq: int
    tag: int
    at: int


@dataclass(frozen=True, slots=True)
class FrameReport:
    """What became of the frames that were expected; numbers of frames, and bytes that belong to none."""

    heard: int
    lost: tuple[int, ...]
    repeated: tuple[int, ...]
    reordered: tuple[int, ...]
    unexpected: tuple[int, ...]
    other_bytes: int

    @property
    def perfect(self) -> bool:
        """Every expected frame was heard once and in order, and no other frame was."""
        return not (self.lost or self.repeated or self.reordered or self.unexpected)


def mulaw_encode(sample: int) -> int:
    """Give the G.711 mu-law byte of a 16-bit sample (ITU-T G.711)."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | (exponent << 4) | mantissa) & 0xFF


def mulaw_decode(byte: int) -> int:
    """Give the 16-bit sample of a G.711 mu-law byte (ITU-T G.711)."""
    value = ~byte & 0xFF
    magnitude = (((value & 0x0F) << 3) + _BIAS) << ((value >> 4) & 0x07)
    return _BIAS - magnitude if value & 0x80 else magnitude - _BIAS


@cache
def _tone(number: int) -> bytes:
    hertz = 300 + 100 * (number % 8)
    return bytes(mulaw_encode(round(6000 * math.sin(2 * math.pi * hertz * i / 8000))) for i in range(FRAME_BYTES))


def _filling(seq: int, *, loud: bool) -> bytes:
    return _tone(seq)[_HEADER.size :] if loud else bytes([SILENCE]) * (FRAME_BYTES - _HEADER.size)


def encode_frame(seq: int, tag: int = 0, *, loud: bool = True) -> bytes:
    """Give 160 bytes of mu-law that carry ``seq`` and ``tag`` (32 bits each).

    ``loud`` frames are a tone that voice activity detection takes for speech; the others are as good as silent.
    """
    filling = _filling(seq, loud=loud)
    check = zlib.crc32(filling, zlib.crc32(struct.pack(">II", seq, tag)))
    return _HEADER.pack(_MAGIC, seq, tag, check) + filling


def decode_frames(mulaw: bytes) -> list[Frame]:
    """Find every undamaged numbered frame in ``mulaw``, wherever it begins."""
    frames: list[Frame] = []
    at = mulaw.find(_MAGIC)
    while at >= 0 and at + FRAME_BYTES <= len(mulaw):
        _, seq, tag, check = _HEADER.unpack_from(mulaw, at)
        rest = mulaw[at + _HEADER.size : at + FRAME_BYTES]
        if zlib.crc32(rest, zlib.crc32(struct.pack(">II", seq, tag))) == check:
            frames.append(Frame(seq, tag, at))
            at = mulaw.find(_MAGIC, at + FRAME_BYTES)
        else:
            at = mulaw.find(_MAGIC, at + 1)
    return frames


def compare_frames(heard: bytes, expected: range, tag: int | None = None) -> FrameReport:
    """Compare the frames in ``heard`` (those of ``tag``, where given) with the numbers that ought to be there."""
    found = [frame for frame in decode_frames(heard) if tag is None or frame.tag == tag]
    seen: set[int] = set()
    repeated: list[int] = []
    reordered: list[int] = []
    highest = -1
    for frame in found:
        if frame.seq in seen:
            repeated.append(frame.seq)
        elif frame.seq < highest:
            reordered.append(frame.seq)
        seen.add(frame.seq)
        highest = max(highest, frame.seq)
    return FrameReport(
        heard=len(found),
        lost=tuple(seq for seq in expected if seq not in seen),
        repeated=tuple(repeated),
        reordered=tuple(reordered),
        unexpected=tuple(sorted(seq for seq in seen if seq not in expected)),
        other_bytes=len(heard) - FRAME_BYTES * len(found),
    )


@cache
def _pcm_table() -> tuple[bytes, ...]:
    return tuple(struct.pack("<h", mulaw_decode(byte)) * 3 for byte in range(256))


def mulaw_to_pcm24k(mulaw: bytes) -> bytes:
    """Give the same sound as 16-bit little-endian samples at 24 kHz, each sample three times."""
    return b"".join(map(_pcm_table().__getitem__, mulaw))
