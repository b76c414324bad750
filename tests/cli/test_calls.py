import pytest


@pytest.fixture(autouse=True)
def here(monkeypatch):
    for name in ("DATABASE_URL", "GATEWAY_DATA_DIR", "GATEWAY_TOKEN", "PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def two(gateway, tmp_path, whole, writer):
    """Two calls in the records of this folder."""
    calls = [whole(wall=1_700_000_000.0), whole(wall=1_700_003_600.0, caller="+14155550177")]
    writer.stop()
    (tmp_path / "data").mkdir()
    writer.folder.rename(tmp_path / "data" / "calls")
    gateway("db", "rebuild")
    return calls


def test_calls_are_listed_and_found(gateway, two):
    assert [row["id"] for row in gateway("calls", "list", "--json").objects] == [two[1].call_id, two[0].call_id]
    assert [row["id"] for row in gateway("calls", "list", "--caller", "+14155550177", "--json").objects] == [
        two[1].call_id
    ]
    assert gateway("calls", "list", "--live", "--json").objects == []
    assert gateway("calls", "list", "--since", "1d", "--json").objects == []
    assert len(gateway("calls", "list", "--since", "99y", "--until", "1w", "--json").objects) == 2
    assert gateway("calls", "list", "--until", "99y", "--json").objects == []
    assert gateway("calls", "list", "--since", "soon").status == 2
    assert len(gateway("calls", "list", "--status", "completed", "--json").objects) == 2
    assert gateway("calls", "list", "--status", "busy").out == "No such calls.\n"
    assert "foo is none of success" in gateway("calls", "list", "--result", "foo").err
    found = gateway("calls", "list", "-q", "umbrella", "-n", "1")
    assert two[1].call_id in found.out
    assert "success: caller-hung-up" in found.out
    assert two[0].call_id not in found.out


def test_one_call_is_shown(gateway, two, tmp_path):
    shown = gateway("calls", "show", two[0].log_sid)
    assert "ended_by: caller" in shown.out
    assert "target sales" in shown.out
    assert "words_removed" not in shown.out
    assert gateway("calls", "show", two[0].call_id, "--json").objects[0]["began"] == "2023-11-14T22:13:20.000+00:00"
    text = gateway("calls", "transcript", two[0].call_id).out
    assert "caller: I lost my blue umbrella in seat 14C" in text
    assert "[" in text  # what the caller did not hear
    gateway("calls", "transcript", two[0].call_id, "-o", str(tmp_path / "text"))
    assert (tmp_path / "text").read_text() == text
    assert gateway("calls", "transcript", two[0].call_id, "--json").objects[0]["item_id"] == "greet"
    assert "there is no call nowhere" in gateway("calls", "show", "nowhere").err
    assert "several calls begin with 018b" in gateway("calls", "show", "018b").err
    gateway("people", "erase", "+14155550177", "--yes")
    assert f"the call {two[1].call_id} was erased at 20" in gateway("calls", "show", two[1].call_id).err


def test_a_recording_is_copied(gateway, two, tmp_path):
    assert gateway("calls", "recording", two[0].call_id).status == 2
    (tmp_path / "data" / "recordings").mkdir()
    (tmp_path / "data" / "recordings" / f"{two[0].call_id}.wav").write_bytes(b"RIFFsound")
    gateway("calls", "recording", two[0].call_id, "-o", "copy.wav")
    assert (tmp_path / "copy.wav").read_bytes() == b"RIFFsound"


def test_the_end_is_asked_of_the_gateway_that_runs(gateway, two, monkeypatch):
    assert "GATEWAY_TOKEN" in gateway("calls", "end", two[0].call_id).err
    monkeypatch.setenv("GATEWAY_TOKEN", "gw_x")
    monkeypatch.setenv("PORT", "1")
    assert gateway("calls", "end", two[0].call_id).status == 3


def test_tokens_are_made_listed_and_revoked(gateway):
    assert gateway("tokens", "create", "crm", "--scope", "everything").status == 2
    made = gateway("tokens", "create", "crm", "--scope", "read", "--scope", "listen", "--days", "30", "--json").objects[
        0
    ]
    assert made["scopes"] == ["read", "listen"]
    [listed] = gateway("tokens", "list", "--json").objects
    assert listed == {key: value for key, value in made.items() if key != "token"}
    assert "crm" in gateway("tokens", "list").out
    assert gateway("tokens", "revoke", made["id"]).status == 0
    assert gateway("tokens", "revoke", made["id"]).status == 1
    assert gateway("tokens", "list", "--json").objects[0]["revoked"]
