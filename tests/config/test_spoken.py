"""What callers hear is a text, a recording, or either by language, wherever a line says something."""

import hashlib
import json
import wave
from io import BytesIO

import pytest

from gateway.call.outcome import WordsHeard
from gateway.call.plan import Announce, Say
from gateway.config.loader import load
from gateway.exchange import notice


def wav(audio: bytes = b"\0" * 640) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(audio)
    return file.getvalue()


@pytest.fixture
def line(write):
    def read(text, language="de-CH"):
        files = {"a.yaml": f"instructions: Be brief.\nlanguage: {language}\nvars: {{site: Bern}}\n{text}"}
        directory = load(write(files | {"clips/x.wav": wav()}))
        return directory.lines["a"], directory

    return read


def words_at(line, where):
    """Return text and verb of what a line says at a place, as it reaches the call or the carrier."""
    match where:
        case "greeting":
            return line.policy().greeting
        case "on_failure":
            return line.policy().on_failure.words(line.language)
        case "closed":
            assert isinstance(line.closed.outcome, WordsHeard)
            return line.closed.outcome
        case _:
            [verb] = notice(line)
            return verb


FORMS = {
    "greeting": "greeting: {0}\n",
    "on_failure": "on_failure: {{say: {0}}}\n",
    "closed": "hours: {{open: {{mon: '08:00-09:00'}}, closed: {{say: {0}}}}}\n",
    "consent": "recording: {{mode: dual, consent: {0}}}\n",
}
BY_LANGUAGE = '{de: "Hoi {{site}}", fr-CH: "Salut {{site}}"}'


@pytest.mark.parametrize("where", FORMS)
@pytest.mark.parametrize(
    ("language", "text"), [("de-CH", "Hoi Bern"), ("fr-CH", "Salut Bern"), ("fr-FR", "Salut Bern")]
)
def test_the_text_of_the_lines_language_is_heard(line, where, language, text):
    found = words_at(line(FORMS[where].format(BY_LANGUAGE), language)[0], where)
    assert (found if isinstance(found, str) else found.text) == text
    if isinstance(found, Say):
        assert found.language == language


@pytest.mark.parametrize("where", ["on_failure", "closed", "consent"])
@pytest.mark.parametrize("form", ["{0}", "{{de-CH: {0}, fr: Salut}}"])
def test_a_recording_is_played_by_the_carrier(line, where, form):
    clip = form.format('{clip: clips/x.wav, text: "Hoi {{site}}"}')
    config, directory = line(FORMS[where].format(clip))
    found = words_at(config, where)
    name = f"{hashlib.sha256(wav()).hexdigest()[:32]}.wav"
    sound = found.url if isinstance(found, Announce) else found.sound
    assert (sound, found.text) == (f"/twilio/clips/{name}", "Hoi Bern")
    assert directory.sounds[name] == wav()


def test_a_greeting_is_played_into_the_stream(line):
    config, _ = line('greeting: {fr: Salut, de: {clip: clips/x.wav, text: "Hoi {{site}}"}}\n')
    clip = config.policy().greeting_clip
    assert (clip.size, clip.text) == (320, "Hoi Bern")


@pytest.mark.parametrize("where", FORMS)
def test_a_language_without_a_text_is_a_fault(faults_of, where):
    text = json.dumps({"de-CH": "Hoi", "fr-CH": "Salut"})
    [fault] = faults_of({"a.yaml": f"instructions: Be brief.\nlanguage: it-CH\n{FORMS[where].format(text)}"})
    assert "there is no text for the language it-CH (add it-CH: to it; there is de-CH, fr-CH)" in fault
