"""The user's Python in ``agents_config/``, loaded from its files."""

from __future__ import annotations

import difflib
import importlib
import itertools
import re
import sys
import threading
import traceback
import weakref
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from gateway.errors import ConfigError, Fault

_serial = itertools.count(1)


class UserCode:
    """The modules of one snapshot of the folder: files in its ``tools/``, and beside the lines.

    They are loaded under names that belong to this object alone, from the folder alone: new code after a reload is
    really new, calls that began before keep theirs, and a module of the same name elsewhere on ``sys.path`` is never
    mistaken for one of them. Modules of the folder import each other relatively (``from .prices import PRICES``).
    Loading runs the user's code and may take long; it may be done on any thread. When the object is gone, so are the
    modules' names.
    """

    def __init__(self, folder: Path, snapshot: str = "") -> None:
        self.folder = folder
        label = re.sub(r"\W", "", snapshot)[:8]
        self._package = f"agents_config_{label or 'live'}_{next(_serial)}"
        self._lock = threading.Lock()
        finder = _Finder(self._package, folder)
        sys.meta_path.insert(0, finder)
        weakref.finalize(self, _forget, finder, self._package)

    def get(self, reference: str) -> object:
        """Return what ``module:name`` names.

        Raises:
            ConfigError: there is no such file or name, or the module fails while it is loaded; with file and line.
        """
        module_name, _, name = reference.partition(":")
        module = self._load(module_name, reference)
        try:
            return getattr(module, name)
        except AttributeError:
            near = difflib.get_close_matches(name, [key for key in vars(module) if not key.startswith("_")], n=1)
            remedy = f"did you mean {module_name}:{near[0]}?" if near else ""
            fault = Fault(self._shown(module.__file__), 1, 1, f"defines no {name!r}, which {reference!r} names", remedy)
            raise ConfigError([fault]) from None

    def file(self, reference: str) -> str:
        """Return the file that a reference leads to, as faults call it."""
        path = _module_file(self.folder, reference.partition(":")[0])
        return str(path or self.folder)

    def _load(self, name: str, reference: str) -> ModuleType:
        if _module_file(self.folder, name) is None:
            missing = self.folder / "tools" / Path(*name.split(".")).with_suffix(".py")
            raise ConfigError([Fault(str(missing), 1, 1, f"there is no such file, but {reference!r} names it")])
        try:
            with self._lock:
                return importlib.import_module(f"{self._package}.{name}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ConfigError([self._fault(error, name)]) from error

    def _fault(self, error: BaseException, module: str) -> Fault:
        """Say where in the user's files a module failed."""
        if isinstance(error, SyntaxError):
            return Fault(self._shown(error.filename), error.lineno or 1, error.offset or 1, f"not Python: {error.msg}")
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if self._is_own(frame.filename)]
        message = f"fails when it is loaded: {type(error).__name__}: {error}"
        remedy = ""
        if isinstance(error, ModuleNotFoundError) and error.name and _module_file(self.folder, error.name):
            remedy = f"modules of this folder are imported with a dot: from .{error.name} import ..."
        if not own:
            return Fault(self.file(module), 1, 1, message, remedy)
        return Fault(self._shown(own[-1].filename), own[-1].lineno or 1, 1, message, remedy)

    def _is_own(self, path: str) -> bool:
        return Path(path).is_relative_to(self.folder.absolute())

    def _shown(self, path: str | None) -> str:
        """Name a file as the folder was named, not by the absolute path that the import system makes of it."""
        if path is None:
            return str(self.folder)
        return str(self.folder / Path(path).relative_to(self.folder.absolute())) if self._is_own(path) else path


def _module_file(folder: Path, module: str) -> Path | None:
    relative = Path(*module.split(".")).with_suffix(".py")
    return next((path for path in (folder / "tools" / relative, folder / relative) if path.is_file()), None)


def _forget(finder: _Finder, package: str) -> None:
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


class _Finder(MetaPathFinder):
    """Finds the modules of one package, and nothing else."""

    def __init__(self, package: str, folder: Path) -> None:
        self._package = package
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module by its whole name, as the import system asks."""
        del path, target
        if fullname == self._package:
            return _package_spec(fullname, [self._folder / "tools", self._folder])
        if not fullname.startswith(f"{self._package}."):
            return None
        name = fullname.removeprefix(f"{self._package}.")
        file = _module_file(self._folder, name)
        if file is not None:
            return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file)))
        relative = Path(*name.split("."))
        places = [place for root in ("tools", ".") if (place := self._folder / root / relative).is_dir()]
        init = next((place / "__init__.py" for place in places if (place / "__init__.py").is_file()), None)
        if init is not None:
            loader = _Loader(fullname, str(init))
            return spec_from_file_location(fullname, init, loader=loader, submodule_search_locations=[str(init.parent)])
        return _package_spec(fullname, places) if places else None


def _package_spec(name: str, places: Sequence[Path]) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(place) for place in places]
    return spec


class _Loader(SourceFileLoader):
    """Reads a module from its source each time.

    Bytecode caches are told apart by size and whole seconds, so an edit that follows the last one closely would go
    unseen; and nothing is to be written into the user's folder.
    """

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        """Say that nothing is known of the file, so that no cache is read or written."""
        raise OSError(path)
