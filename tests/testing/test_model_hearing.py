"""Voice activity by energy, counted in milliseconds of appended audio."""

from gateway.testing.model import SILENCE, encode_frame
from gateway.testing.model.frames import mulaw_to_pcm24k
from gateway.testing.model.hearing import VoiceDetector, VoiceStarted, VoiceStopped

QUIET = bytes([SILENCE]) * 160
LOUD = encode_frame(1)


def audio(*pieces: tuple[bytes, int]) -> bytes:
    return b"".join(frame * (ms // 20) for frame, ms in pieces)


def test_speech_starts_with_its_padding_and_stops_with_the_silence_that_proved_it() -> None:
    detector = VoiceDetector(silence_ms=500, prefix_ms=300)
    events = detector.hear(audio((QUIET, 1000), (LOUD, 800), (QUIET, 1000)))
    assert events == [VoiceStarted(700), VoiceStopped(2300)]


def test_the_padding_does_not_reach_before_the_beginning() -> None:
    assert VoiceDetector(prefix_ms=300).hear(audio((LOUD, 100))) == [VoiceStarted(0)]


def test_a_click_is_no_speech_and_a_short_pause_no_end() -> None:
    assert VoiceDetector().hear(audio((QUIET, 200), (LOUD, 40), (QUIET, 800))) == []
    assert VoiceDetector(silence_ms=500).hear(audio((LOUD, 200), (QUIET, 400), (LOUD, 200))) == [VoiceStarted(0)]


def test_any_cut_of_the_audio_gives_the_same_events() -> None:
    whole = audio((QUIET, 400), (LOUD, 400), (QUIET, 700))
    expected = VoiceDetector().hear(whole)
    assert len(expected) == 2
    for size in (1, 7, 160, 333, 480):
        detector = VoiceDetector()
        events = [event for at in range(0, len(whole), size) for event in detector.hear(whole[at : at + size])]
        assert events == expected


def test_a_higher_threshold_wants_louder_speech() -> None:
    soft = bytes([0xD8]) * 160  # about -34 dBFS
    assert VoiceDetector(threshold=0.3).hear(soft * 10) == [VoiceStarted(0)]
    assert VoiceDetector(threshold=0.9).hear(soft * 10) == []


def test_pcm_is_heard_like_mulaw() -> None:
    whole = audio((QUIET, 400), (LOUD, 400), (QUIET, 700))
    assert VoiceDetector(bytes_per_ms=48).hear(mulaw_to_pcm24k(whole)) == VoiceDetector().hear(whole)


def test_frames_that_are_meant_to_be_silent_are() -> None:
    silent = b"".join(encode_frame(seq, loud=False) for seq in range(200))
    assert VoiceDetector(threshold=0.4).hear(silent) == []
