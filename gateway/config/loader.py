"""Reads a folder of lines into a snapshot, or says everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gateway.config.directory import Directory, Setting
from gateway.config.explain import check
from gateway.config.folder import Folder, read_folder
from gateway.config.line import Line
from gateway.config.names import check_agent
from gateway.config.not_yet import refuse_file, refuse_in_agent, refuse_in_line
from gateway.config.python_names import UserPython
from gateway.config.schema import AgentFile, LineConfig
from gateway.config.tree import Fields, Leaf, Place, merge
from gateway.config.units import NAME
from gateway.config.yaml import read_yaml
from gateway.errors import ConfigError, Fault

_DEFAULTS = "_defaults.yaml"
_OF_ONE_LINE = ("number", "numbers", "default")


def load(folder: Path, environment: Mapping[str, str] | None = None) -> Directory:
    """Read a folder of lines.

    Args:
        folder: such as ``agents_config``.
        environment: what ``${NAME}`` is filled in from; None leaves it as it stands, which is enough for checking
            but not for calling.

    Raises:
        ConfigError: with every fault of every file, in the order of files and lines.
    """
    return parse(read_folder(folder), environment)


def parse(folder: Folder, environment: Mapping[str, str] | None = None) -> Directory:
    """Make a snapshot of a folder that has been read; as :func:`load`."""
    return _Load(folder, environment).directory()


@dataclass(slots=True)
class _Load:
    """One reading of a folder."""

    folder: Folder
    environment: Mapping[str, str] | None
    faults: list[Fault] = field(default_factory=list)
    trusted: bool = True
    """Whether the defaults could be read; names in lines mean nothing without them."""

    def directory(self) -> Directory:
        defaults = self._defaults()
        shared = dict(self._shared_agents())
        python = UserPython(self.folder)
        lines = [*self._lines(defaults, shared, python)]
        self._check_shared(shared, lines, python)
        self.faults += _claims(lines)
        if not lines and not self.faults:
            here = Fault(
                self.folder.shown(""), 1, 1, "there is no line in the folder", "gateway init writes a first one"
            )
            self.faults.append(here)
        if self.faults:
            raise ConfigError(sorted(set(self.faults), key=lambda fault: (fault.file, fault.line, fault.column)))
        configs: dict[str, LineConfig] = {}
        settings: dict[str, tuple[Setting, ...]] = {}
        for line in lines:
            configs[line.id] = line.build(self.environment)
            settings[line.id] = line.settings()
        if self.faults:
            raise ConfigError(self.faults)
        return Directory(
            folder=self.folder.path,
            hash=self.folder.hash,
            lines=MappingProxyType(configs),
            settings=MappingProxyType(settings),
            environment=MappingProxyType({line.id: line.environment_names() for line in lines}),
        )

    def _named(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Go through the YAML files of a folder: name and stem; the rest is refused."""
        for name in sorted(self.folder.files):
            stem = name.removeprefix(prefix)
            if not name.startswith(prefix) or "/" in stem:
                continue
            here = Place(self.folder.shown(name), 1, 1)
            if stem.endswith(".yml"):
                self.faults.append(here.fault(f"{name} is not read", "files end in .yaml: rename it"))
            elif stem.endswith(".yaml") and not (stem.startswith("_") and not prefix):
                stem = stem.removesuffix(".yaml")
                if not NAME.fullmatch(stem):
                    remedy = "use lower-case letters, digits, _ and -, beginning with a letter"
                    self.faults.append(here.fault(f"{stem!r} can't be a name (the file's name is one)", remedy))
                yield name, stem

    def _read(self, name: str) -> Fields | None:
        tree, faults = read_yaml(self.folder.files[name], self.folder.shown(name))
        self.faults += faults
        return tree

    def _defaults(self) -> Fields | None:
        for name in sorted(self.folder.files):
            if fault := refuse_file(name):
                here = Fault(self.folder.shown(name), fault.line, fault.column, fault.message, fault.remedy)
                self.faults.append(here)
        if _DEFAULTS not in self.folder.files:
            return None
        tree = self._read(_DEFAULTS)
        self.trusted = tree is not None
        for key in _OF_ONE_LINE:
            if tree and key in tree.values:
                place = tree.values[key].place
                self.faults.append(place.fault(f"{key} can't be shared by all lines", "write it in one line's file"))
                tree = tree.without((key,))
        return tree

    def _shared_agents(self) -> Iterator[tuple[str, Fields]]:
        for name, stem in self._named("agents/"):
            tree = self._read(name)
            if tree is None:
                yield stem, Fields({})  # Its name is known, so that lines that use it aren't blamed for it.
                continue
            tree, faults = refuse_in_agent(merge(None, tree))
            self.faults += faults
            self.faults += check(AgentFile, tree)[1]
            yield stem, tree

    def _lines(self, defaults: Fields | None, shared: Mapping[str, Fields], python: UserPython) -> Iterator[Line]:
        for name, stem in self._named(""):
            written = self._read(name)
            if written is None:
                continue
            tree, faults = refuse_in_line(merge(defaults, written))
            self.faults += faults
            line = Line(stem, self.folder, written, tree, shared, python)
            self.faults += line.check(self.environment, names=self.trusted)
            yield line

    def _check_shared(self, shared: Mapping[str, Fields], lines: list[Line], python: UserPython) -> None:
        """Check the shared agents that no line uses; nobody else would."""
        known = {**shared, **{name: agent for line in lines for name, agent in line.names.own.items()}}
        used = {name for line in lines for name in line.names.reached()}
        for name, agent in shared.items():
            if name not in used:
                self.faults += check_agent(name, agent, known, python)


def _claims(lines: list[Line]) -> Iterator[Fault]:
    """Go through the numbers, and the role of default, that more than one line claims."""
    first: dict[str, tuple[str, Place]] = {}
    for line in lines:
        leaves = [leaf for leaf in (line.written.text("number"), *line.written.texts("numbers")) if leaf]
        default = line.written.get("default")
        if isinstance(default, Leaf) and default.value is True:
            leaves.append(default)
        for leaf in leaves:
            claim = "default: true" if leaf is default else str(leaf.value)
            if claim not in first:
                first[claim] = line.id, leaf.place
                continue
            other, place = first[claim]
            what = "listed twice" if other == line.id else f"claimed by the line {other} as well"
            yield leaf.place.fault(f"{claim} is {what}, at {place}:{place.column}", "keep one of the two")
