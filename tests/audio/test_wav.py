import io
import struct
import wave
from array import array
from pathlib import Path

import pytest

from gateway.audio import wav
from gateway.audio.g711 import to_pcm
from gateway.audio.tones import beep


def chunks(data: bytes) -> dict[bytes, bytes]:
    assert data[:4] == b"RIFF"
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    found, at = {}, 12
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        found[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)
    return found


def make(
    kind: int = 7, channels: int = 1, rate: int = 8000, bits: int = 8, body: bytes = b"\xff" * 8, before: bytes = b""
) -> bytes:
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    data = before + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(data)) + b"WAVE" + data


def test_a_recording_is_a_whole_file_at_any_instant(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with path.open("w+b", buffering=0) as file:
        writer = wav.WavWriter(file)
        assert chunks(path.read_bytes())[b"data"] == b""
        for number in range(1, 6):
            writer.write(bytes([number]) * 160, bytes([100 + number]) * 160)
            found = chunks(path.read_bytes())
            assert found[b"data"] == b"".join(bytes([n, 100 + n]) * 160 for n in range(1, number + 1))
            assert struct.unpack("<I", found[b"fact"]) == (number * 160,)
            assert struct.unpack("<HHIIHHH", found[b"fmt "]) == (7, 2, 8000, 16000, 2, 8, 0)
        assert writer.milliseconds == 100


def test_one_silent_side_is_filled_up() -> None:
    file = io.BytesIO()
    wav.WavWriter(file).write(b"abc", b"x")
    assert chunks(file.getvalue())[b"data"] == b"axb\xffc\xff"


def test_a_crash_between_audio_and_header_leaves_what_was_there_before() -> None:
    class Full(io.BytesIO):
        broken = False

        def seek(self, offset: int, whence: int = 0) -> int:
            if self.broken and offset == 0:
                raise OSError("disk full")
            return super().seek(offset, whence)

    file = Full()
    writer = wav.WavWriter(file)
    writer.write(b"ab", b"cd")
    file.broken = True
    with pytest.raises(OSError, match="full"):
        writer.write(b"ef", b"gh")
    data = file.getvalue()
    size = struct.unpack_from("<I", data, 54)[0]
    assert data[58 : 58 + size] == b"acbd"


def test_pcm_and_mulaw_are_read_as_mulaw(tmp_path: Path) -> None:
    sound = beep()
    path = tmp_path / "beep.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        samples = array("h", to_pcm(sound))
        file.writeframes(samples.tobytes())
    assert wav.read(path.read_bytes()) == sound
    assert wav.read(make(body=sound)) == sound


def test_other_chunks_are_passed_over() -> None:
    assert wav.read(make(before=b"LIST" + struct.pack("<I", 3) + b"abc\0")) == b"\xff" * 8


def test_an_extensible_header_names_its_format_further_in() -> None:
    form = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 8000, 8000, 1, 8, 22, 8, 0, 7) + b"\0" * 14
    data = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 2) + b"\xff\xff"
    assert wav.read(b"RIFF" + struct.pack("<I", 4 + len(data)) + b"WAVE" + data) == b"\xff\xff"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"ID3 an mp3", "not a WAV"),
        (make(channels=2), "2 channels"),
        (make(rate=44100), "44100 Hz"),
        (make(kind=3, bits=32), "format 3"),
        (make(kind=1, bits=8), "8 bits"),
        (make()[:20], "damaged"),
        (make()[:12], "no audio"),
        (b"RIFF\0\0\0\0WAVEdata\2\0\0\0ab", "before its format"),
        (b"RIFF\0\0\0\0WAVEfmt \2\0\0\0ab", "cut short"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        wav.read(data)
