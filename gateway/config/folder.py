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
_MOST = 5_000
"""Files; a folder that has more is another one."""


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
        raise ConfigError([_no_folder(path)])
    files: dict[str, bytes] = {}
    faults: list[Fault] = []
    seen = 0
    for root, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            if name.startswith((".", "#")) or name.endswith(("~", ".swp", ".tmp", ".pyc")):
                continue
            seen += 1
            if seen > _MOST:
                remedy = "name the folder of lines itself, such as agents_config"
                raise ConfigError([Fault(str(path), 1, 1, f"the folder holds more than {_MOST} files", remedy)])
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


def _no_folder(path: Path) -> Fault:
    if path.exists():
        return Fault(str(path), 1, 1, "this is no folder", f"name the one that it is in: {path.parent}")
    remedy = "gateway init writes a first one; GATEWAY_CONFIG_DIR says where another is"
    return Fault(str(path), 1, 1, "the folder does not exist", remedy)
