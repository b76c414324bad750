"""WAV files: a call written as it grows (two channels of mu-law), and clips read to mu-law.

The standard library's ``wave`` knows no mu-law (format 7), hence this small reader and writer.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import BinaryIO

from gateway.audio.frames import SAMPLE_RATE, SILENCE_BYTE
from gateway.audio.g711 import from_pcm

FORMAT_PCM, FORMAT_MULAW, FORMAT_EXTENSIBLE = 1, 7, 0xFFFE
CHANNELS = 2
_HEADER = struct.Struct("<4sI4s4sIHHIIHHH4sII4sI")
HEADER_BYTES = _HEADER.size
_REMEDY = f"convert it to one channel of 16-bit PCM or mu-law at {SAMPLE_RATE} Hz"


def _header(data_size: int) -> bytes:
    return _HEADER.pack(
        *(b"RIFF", _HEADER.size - 8 + data_size, b"WAVE"),
        *(b"fmt ", 18, FORMAT_MULAW, CHANNELS, SAMPLE_RATE, SAMPLE_RATE * CHANNELS, CHANNELS, 8, 0),
        *(b"fact", 4, data_size // CHANNELS),
        *(b"data", data_size),
    )


class WavWriter:
    """Writes two channels of mu-law to a file that can be read, seeked and written, and is playable at any instant.

    Each write puts the audio first and then says so in the header; so a crash in between loses that write alone.
    A file that such a writer left before goes on where its header says that it ends.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.tell()
        self._size = _size_left(file.read(_HEADER.size))
        if not self._size:
            file.seek(self._start)
            file.truncate()
            file.write(_header(0))

    @property
    def milliseconds(self) -> float:
        """How much audio was written."""
        return self._size / CHANNELS * 1000 / SAMPLE_RATE

    @property
    def samples(self) -> int:
        """How much audio was written, in samples of each channel."""
        return self._size // CHANNELS

    def write(self, left: bytes, right: bytes) -> None:
        """Append audio that is heard at the same time; the shorter side is filled up with silence."""
        self.put(self.samples, left, right)

    def put(self, start: int, left: bytes, right: bytes) -> None:
        """Write audio from a sample on, over what is there; ``start`` is at most the sample after the last."""
        length = max(len(left), len(right))
        fill = bytes([SILENCE_BYTE])
        both = bytearray(length * CHANNELS)
        both[0::2] = left.ljust(length, fill)
        both[1::2] = right.ljust(length, fill)
        file = self._file
        file.seek(self._start + _HEADER.size + start * CHANNELS)
        file.write(both)
        end = start * CHANNELS + len(both)
        if end > self._size:
            self._size = end
            file.seek(self._start)
            file.write(_header(self._size))
        file.flush()


def _size_left(header: bytes) -> int:
    """Return how many bytes of audio a header of ours says that there are; 0 where it is none."""
    if len(header) < _HEADER.size:
        return 0
    size = int.from_bytes(header[-4:], "little")
    return size if header == _header(size) else 0


def read_channels(data: bytes) -> tuple[bytes, bytes]:
    """The two channels of a recording that this gateway wrote, as mu-law; else ``ValueError``."""
    if (
        len(data) < _HEADER.size
        or data[8:16] != b"WAVEfmt "
        or data[20:24] != struct.pack("<HH", FORMAT_MULAW, CHANNELS)
    ):
        raise ValueError("not a recording of two channels of mu-law")
    (size,) = struct.unpack_from("<I", data, _HEADER.size - 4)
    body = data[_HEADER.size : _HEADER.size + size]
    return body[0::2], body[1::2]


def read(data: bytes) -> bytes:
    """The audio of a WAV file (8 kHz, one channel, mu-law or 16-bit PCM) as mu-law; else ``ValueError``."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"not a WAV file; {_REMEDY}")
    layout: tuple[int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt ":
            layout = _layout(body)
        elif name == b"data":
            if layout is None:
                raise ValueError("a damaged WAV file: its audio comes before its format")
            return _mulaw(body, *layout)
        at += 8 + size + size % 2
    raise ValueError("a damaged WAV file: it has no audio")


def _layout(body: bytes) -> tuple[int, int, int, int]:
    """Format, channels, rate and bits to a sample from a ``fmt`` chunk."""
    try:
        kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
        if kind == FORMAT_EXTENSIBLE:
            (kind,) = struct.unpack_from("<H", body, 24)
    except struct.error:
        raise ValueError("a damaged WAV file: its format is cut short") from None
    return kind, channels, rate, bits


def _mulaw(body: bytes, kind: int, channels: int, rate: int, bits: int) -> bytes:
    if channels != 1:
        raise ValueError(f"{channels} channels; {_REMEDY}")
    if rate != SAMPLE_RATE:
        raise ValueError(f"{rate} Hz; {_REMEDY}")
    if (kind, bits) == (FORMAT_MULAW, 8):
        return body
    if (kind, bits) != (FORMAT_PCM, 16):
        raise ValueError(f"format {kind} with {bits} bits to a sample; {_REMEDY}")
    samples = array("h", body[: len(body) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return from_pcm(samples.tobytes())
