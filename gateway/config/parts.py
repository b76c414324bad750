"""What lines share: ``_defaults.yaml`` under every line, and files such as ``_eu.yaml`` under those that extend it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.config.explain import anywhere, check, nearest
from gateway.config.folder import Folder
from gateway.config.not_yet import refuse_in_line
from gateway.config.prices import PRICES_FILE
from gateway.config.schema import LineFile
from gateway.config.tree import Fields, Place, merge
from gateway.config.yaml import read_yaml
from gateway.errors import Fault

DEFAULTS = "_defaults"
_PART = re.compile(r"_[a-z][a-z0-9_-]*")
_OF_ONE_LINE = ("number", "numbers", "default")


def is_table(name: str) -> bool:
    """Say whether a file of the folder is a table of numbers."""
    return re.fullmatch(r"_numbers(\..+)?\.yaml", name) is not None


@dataclass(slots=True)
class Parts:
    """The shared parts of a folder, by name; None is one that could not be read."""

    trees: Mapping[str, Fields | None]
    faults: list[Fault]
    _used: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, folder: Folder, faults: list[Fault]) -> Parts:
        """Read every part; what is wrong is added to ``faults``, now and later."""
        trees: dict[str, Fields | None] = {}
        for name in sorted(folder.files):
            if (
                not name.startswith("_")
                or "/" in name
                or not name.endswith(".yaml")
                or is_table(name)
                or name == PRICES_FILE
            ):
                continue
            stem = name.removesuffix(".yaml")
            if not _PART.fullmatch(stem):
                remedy = "use lower-case letters, digits, _ and - after the first _"
                faults.append(Place(folder.shown(name), 1, 1).fault(f"{stem!r} can't be the name of a part", remedy))
            tree, found = read_yaml(folder.files[name], folder.shown(name))
            faults += found
            trees[stem] = tree and _without_own(stem, tree, faults)
        return cls(trees, faults)

    def under(self, written: Fields) -> tuple[Fields, bool]:
        """Lay a line over what it extends, and that over the defaults.

        Returns:
            The line, and whether all of it could be read; where not, its names mean nothing.
        """
        layers, trusted = [written], True
        for part in self._extended(written):
            layers.append(part or Fields({}))
            trusted &= part is not None
        defaults = self.trees.get(DEFAULTS)
        merged = defaults and merge(None, defaults)
        for layer in reversed(layers):
            merged = merge(merged, layer)
        assert merged is not None  # noqa: S101 - there is one layer at least
        return merged, trusted and not (DEFAULTS in self.trees and defaults is None)

    def check_unused(self) -> Iterator[Fault]:
        """Go through what is wrong with parts that no line extends; nobody else would say it."""
        for name, tree in self.trees.items():
            if name not in self._used and name != DEFAULTS and tree is not None:
                kept, faults = refuse_in_line(merge(None, tree))
                yield from faults
                yield from check(LineFile, kept, may_lack=anywhere)[1]

    def _extended(self, written: Fields) -> Iterator[Fields | None]:
        """Go through the parts that a line extends, the nearest first."""
        seen: list[str] = []
        tree: Fields | None = written
        while tree is not None and (leaf := tree.text("extends")):
            name = str(leaf.value)
            if name in seen:
                self.faults.append(leaf.place.fault(f"{name} extends itself", f"remove extends: {name} here"))
                return
            if name not in self.trees or name == DEFAULTS:
                self.faults.append(leaf.place.fault(*self._missing(name)))
                yield None
                return
            seen.append(name)
            self._used.add(name)
            tree = self.trees[name]
            yield tree

    def _missing(self, name: str) -> tuple[str, str]:
        if name == DEFAULTS:
            return f"{DEFAULTS} lies under every line already", "remove extends:"
        known = [part for part in self.trees if part != DEFAULTS]
        bare = name.removesuffix(".yaml")
        if bare in known or f"_{bare}" in known:
            return f"there is no part {name}", f"write extends: {bare if bare in known else f'_{bare}'}"
        if not name.startswith("_"):
            return f"{name} can't be extended", "only files that begin with _ can: move what is shared into one"
        return f"there is no part {name}", nearest(name, known) or f"write it, as {name}.yaml"


def _without_own(stem: str, tree: Fields, faults: list[Fault]) -> Fields:
    """Return a part without the keys that belong to one line alone, and report those."""
    keys = (*_OF_ONE_LINE, "extends") if stem == DEFAULTS else _OF_ONE_LINE
    for key in keys:
        if key in tree.values:
            whose = "all lines" if stem == DEFAULTS else "several lines"
            place = tree.values[key].place
            faults.append(place.fault(f"{key} can't be shared by {whose}", "write it in one line's file"))
            tree = tree.without((key,))
    return tree
