"""gateway demo, really: a model process, a gateway process, one call in real time."""

import json
import xml.etree.ElementTree as ET
from importlib import import_module

import pytest

from gateway.audio.g711 import from_pcm
from gateway.cli import main
from gateway.demo import perform as performing
from gateway.demo.story import MOST_WRONG, STORY, TOOLS


def channels(wav: bytes) -> tuple[bytes, bytes]:
    """Return both channels of a WAV of 16 bits as mu-law."""
    assert wav[:4] == b"RIFF"
    sound = wav[wav.index(b"data") + 8 :]
    left = b"".join(sound[at : at + 2] for at in range(0, len(sound), 4))
    right = b"".join(sound[at + 2 : at + 4] for at in range(0, len(sound), 4))
    return from_pcm(left), from_pcm(right)


@pytest.mark.slow
@pytest.mark.local
@pytest.mark.timeout(300)
def test_the_whole_call(tmp_path, monkeypatch, capsys):
    phones = []
    original = performing._outcome

    def keep(*given):
        phones.append(given[3])
        return original(*given)

    monkeypatch.setattr(performing, "_outcome", keep)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left_with:
        main(["demo", "--out", "shown", "--svg", "call.svg"])
    shown = capsys.readouterr().out
    assert left_with.value.code == 0, shown
    [folder] = (tmp_path / "shown").iterdir()
    outcome = json.loads((folder / "call.json").read_text())
    assert outcome["ok"]
    assert outcome["model"] == "local"
    assert (outcome["result"], outcome["reason"]) == ("success", "done")
    assert set(TOOLS) <= set(outcome["tools"])
    assert len(outcome["handoffs"]) >= 3
    assert outcome["word_error_rate"] <= MOST_WRONG
    recorded = [one["understood"].lower() for one in outcome["exchanged"] if one["kind"] == "recorded"]
    assert "somewhere" in recorded[0]
    assert "young man" in recorded[1]
    cut = next(one for one in outcome["exchanged"] if one["silenced_ms"] is not None)
    assert cut["silenced_ms"] < 2000
    assert any(one["never_heard"] for one in outcome["exchanged"])
    assert all(one["answered_ms"] > 0 for one in outcome["exchanged"])
    assert len(outcome["exchanged"]) == len(STORY)

    # The sound is what the phone had: every byte that the carrier played is at its time, the caller beside it.
    [phone] = phones
    left, right = channels((folder / "call.wav").read_bytes())
    log = phone.call.log
    assert right[: len(phone.call.ear.heard)] == bytes(phone.call.ear.heard)
    assert left[: len(phone.call.mouth.said)] == bytes(phone.call.mouth.said)
    played_ms = sum(piece.to_ms - piece.from_ms for piece in log.played)
    audible_ms = sum(20 for at in range(0, len(right), 160) if set(right[at : at + 160]) != {0xFF})
    assert played_ms * 0.7 < audible_ms <= played_ms + 20 * len(log.played)
    assert log.clears
    assert log.codes() == []

    # For people: who spoke, what was cut off, what was measured, where the files are, and how to go on from here.
    for text in ("barge-in", "never heard", "handoff", "find_booking", "call.wav", "scripted", "--openai"):
        assert text in shown
    picture = (tmp_path / "call.svg").read_text()
    ET.fromstring(picture)
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert "barge-in" in picture

    # And the words of the agent are really in the sound.
    local = import_module("gateway.local.engine").load(1)
    sound = import_module("gateway.local.sound")
    first = right[: int(phone.parts[0].start)]
    heard = local._recognizer.recognize(sound.decoder("audio/pcmu")(first))
    local.close()
    assert "how can i help you" in heard.lower()
