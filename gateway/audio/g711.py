"""G.711 mu-law to and from 16-bit samples."""

from __future__ import annotations

import math
import warnings

from gateway.audio.frames import BYTES_PER_MS, SILENCE_BYTE

with warnings.catch_warnings():
    # Python 3.13 takes audioop from a package of its own; before that the standard library's warns of its removal.
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    import audioop

QUIETEST_DBFS = -96.0


def to_pcm(mulaw: bytes) -> bytes:
    """Mu-law as 16-bit signed samples in native byte order."""
    return audioop.ulaw2lin(mulaw, 2)


def from_pcm(pcm: bytes) -> bytes:
    """16-bit signed samples in native byte order as mu-law; ``ValueError`` for half a sample."""
    if len(pcm) % 2:
        raise ValueError(f"{len(pcm)} bytes are no whole number of 16-bit samples")
    return audioop.lin2ulaw(pcm, 2)


def silence(milliseconds: int) -> bytes:
    """Mu-law silence."""
    return bytes([SILENCE_BYTE]) * (milliseconds * BYTES_PER_MS)


def level(mulaw: bytes) -> float:
    """How loud the audio is (its root mean square), in dB below full scale; -96 for silence or nothing at all."""
    rms = audioop.rms(to_pcm(mulaw), 2)
    return 20.0 * math.log10(rms / 32768.0) if rms else QUIETEST_DBFS


def peak(mulaw: bytes) -> float:
    """The loudest sample, from 0 to 1."""
    return min(audioop.max(to_pcm(mulaw), 2) / 32768.0, 1.0)
