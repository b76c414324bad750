import math
from array import array

import pytest

from gateway.audio.g711 import level, to_pcm
from gateway.audio.tones import DTMF, beep, dtmf, ringback


def power(audio: bytes, frequency: int) -> float:
    """How much of a frequency is in the audio (Goertzel)."""
    turn = 2 * math.cos(2 * math.pi * frequency / 8000)
    one = two = 0.0
    for sample in array("h", to_pcm(audio)):
        one, two = sample + turn * one - two, one
    return one * one + two * two - turn * one * two


@pytest.mark.parametrize("key", DTMF)
def test_a_key_is_heard_as_its_two_frequencies(key: str) -> None:
    audio = dtmf(key, 100, 0)
    row, column = sorted(
        (697, 770, 852, 941, 1209, 1336, 1477, 1633), key=lambda frequency: power(audio, frequency), reverse=True
    )[:2]
    assert {row, column} == set(DTMF[key])


def test_keys_are_apart() -> None:
    assert len(dtmf("12#")) == 3 * 200 * 8
    with pytest.raises(KeyError):
        dtmf("x")


def test_ringback_is_two_seconds_of_tone_and_four_of_silence() -> None:
    assert len(ringback()) == 6000 * 8
    assert level(ringback()[: 2000 * 8]) > -25
    assert level(ringback()[2000 * 8 :]) == -96


def test_a_beep_swells_and_fades() -> None:
    audio = beep()
    assert level(audio[:8]) < level(audio[1000:1400]) - 10
    assert level(audio[-8:]) < level(audio[1000:1400]) - 10
