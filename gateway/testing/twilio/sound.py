"""Sound as a phone has it: G.711 mu-law, 8000 bytes a second, read from and written to WAV files."""

from __future__ import annotations

import audioop
import math
import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

Sound: TypeAlias = bytes | str | os.PathLike[str]
"""mu-law bytes, or the path of a WAV file (8 kHz; PCM 16 bit or mu-law; of two channels the first is taken)."""

FRAME = 160
"""Bytes in the 20 ms that the carrier puts into one message."""

SILENCE = b"\xff"
_PCM, _MULAW = 1, 7
_RATE = 8000
_KEYS = {
    key: (low, high)
    for low, row in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for high, key in zip((1209, 1336, 1477, 1633), row, strict=True)
}


def load(sound: Sound) -> bytes:
    """Return mu-law bytes of a sound; a ValueError says what is wrong with a file."""
    return sound if isinstance(sound, bytes) else read_wav(Path(sound))


def read_wav(path: Path) -> bytes:
    """Read an 8 kHz WAV file (format 1 with 16 bits, or format 7) as mu-law."""
    return decode_wav(path.read_bytes(), str(path))


def decode_wav(data: bytes, path: str) -> bytes:
    """Read the content of a WAV file as mu-law; a ValueError names ``path`` and what is wrong with it."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{path}: not a WAV file")
    form = channels = rate = bits = 0
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
        elif name == b"data":
            if rate != _RATE or (form, bits) not in {(_PCM, 16), (_MULAW, 8)} or channels not in {1, 2}:
                found = f"format {form}, {bits} bits, {rate} Hz, {channels} channels"
                raise ValueError(f"{path}: {found}; a phone's WAV is 8000 Hz, PCM 16 bits or mu-law")
            width = bits // 8
            body = body[: len(body) // (width * channels) * width * channels]
            linear = audioop.ulaw2lin(body, 2) if form == _MULAW else body
            return audioop.lin2ulaw(audioop.tomono(linear, 2, 1, 0) if channels > 1 else linear, 2)
        at += 8 + size + size % 2
    raise ValueError(f"{path}: no sound in this WAV file")


def write_wav(path: str | os.PathLike[str], *channels: bytes, mulaw: bool = False) -> None:
    """Write mu-law channels side by side, as PCM 16 bit or as mu-law; shorter ones end in silence."""
    length = max(map(len, channels))
    padded = [channel.ljust(length, SILENCE) for channel in channels]
    width = 1 if mulaw else 2
    sound = bytearray(length * len(padded) * width)
    for number, channel in enumerate(padded):
        data = channel if mulaw else audioop.ulaw2lin(channel, 2)
        for byte in range(width):
            sound[number * width + byte :: len(padded) * width] = data[byte::width]
    block = len(padded) * width
    form = struct.pack("<HHIIHH", _MULAW if mulaw else _PCM, len(padded), _RATE, _RATE * block, block, width * 8)
    form += struct.pack("<H", 0) if mulaw else b""
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(sound)) + bytes(sound)
    Path(path).write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def loudness(frame: bytes | bytearray | memoryview) -> int:
    """Root mean square of mu-law bytes on the scale of 16 bits; 0 for silence."""
    return audioop.rms(audioop.ulaw2lin(frame, 2), 2)


def silence(milliseconds: float) -> bytes:
    return SILENCE * round(milliseconds * 8)


@lru_cache(maxsize=64)
def tone(milliseconds: int, *frequencies: float, level: float = 0.2) -> bytes:
    """Sine waves added up, as mu-law; ``level`` is the peak of each, 1.0 being full scale."""
    steps = [2 * math.pi * frequency / _RATE for frequency in frequencies]
    peak = level * 32767 / max(1, len(steps) * level)
    samples = (sum(math.sin(step * n) for step in steps) * peak for n in range(milliseconds * 8))
    return audioop.lin2ulaw(b"".join(struct.pack("<h", round(sample)) for sample in samples), 2)


def key_tone(key: str, milliseconds: int = 120) -> bytes:
    """Return the two tones of a key (ITU-T Q.23)."""
    return tone(milliseconds, *_KEYS[key.upper()])


def is_key(key: str) -> bool:
    return key.upper() in _KEYS


def babble(milliseconds: float) -> bytes:
    """Stand in for the carrier's own voice: tones with the rhythm of syllables, audible but nobody's words."""
    syllable = tone(140, 220.0, 440.0) + silence(40)
    wanted = round(milliseconds * 8)
    return (syllable * (wanted // len(syllable) + 1))[:wanted]
