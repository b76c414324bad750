"""The speaker of ``gateway talk``, and what is said where there is no sound."""

import sys

import pytest

from gateway.cli.devices import Speaker


def test_sound_comes_in_order_and_a_mark_once_all_before_it_was_taken():
    reached: list[str] = []
    speaker = Speaker(reached.append)
    speaker.mark("at once")
    assert reached == ["at once"]
    speaker.play(b"a" * 100)
    speaker.play(b"b" * 100)
    speaker.mark("one")
    speaker.mark("two")
    speaker.play(b"c" * 10)
    assert speaker.take(160) == b"a" * 100 + b"b" * 60
    assert reached == ["at once"]
    assert speaker.take(40) == b"b" * 40
    assert reached == ["at once", "one", "two"]
    assert speaker.take(20) == b"c" * 10 + b"\xff" * 10


def test_a_clear_sends_its_marks_back_and_leaves_silence():
    reached: list[str] = []
    speaker = Speaker(reached.append)
    speaker.play(b"a" * 500)
    speaker.mark("one")
    speaker.clear()
    assert reached == ["one"]
    assert speaker.take(160) == b"\xff" * 160


def test_a_machine_without_sound_is_told_what_to_do(gateway, tmp_path, monkeypatch):
    (tmp_path / "agents_config").mkdir()
    (tmp_path / "agents_config" / "desk.yaml").write_text('number: "+14155550100"\ninstructions: Be brief.\n')
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    ran = gateway("talk", "desk")
    assert ran.status == 1
    assert ran.err.startswith("No sound: sounddevice is not installed. pip install sounddevice")
    assert "--microphone FILE.wav" in ran.err


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), (b"mp3", "not a WAV file")])
def test_a_recording_that_cannot_be_played_is_named(gateway, tmp_path, content, why):
    if content is not None:
        (tmp_path / "in.wav").write_bytes(content)
    ran = gateway("talk", "desk", "--url", "http://127.0.0.1:9", "--microphone", "in.wav")
    assert ran.status == 1
    assert ran.err.startswith("in.wav: ")
    assert why in ran.err
