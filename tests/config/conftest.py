from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway.config.loader import load
from gateway.errors import ConfigError

Files = Mapping[str, str | bytes]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Files], Path]:
    """Return a function that writes a folder of lines and returns its path."""

    def write_files(files: Files) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write_files


@pytest.fixture
def faults_of(write: Callable[[Files], Path]) -> Callable[..., list[str]]:
    """Return a function that writes a folder of lines and returns what is wrong with it."""

    def faults(files: Files, environment: Mapping[str, str] | None = None) -> list[str]:
        folder = write(files)
        with pytest.raises(ConfigError) as caught:
            load(folder, environment)
        assert all(fault.remedy for fault in caught.value.faults)
        return [str(fault).replace(f"{folder}/", "").replace(str(folder), ".") for fault in caught.value.faults]

    return faults
