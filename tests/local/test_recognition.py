"""What is understood of recorded people, through 8 kHz and mu-law, and of our own voice."""

from importlib import import_module
from pathlib import Path

import pytest

from gateway.local.wer import errors, normal

pytestmark = [pytest.mark.anyio, pytest.mark.local]

SPEECH = Path(__file__).parents[1] / "speech"
KEYWORDS = {
    "librivox_austen_0870.wav": {"dashwood", "leisure", "power"},
    "librivox_austen_0880.wav": {"young", "man"},
    "librivox_austen_0890.wav": {"selfish", "disposed"},
    "cmu_goforward.wav": {"forward", "ten", "meters"},
    "cmu_something.wav": {"somewhere", "something"},
    "cmu_cards_003.wav": {"seven", "clubs"},
    "jfk_inaugural.wav": {"fellow", "country"},
}


async def test_recorded_people_are_understood(engine):
    result = await import_module("gateway.local.measure").recognize_all(engine, SPEECH)
    assert result.rate <= 0.15
    heard = {name: set(normal(text)) for name, _, _, _, text in result.rows}
    for name, wanted in KEYWORDS.items():
        assert wanted <= heard[name], name


@pytest.mark.parametrize(("wrong", "said", "heard"), [(0, "a b c", "a b c"), (1, "a b c", "a c"), (2, "a b", "x b y")])
def test_errors_are_counted(engine, wrong, said, heard):
    assert errors(said.split(), heard.split()) == wrong


@pytest.mark.parametrize("voice", ["marin", "cedar", "ash", "coral"])
async def test_our_own_voice_is_understood_in_every_pitch(engine, sound, voice):
    speech = import_module("gateway.local.speech")
    text = "Your table for four people is booked on Tuesday at seven."
    said = await engine.say(text, speech.Manner(voice))
    heard = await engine.recognize(sound.decoder("audio/pcmu")(said.payload))
    assert errors(normal(text), [*normal(heard)]) <= 3


async def test_long_numbers_are_said_figure_by_figure_and_written_as_they_were(engine, sound):
    speech = import_module("gateway.local.speech")
    said = await engine.say("Your number is 481516.", speech.Manner())
    heard = await engine.recognize(sound.decoder("audio/pcmu")(said.payload))
    assert not {"thousand", "hundred"} & set(normal(heard))
    assert "".join(word.text for word in said.words) == "Your number is 481516."


async def test_words_have_the_times_at_which_they_are_heard(engine, sound):
    """Cut where a word ends, the sound has the words up to it and no more."""
    speech = import_module("gateway.local.speech")
    text = "Thank you for calling, your order number is twenty and it will come tomorrow."
    said = await engine.say(text, speech.Manner())
    assert "".join(word.text for word in said.words) == text
    starts = [word.start_ms for word in said.words]
    assert starts == sorted(starts)
    assert said.words[-1].end_ms <= said.duration_ms
    at = next(word for word in said.words if word.text.strip() == "twenty")
    front = await engine.recognize(sound.decoder("audio/pcmu")(said.payload[: int(at.start_ms * 8)]))
    back = await engine.recognize(sound.decoder("audio/pcmu")(said.payload[int(at.end_ms * 8) :]))
    assert "order" in front.lower()
    assert "tomorrow" in back.lower()
    assert "tomorrow" not in front.lower()
    assert "order" not in back.lower()


async def test_speed_and_format_are_honoured(engine):
    speech = import_module("gateway.local.speech")
    slow = await engine.say("This is a test of speed.", speech.Manner(speed=0.75))
    fast = await engine.say("This is a test of speed.", speech.Manner(speed=1.5))
    assert slow.duration_ms > 1.5 * fast.duration_ms
    pcm = await engine.say("This is a test of speed.", speech.Manner(wire="audio/pcm"))
    assert abs(len(pcm.payload) / 48 - pcm.duration_ms) < 1


def test_text_is_cut_into_sentences(engine):
    speech = import_module("gateway.local.speech")
    assert speech.sentences("Dr. Smith is here. He has $9.99! Fine?\nYes.") == [
        "Dr. Smith is here.",
        "He has $9.99!",
        "Fine?",
        "Yes.",
    ]
    assert speech.sentences("  ") == []
    long = ", ".join(["and so it goes on for a while"] * 12)
    assert all(len(one) <= 200 for one in speech.sentences(long))


async def test_silence_and_noise_are_no_words(engine):
    numpy = pytest.importorskip("numpy")
    assert await engine.recognize(numpy.zeros(0, dtype=numpy.float32)) == ""
    noise = numpy.random.default_rng(1).normal(0, 0.01, 8000).astype(numpy.float32)
    assert len((await engine.recognize(noise)).split()) <= 3
