"""Recorded words: a WAV file as the G.711 that a phone plays."""

from __future__ import annotations

import audioop
import base64
import struct
from collections.abc import Iterator

from gateway.call.policy import Clip

_PCM, _MU_LAW = 1, 7
"""Format codes of WAVE (RFC 2361)."""
_EXTENSIBLE = 0xFFFE
_RATE = 8000
_FRAME = 160
"""Bytes of 20 ms."""
_SILENCE = b"\xff"
"""The mu-law byte of zero."""


class ClipError(Exception):
    """A recording can't be used; the message says why."""


def read_clip(content: bytes, text: str = "") -> Clip:
    """Read a WAV file: mono, 8 kHz, mu-law or 16-bit PCM.

    Raises:
        ClipError: it is something else.
    """
    chunks = dict(_chunks(content))
    if b"fmt " not in chunks or b"data" not in chunks or len(chunks[b"fmt "]) < 16:  # noqa: PLR2004 - WAVEFORMAT
        raise ClipError("it is not a WAV file")
    header = chunks[b"fmt "]
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", header)
    if code == _EXTENSIBLE and len(header) >= 26:  # noqa: PLR2004 - WAVEFORMATEXTENSIBLE's SubFormat begins at 24
        code = struct.unpack_from("<H", header, 24)[0]
    if (code, bits) not in {(_PCM, 16), (_MU_LAW, 8)}:
        raise ClipError("it is neither mu-law nor 16-bit PCM")
    if (channels, rate) != (1, _RATE):
        raise ClipError(f"it has {channels} channels at {rate} Hz, not one at {_RATE}")
    audio = chunks[b"data"]
    sound = audio if code == _MU_LAW else audioop.lin2ulaw(audio[: len(audio) // 2 * 2], 2)
    if not sound:
        raise ClipError("it is empty")
    sound += _SILENCE * (-len(sound) % _FRAME)
    return Clip(base64.b64encode(sound).decode(), len(sound), text)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        yield name, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
