"""Tones that a telephone makes, as mu-law."""

from __future__ import annotations

import math
from array import array

from gateway.audio.frames import BYTES_PER_MS, SAMPLE_RATE
from gateway.audio.g711 import from_pcm, silence

_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
DTMF = {key: (_ROWS[row], _COLUMNS[column]) for row, keys in enumerate(_KEYS) for column, key in enumerate(keys)}
"""The two frequencies (Hz) of each key (ITU-T Q.23)."""

RINGBACK_HZ = (440, 480)
"""What a caller in North America hears while the other side rings: 2 s of it, then 4 s of silence."""

_RAMP = 5 * BYTES_PER_MS
"""Samples over which a tone swells and fades, so that it doesn't click."""


def tone(frequencies: tuple[int, ...], milliseconds: int, dbfs: float = -13.0) -> bytes:
    """A sum of sines, each with its peak at ``dbfs`` (dB below full scale)."""
    count = milliseconds * BYTES_PER_MS
    peak = 32767 * 10 ** (dbfs / 20)
    samples = array("h")
    for at in range(count):
        gain = min(1.0, at / _RAMP, (count - at) / _RAMP) * peak
        value = gain * sum(math.sin(2 * math.pi * frequency * at / SAMPLE_RATE) for frequency in frequencies)
        samples.append(max(-32768, min(32767, round(value))))
    return from_pcm(samples.tobytes())


def beep(milliseconds: int = 300, frequency: int = 1000) -> bytes:
    """A beep, as before a recording."""
    return tone((frequency,), milliseconds)


def ringback() -> bytes:
    """One cycle of the ringing tone, 6 s long, to be repeated."""
    return tone(RINGBACK_HZ, 2000, -19.0) + silence(4000)


def dtmf(keys: str, milliseconds: int = 100, gap: int = 100) -> bytes:
    """Keys pressed one after the other, each followed by ``gap`` milliseconds of silence; ``KeyError`` for no key."""
    return b"".join(tone(DTMF[key], milliseconds) + silence(gap) for key in keys)
