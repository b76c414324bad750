"""Audio that is numbered in its base64 text, so that nobody has to decode or encode it.

Digits are letters of base64, and 16 characters are 12 whole bytes: each 20 ms frame of a caller, and each 60 ms block
of an answer (480 bytes, 640 characters), begins with two numbers of eight digits, the call and the count. What lies
between is a constant that sounds like a hum.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

BLOCK_BYTES: Final = 480
BLOCK_CHARS: Final = 640
HEADER: Final = 16

_HUM: Final = bytes([0xFF, 0xF0, 0xE8, 0xE4, 0xE2, 0xE4, 0xE8, 0xF0, 0xFF, 0x70, 0x68, 0x64, 0x62, 0x64, 0x68, 0x70])


def filler(size: int) -> str:
    """The base64 of ``size`` bytes without its first 16 characters."""
    return b64encode((_HUM * (size // len(_HUM) + 1))[:size]).decode()[HEADER:]


FRAME_FILLER: Final = filler(160)
_BLOCK_FILLER: Final = filler(BLOCK_BYTES)
_REST_FILLERS: Final = {size: filler(size) for size in range(160, BLOCK_BYTES + 1, 160)}


def answer_audio(call: int, first: int, size: int) -> tuple[str, int]:
    """The base64 of ``size`` bytes (whole frames) whose blocks are numbered from ``first``, and the number after."""
    parts = []
    while size > 0:
        rest = min(size, BLOCK_BYTES)
        parts.append(f"{call:08d}{first:08d}{_REST_FILLERS[rest]}")
        first += 1
        size -= rest
    return "".join(parts), first


def blocks(payload: str) -> range:
    """Where in a payload the headers of its blocks begin."""
    return range(0, len(payload), BLOCK_CHARS)


def numbers(payload: str, at: int = 0) -> tuple[int, int]:
    """The call and the count of the header at a place; ``ValueError`` where there is none."""
    return int(payload[at : at + 8]), int(payload[at + 8 : at + HEADER])


def size_of(payload: str) -> int:
    """Bytes of audio in a payload."""
    return len(payload) // 4 * 3 - payload[-2:].count("=")
