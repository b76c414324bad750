import struct
from xml.etree import ElementTree as ET

import pytest

LINE = """
number: "+14155550100"
language: de-CH
vars: {site: Bern & Biel}
instructions: Hi
transfer: {desk: {to: "+41445550111", timeout: 25s, caller_id: "+41445550100"}}
on_failure: {say: "Praxis {{site}}, einen Moment.", then: transfer:desk}
"""


def wav(samples):
    form = struct.pack("<HHIIHH", 7, 1, 8000, 8000, 1, 8)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", samples) + b"\xff" * samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "agents_config"
    (path / "clips").mkdir(parents=True)
    (path / "desk.yaml").write_text(LINE)
    (path / "clips" / "sorry.wav").write_bytes(wav(320))
    return path


@pytest.mark.usefixtures("folder")
def test_what_the_line_does_when_all_else_fails_as_a_document_that_asks_nobody(gateway):
    ran = gateway("fallback", "export", "--line", "desk")
    document = ET.fromstring(ran.out)
    assert [verb.tag for verb in document] == ["Say", "Dial"]
    say, dial = document
    assert (say.get("language"), say.text) == ("de-CH", "Praxis Bern & Biel, einen Moment.")
    assert (dial.get("timeout"), dial.get("callerId"), dial.get("action")) == ("25", "+41445550100", None)
    assert [number.text for number in dial] == ["+41445550111"]


def test_as_it_is_on_a_number(gateway, folder):
    rows = 'numbers: {"+41225550100": {line: desk, vars: {site: Genf}, transfer: {desk: {to: "+41225550111"}}}}\n'
    (folder / "_numbers.yaml").write_text(rows)
    say, dial = ET.fromstring(gateway("fallback", "export", "--line", "desk", "--number", "+41225550100").out)
    assert (say.text, [number.text for number in dial]) == ("Praxis Genf, einen Moment.", ["+41225550111"])


def test_a_recording_is_left_to_the_carriers_voice(gateway, folder):
    clip = "{clip: clips/sorry.wav, text: Wir sind gleich da.}"
    (folder / "desk.yaml").write_text(f"instructions: Hi\non_failure: {{say: {clip}}}\n")
    say, end = ET.fromstring(gateway("fallback", "export", "--line", "desk").out)
    assert (say.text, end.tag) == ("Wir sind gleich da.", "Hangup")


def test_a_recording_without_words_can_not_be_exported(gateway, folder):
    (folder / "desk.yaml").write_text("instructions: Hi\non_failure: {say: {clip: clips/sorry.wav}}\n")
    ran = gateway("fallback", "export", "--line", "desk")
    assert (ran.status, ran.out) == (1, "")
    assert "add its text:" in ran.err


@pytest.mark.usefixtures("folder")
def test_an_unknown_line(gateway):
    ran = gateway("fallback", "export", "--line", "dsek")
    assert (ran.status, "did you mean desk?" in ran.err) == (2, True)
