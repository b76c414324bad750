import audioop
import base64
import struct
import wave
from io import BytesIO

import pytest

from gateway.config.clips import read_clip
from gateway.config.loader import load


def wav(audio: bytes, *, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((channels, width, rate, 0, "NONE", ""))
        writer.writeframes(audio)
    return file.getvalue()


def mu_law_wav(audio: bytes) -> bytes:
    form = struct.pack("<HHIIHHH", 7, 1, 8000, 8000, 1, 8, 0)
    chunks = (
        b"fmt "
        + struct.pack("<I", len(form))
        + form
        + b"LIST\x03\x00\x00\x00abc\x00"
        + b"data"
        + struct.pack("<I", len(audio))
        + audio
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def test_pcm_becomes_whole_frames_of_mu_law():
    audio = struct.pack("<200h", *range(0, 20000, 100))
    clip = read_clip(wav(audio), "Hello.")
    assert (clip.size, clip.text) == (320, "Hello.")
    assert base64.b64decode(clip.payload) == audioop.lin2ulaw(audio, 2) + b"\xff" * 120


def test_mu_law_is_left_as_it_is():
    audio = bytes(range(160))
    assert base64.b64decode(read_clip(mu_law_wav(audio)).payload) == audio


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a WAV file"),
        (b"OggS", "not a WAV file"),
        (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcd", "damaged"),
        (wav(b"\0" * 320, rate=16000), "16000 Hz"),
        (wav(b"\0" * 320, channels=2), "2 channels"),
        (wav(b"\0" * 320, width=1), "8 bits"),
        (wav(b""), "no sound"),
    ],
)
def test_what_a_phone_can_not_play_is_refused(content, why):
    with pytest.raises(ValueError, match=why):
        read_clip(content)


def test_a_line_may_greet_with_a_recording(write):
    text = "instructions: A\nvars: {x: hello}\ngreeting: {clip: 'clips/{{x}}.wav', text: 'Hi {{x}}.'}\n"
    policy = load(write({"a.yaml": text, "clips/hello.wav": wav(b"\0" * 640)})).lines["a"].policy()
    assert policy.greeting == "Hi hello."
    assert policy.greeting_clip
    assert (policy.greeting_clip.size, policy.greeting_clip.text) == (320, "Hi hello.")
