import importlib
import warnings
from array import array

import pytest

from gateway.audio import g711
from gateway.audio.frames import cut
from gateway.audio.tones import beep, tone


def test_every_byte_survives_the_way_to_samples_and_back() -> None:
    every = bytes(byte for byte in range(256) if byte != 0x7F)  # 0x7F and 0xFF are both zero
    assert g711.from_pcm(g711.to_pcm(every)) == every


def test_silence_is_samples_of_zero() -> None:
    assert g711.silence(20) == b"\xff" * 160
    assert set(array("h", g711.to_pcm(g711.silence(20)))) == {0}


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        g711.from_pcm(b"abc")


def test_levels_are_in_dbfs() -> None:
    assert g711.level(b"") == g711.level(g711.silence(100)) == -96.0
    assert g711.level(tone((1000,), 1000, -20.0)) == pytest.approx(-23.0, abs=0.3)


def test_importing_it_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(g711)


def test_audio_is_cut_into_frames_the_last_one_filled_with_silence() -> None:
    frames = list(cut(beep(50)))
    assert [len(frame) for frame in frames] == [160, 160, 160]
    assert frames[-1].endswith(b"\xff" * 80)
    assert list(cut(b"")) == []
