import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main


class Ran:
    """What a command left behind."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects that it printed, one for each line."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def gateway(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ran]:
    """Return a function that runs a command in an empty folder, 200 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("GATEWAY_CONFIG_DIR", raising=False)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capsys.readouterr()
        return Ran(left.value.code if isinstance(left.value.code, int) else 0, captured.out, captured.err)

    return run


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Return a folder of two good lines."""
    folder = tmp_path / "agents_config"
    (folder / "agents").mkdir(parents=True)
    (folder / "_defaults.yaml").write_text("model:\n  voice: cedar\n")
    (folder / "desk.yaml").write_text('number: "+14155550100"\nagent: host\nmodel: {headers: {api-key: "${KEY}"}}\n')
    (folder / "agents" / "host.yaml").write_text("instructions: Hi\ntools: [hang_up]\n")
    (folder / "other.yaml").write_text("default: true\ninstructions: Ho\n")
    return folder
