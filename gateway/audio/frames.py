"""Frames of telephone audio: G.711 mu-law at 8 kHz, one channel, one byte to a sample, 20 ms to a frame."""

from __future__ import annotations

from collections.abc import Iterator

SAMPLE_RATE = 8000
BYTES_PER_MS = 8
FRAME_MS = 20
FRAME_BYTES = FRAME_MS * BYTES_PER_MS
SILENCE_BYTE = 0xFF
"""Mu-law for a sample of zero."""


def cut(audio: bytes, size: int = FRAME_BYTES) -> Iterator[bytes]:
    """Cut audio into frames of ``size`` bytes; the last one is filled up with silence."""
    for start in range(0, len(audio), size):
        yield audio[start : start + size].ljust(size, bytes([SILENCE_BYTE]))
