"""How loud a recording is over time, for pictures: read piece by piece, since calls are long."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.audio.frames import SAMPLE_RATE
from gateway.audio.g711 import peak
from gateway.audio.wav import CHANNELS, HEADER_BYTES
from gateway.store.recording.shelf import Kept

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Waveform:
    """The loudest sample of each step of time, 0 to 1, of the caller and of the agent; ``step`` is seconds."""

    step: float
    caller: tuple[float, ...]
    agent: tuple[float, ...]

    @property
    def seconds(self) -> float:
        return self.step * len(self.caller)


def measure(kept: Kept, step: float) -> Waveform:
    """Return the waveform of a recording, in steps of so many seconds.

    Raises:
        ValueError: it is no recording of this gateway.
    """
    width = max(round(step * SAMPLE_RATE), 1)
    caller: list[float] = []
    agent: list[float] = []
    for said, answered in pieces(kept, width):
        caller.append(peak(said))
        agent.append(peak(answered))
    return Waveform(width / SAMPLE_RATE, tuple(caller), tuple(agent))


def pieces(kept: Kept, samples: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield a recording in pieces of so many samples: the caller's mu-law, and the agent's at the same time.

    Raises:
        ValueError: it is no recording of this gateway.
    """
    header = kept.read(0, HEADER_BYTES)
    if len(header) < HEADER_BYTES or header[8:16] != b"WAVEfmt ":
        raise ValueError("not a recording of two channels of mu-law")
    (size,) = struct.unpack_from("<I", header, HEADER_BYTES - 4)
    width = samples * CHANNELS
    block = max(_BLOCK // width, 1) * width
    for start in range(0, size, block):
        sound = kept.read(HEADER_BYTES + start, HEADER_BYTES + min(start + block, size))
        for at in range(0, len(sound), width):
            piece = sound[at : at + width]
            yield piece[0::2], piece[1::2]
