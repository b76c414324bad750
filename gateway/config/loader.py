"""Reads a folder of lines into a snapshot, or says everything that is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from gateway.config.directory import Directory, Setting
from gateway.config.explain import check
from gateway.config.folder import Folder, read_folder
from gateway.config.line import Line
from gateway.config.names import check_agent
from gateway.config.not_yet import refuse_in_agent, refuse_in_line
from gateway.config.parts import Parts
from gateway.config.prices import PRICES_FILE, SHIPPED, Prices, PricesFile
from gateway.config.python_names import UserPython
from gateway.config.resolved import LineConfig
from gateway.config.schema import AgentFile
from gateway.config.table import Row, Table, addresses_of, claims_of
from gateway.config.tree import Fields, Place, merge
from gateway.config.units import NAME
from gateway.config.yaml import read_yaml
from gateway.errors import ConfigError, Fault

USUAL = "agents_config"
"""What the folder of lines is usually called."""
ENVIRONMENT_NAME = "GATEWAY_ENV"
"""The variable that says which table of numbers is read."""


def load(folder: Path, environment: Mapping[str, str] | None = None, env: str = "") -> Directory:
    """Read a folder of lines.

    Args:
        folder: such as ``agents_config``.
        environment: what ``${NAME}`` is filled in from; None leaves it as it stands, which is enough for checking
            but not for calling.
        env: which table of numbers is read, ``_numbers.<env>.yaml``; by default the environment's ``GATEWAY_ENV``.

    Raises:
        ConfigError: with every fault of every file, in the order of files and lines.
    """
    return parse(read_folder(folder), environment, env)


def parse(folder: Folder, environment: Mapping[str, str] | None = None, env: str = "") -> Directory:
    """Make a snapshot of a folder that has been read; as :func:`load`."""
    return _Load(folder, environment, env or (environment or {}).get(ENVIRONMENT_NAME, "")).directory()


@dataclass(slots=True)
class _Load:
    """One reading of a folder."""

    folder: Folder
    environment: Mapping[str, str] | None
    env: str
    faults: list[Fault] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    """Lines whose files are no YAML: they exist, and more can't be said of them."""

    def directory(self) -> Directory:
        parts = Parts.read(self.folder, self.faults)
        shared = dict(self._shared_agents())
        python = UserPython(self.folder)
        lines = {line.id: line for line in self._lines(parts, shared, python)}
        self.faults += parts.check_unused()
        self._check_shared(shared, lines, python)
        table = Table.read(self.folder, self.env, self.environment, self.faults)
        rows = table.rows(lines, self.unread)
        prices = self._prices()
        if not lines and not self.faults:
            self.faults.append(self._no_line())
        if self.faults:
            raise ConfigError(sorted(set(self.faults), key=lambda fault: (fault.file, fault.line, fault.column)))
        return self._built(lines, table, rows, prices)

    def _no_line(self) -> Fault:
        inside = any(name.startswith(f"{USUAL}/") for name in self.folder.files)
        remedy = f"did you mean {self.folder.path / USUAL}?" if inside else "gateway init writes a first one"
        return Fault(self.folder.shown(""), 1, 1, "there is no line in the folder", remedy)

    def _built(self, lines: Mapping[str, Line], table: Table, rows: list[Row], prices: Prices) -> Directory:
        made = [*lines.values(), *(line for row in rows for line in row.variants())]
        configs: dict[int, LineConfig] = {
            id(line): replace(line.build(self.environment), numbers=tuple(addresses_of(line.id, lines.values(), rows)))
            for line in made
        }
        settings: dict[str, tuple[Setting, ...]] = {configs[id(line)].key: line.settings() for line in made}
        environment = {line.id: line.environment_names() | table.environment_names(line.id, rows) for line in made}
        accounts = table.accounts()
        sids = {name: account.sid for name, account in accounts.items()}
        return Directory(
            folder=self.folder.path,
            hash=self.folder.hash,
            lines=MappingProxyType({line.id: configs[id(line)] for line in lines.values()}),
            settings=MappingProxyType(settings),
            environment=MappingProxyType(environment),
            claims=claims_of(lines.values(), rows, lambda line: configs[id(line)], sids),
            accounts=MappingProxyType(accounts),
            sounds=MappingProxyType({name: sound for line in made for name, sound in line.sounds().items()}),
            files=MappingProxyType(
                {name: hashlib.sha256(content).hexdigest() for name, content in self.folder.files.items()}
            ),
            prices=prices,
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

    def _prices(self) -> Prices:
        if PRICES_FILE not in self.folder.files or (tree := self._read(PRICES_FILE)) is None:
            return Prices(SHIPPED)
        table, faults = check(PricesFile, tree)
        self.faults += faults
        return Prices(table or SHIPPED)

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

    def _lines(self, parts: Parts, shared: Mapping[str, Fields], python: UserPython) -> Iterator[Line]:
        for name, stem in self._named(""):
            written = self._read(name)
            if written is None:
                self.unread.add(stem)
                continue
            laid, trusted = parts.under(written)
            tree, faults = refuse_in_line(laid)
            self.faults += faults
            line = Line(stem, self.folder, written, tree, shared, python, laid=laid)
            found = line.check(self.environment, names=trusted)
            if found or not trusted:
                self.unread.add(stem)
            self.faults += found
            yield line

    def _check_shared(self, shared: Mapping[str, Fields], lines: Mapping[str, Line], python: UserPython) -> None:
        """Check the shared agents that no line uses; nobody else would."""
        known = {**shared, **{name: agent for line in lines.values() for name, agent in line.names.own.items()}}
        used = {name for line in lines.values() for name in line.names.reached()}
        for name, agent in shared.items():
            if name not in used:
                self.faults += check_agent(name, agent, known, python)
