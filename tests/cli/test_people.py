import json
import zipfile

import pytest

from tests.records import Talk

NUMBER = "+14155550123"


@pytest.fixture
def one(gateway, tmp_path, whole, writer, monkeypatch) -> Talk:
    """A call in the records of this folder, and the line that it was of."""
    for name in ("DATABASE_URL", "GATEWAY_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "agents_config").mkdir()
    (tmp_path / "agents_config" / "desk.yaml").write_text(
        "default: true\ninstructions: Be brief.\ntranscript: {keep: 30d}\n"
    )
    call: Talk = whole(keep_transcript=60.0)
    writer.stop()
    (tmp_path / "data").mkdir()
    writer.folder.rename(tmp_path / "data" / "calls")
    gateway("db", "rebuild")
    return call


def test_somebody_gets_what_is_known_of_them_and_is_erased(gateway, one, tmp_path):
    assert gateway("people", "export", "14155550123").status == 2
    assert "1 calls" in gateway("people", "export", NUMBER, "-o", "ann.zip").out
    with zipfile.ZipFile(tmp_path / "ann.zip") as archive:
        turns = json.loads(archive.read(f"{one.call_id}/transcript.json"))
    assert turns[1]["heard"] == "I lost my blue umbrella in seat 14C"
    assert gateway("people", "hold", NUMBER, "--why", "a dispute").status == 0
    assert gateway("people", "hold", NUMBER, "--why", "a dispute").status == 78
    assert gateway("people", "holds", "--json").objects[0]["why"] == "a dispute"
    assert "there is no call nonsense" in gateway("people", "hold", "nonsense", "--why", "x").err
    assert gateway("people", "hold", one.log_sid, "--why", "y").out == f"{one.call_id} is held.\n"
    assert gateway("people", "release", one.call_id[:13]).out == f"{one.call_id} is released.\n"
    assert one.call_id in gateway("people", "erase", NUMBER, "--yes").err
    assert gateway("people", "release", NUMBER).status == 0
    assert gateway("people", "release", NUMBER).status == 1
    assert "1 calls are erased" in gateway("people", "erase", NUMBER, "--yes").out
    assert gateway("calls", "list", "--json").objects == []
    audited = gateway("audit", "list", "--json")
    actions = ["person-exported", *["hold-placed"] * 2, *["hold-released"] * 2, "call-erased"]
    assert [entry["action"] for entry in audited.objects] == actions
    assert NUMBER not in audited.out


def test_what_a_line_keeps_no_longer_is_removed_and_an_auditor_sees_it(gateway, one, tmp_path):
    assert gateway("purge", "--json").objects == [{"transcripts": 1, "recordings": 0, "calls": 0}]
    assert gateway("purge", "--json").objects == [{"transcripts": 0, "recordings": 0, "calls": 0}]
    assert gateway("audit", "bundle", "--line", "nowhere").status == 2
    gateway("audit", "bundle", "--line", "desk", "-o", "desk.zip")
    with zipfile.ZipFile(tmp_path / "desk.zip") as archive:
        parts = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    assert parts["storage.json"]["settings"]["transcript.keep"] == "30d"
    assert parts["storage.json"]["kept"]["calls"] == 1
    assert parts["storage.json"]["kept"]["transcripts"] == 0
    assert parts["retention.json"][0]["detail"] == {"recordings": 0, "transcripts": 1}
    assert parts["integrity.json"]["first_broken_entry"] is None
    assert gateway("purge", "--older-than", "30d", "--yes", "--json").objects[0]["calls"] == 1
    assert gateway("calls", "list", "--json").objects == []
