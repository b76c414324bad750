"""gateway replay, from the command line."""

from pathlib import Path

import pytest

from gateway.cli import main
from tests.store.test_replay import barge_in_at, written


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one call."""
    drama, _ = barge_in_at(1)
    written(drama, tmp_path / "data" / "calls")
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path / "data"))
    lines = tmp_path / "lines"
    lines.mkdir()
    (lines / "desk.yaml").write_text("greeting: Hello.\ninstructions: Be brief.\nbarge_in: {allowed: false}\n")
    return lines


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_the_same_code_decides_the_same(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("replay", "0193") == 0
    assert "every decision is the same" in capsys.readouterr().out


def test_a_changed_line_is_shown_by_turn(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("replay", "0193", "--config", str(data)) == 1
    shown = capsys.readouterr().out
    assert "turn 6: caller" in shown
    assert "speech-started: clear, interrupt" in shown
    assert "is a guess" in shown
    assert run("replay", "CA1", "--config", str(data / "desk.yaml"), "--json") == 1
    assert '"number": 6' in capsys.readouterr().out


def test_an_unchanged_line_decides_the_same(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "desk.yaml").write_text("greeting: Hello.\ninstructions: Be brief.\n")
    assert run("replay", "0193", "--config", str(data)) == 0
    assert "every decision is the same" in capsys.readouterr().out


def test_what_is_not_there_is_said(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("replay", "9999") == 2
    assert run("replay", "0193", "--config", str(data), "--line", "dask") == 2
    assert "did you mean desk?" in capsys.readouterr().err
