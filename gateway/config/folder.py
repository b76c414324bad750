"""A folder of lines as bytes: read once, so that what is checked, hashed and used is the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError, Fault

_LARGEST = 50_000_000
"""Bytes of one file; clips are the largest that belong here."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Every file of the folder by its path within it, with ``/``; hidden files and editors' leavings are left out."""

    path: Path
    files: Mapping[str, bytes]

    def shown(self, name: str) -> str:
        """Return how people find the file: the folder as they named it, and the path within."""
        return str(self.path / name)

    @property
    def hash(self) -> str:
        """The same for the same names and contents, whatever the order, the machine or the time."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            digest.update(f"{len(name.encode())}:{name}{len(content)}:".encode())
            digest.update(content)
        return digest.hexdigest()[:16]

    def text(self, name: str) -> tuple[str, Fault | None]:
        """Return a text file's content, or the fault that it is not UTF-8."""
        content = self.files[name]
        try:
            return content.decode("utf-8-sig").replace("\r\n", "\n"), None
        except UnicodeDecodeError as error:
            before = content[: error.start].decode("utf-8")
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            message = f"byte 0x{content[error.start]:02x} is not UTF-8"
            return "", Fault(self.shown(name), line, column, message, "save the file as UTF-8")


def read_folder(path: Path) -> Folder:
    """Read the folder.

    Raises:
        ConfigError: it is not there, or a file in it can't be read.
    """
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise ConfigError([Fault(str(path), 1, 1, f"the folder {what}", "gateway init writes a first one")])
    files: dict[str, bytes] = {}
    faults: list[Fault] = []
    for root, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            if name.startswith((".", "#")) or name.endswith(("~", ".swp", ".tmp", ".pyc")):
                continue
            file = Path(root) / name
            try:
                if file.stat().st_size > _LARGEST:
                    faults.append(
                        Fault(str(file), 1, 1, f"the file is larger than {_LARGEST} bytes", "move it elsewhere")
                    )
                else:
                    files[file.relative_to(path).as_posix()] = file.read_bytes()
            except OSError as error:
                faults.append(
                    Fault(
                        str(file), 1, 1, f"the file can't be read: {error.strerror}", "let the gateway's user read it"
                    )
                )
    if faults:
        raise ConfigError(faults)
    return Folder(path, files)
