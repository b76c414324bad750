"""Sound as the local model keeps it (float32 at 8 kHz, -1 to 1) and as the wire carries it."""

from __future__ import annotations

import audioop
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

Samples: TypeAlias = npt.NDArray[np.float32]
Format: TypeAlias = Literal["audio/pcmu", "audio/pcma", "audio/pcm"]

RATE = 8000
"""Samples per second inside: the telephone's."""
SAMPLES_PER_MS = RATE // 1000
FORMATS: tuple[Format, ...] = ("audio/pcm", "audio/pcmu", "audio/pcma")
WIRE_RATE: dict[Format, int] = {"audio/pcmu": 8000, "audio/pcma": 8000, "audio/pcm": 24000}
BYTES_PER_MS: dict[Format, int] = {"audio/pcmu": 8, "audio/pcma": 8, "audio/pcm": 48}
_FULL_SCALE = 32768.0
_LOUDEST = 32767.0


def nothing() -> Samples:
    """No sound at all."""
    return np.zeros(0, dtype=np.float32)


def decoder(wire: Format) -> Callable[[bytes], Samples]:
    """Make the function that turns wire bytes into samples; it keeps the state that a stream of them needs."""
    if wire == "audio/pcmu":
        return lambda payload: _from_pcm16(audioop.ulaw2lin(payload, 2))
    if wire == "audio/pcma":
        return lambda payload: _from_pcm16(audioop.alaw2lin(payload, 2))
    return _Pcm24()


class _Pcm24:
    """Turns 16-bit PCM at 24 kHz into 8 kHz, across calls; an odd last byte waits for its other half."""

    def __init__(self) -> None:
        self._stream = soxr.ResampleStream(WIRE_RATE["audio/pcm"], RATE, 1, dtype="float32", quality="MQ")
        self._rest = b""

    def __call__(self, payload: bytes) -> Samples:
        payload = self._rest + payload
        even = len(payload) & ~1
        self._rest = payload[even:]
        samples: Samples = self._stream.resample_chunk(_from_pcm16(payload[:even]))
        return samples


def encode(samples: Samples, wire: Format) -> bytes:
    """Turn samples at the wire's own rate (WIRE_RATE) into wire bytes."""
    pcm = (np.clip(samples, -1.0, 1.0) * _LOUDEST).astype("<i2").tobytes()
    if wire == "audio/pcmu":
        return audioop.lin2ulaw(pcm, 2)
    if wire == "audio/pcma":
        return audioop.lin2alaw(pcm, 2)
    return pcm


def resample(samples: Samples, source: float, target: float) -> Samples:
    """Change the rate of a whole utterance, with nothing folded back."""
    if source == target or not len(samples):
        return samples
    out: Samples = soxr.resample(samples, source, target, quality="HQ").astype(np.float32, copy=False)
    return out


def _from_pcm16(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(_FULL_SCALE)
