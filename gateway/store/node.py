"""Which process writes to a folder of logs, and whether it still runs."""

from __future__ import annotations

import fcntl
import uuid
from pathlib import Path
from typing import IO


class NodeLock:
    """A lock that lives exactly as long as this process; the logs that it begins carry its name."""

    def __init__(self, folder: Path) -> None:
        self.node = uuid.uuid4().hex
        self._path = _path(folder, self.node)
        self._file: IO[bytes] | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            OSError: the folder is not writable.
        """
        self._file = self._path.open("wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()


def lives(folder: Path, node: str) -> bool:
    """Say whether the process that began a log still runs on this machine, so that its open logs are its own."""
    try:
        with _path(folder, node).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def forget_dead(folder: Path) -> None:
    """Remove the locks that dead processes left."""
    for path in folder.glob(".*.lock"):
        if not lives(folder, path.stem.removeprefix(".")):
            path.unlink(missing_ok=True)


def _path(folder: Path, node: str) -> Path:
    return folder / f".{node}.lock"
