"""A YAML file as a tree in which every value knows where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.errors import Fault

Scalar: TypeAlias = str | int | float | bool | None
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def fault(self, message: str, remedy: str = "") -> Fault:
        return Fault(self.file, self.line, self.column, message, remedy)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar. ``raw`` is its spelling in the file, quotes and indentation included."""

    value: Scalar
    place: Place
    raw: str = ""

    def find(self, piece: str) -> Place:
        """Return where a piece of the text stands; the value's own place where escapes hide it."""
        at = self.raw.find(piece)
        if at < 0:
            return self.place
        before = self.raw[:at]
        lines = before.count("\n")
        column = len(before) - before.rfind("\n") if lines else self.place.column + at
        return Place(self.place.file, self.place.line + lines, column)


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    values: tuple[Tree, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's place, and its value."""

    place: Place
    tree: Tree


@dataclass(frozen=True, slots=True)
class Fields:
    """A map."""

    values: Mapping[str, Entry]
    place: Place = field(default=Place("", 1, 1))

    def get(self, *path: str) -> Tree | None:
        """Return what stands under these keys, or None."""
        tree: Tree = self
        for key in path:
            if not isinstance(tree, Fields) or key not in tree.values:
                return None
            tree = tree.values[key].tree
        return tree

    def text(self, *path: str) -> Leaf | None:
        """Return the text under these keys, or None where there is none or it is something else."""
        tree = self.get(*path)
        return tree if isinstance(tree, Leaf) and isinstance(tree.value, str) else None

    def texts(self, *path: str) -> list[Leaf]:
        """Return the texts of the list under these keys; what else is in it is somebody else's fault to report."""
        tree = self.get(*path)
        return [leaf for leaf in _leaves(tree) if isinstance(leaf.value, str)] if isinstance(tree, Items) else []

    def fields(self, *path: str) -> Mapping[str, Entry]:
        """Return the entries of the map under these keys, or none."""
        tree = self.get(*path)
        return tree.values if isinstance(tree, Fields) else {}

    def without(self, path: Path) -> Fields:
        """Return the same without what stands at a path."""
        head, rest = str(path[0]), path[1:]
        if head not in self.values:
            return self
        entry = self.values[head]
        others = {key: value for key, value in self.values.items() if key != head}
        if rest and isinstance(entry.tree, Fields):
            pruned = entry.tree.without(rest)
            return Fields({**self.values, head: Entry(entry.place, pruned)}, self.place)
        if rest and isinstance(entry.tree, Items) and isinstance(rest[0], int):
            kept = tuple(tree for at, tree in enumerate(entry.tree.values) if at != rest[0])
            return Fields({**self.values, head: Entry(entry.place, Items(kept, entry.tree.place))}, self.place)
        return Fields(others, self.place)


Tree: TypeAlias = Leaf | Items | Fields


def _leaves(items: Items) -> Iterator[Leaf]:
    return (tree for tree in items.values if isinstance(tree, Leaf))


def walk(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    """Go through a tree, parents first."""
    yield path, tree
    if isinstance(tree, Fields):
        for key, entry in tree.values.items():
            yield from walk(entry.tree, (*path, key))
    elif isinstance(tree, Items):
        for at, value in enumerate(tree.values):
            yield from walk(value, (*path, at))


def plain(tree: Tree) -> object:
    """Return the values alone; lists become tuples, as the strict models take them."""
    match tree:
        case Leaf():
            return tree.value
        case Items():
            return tuple(plain(value) for value in tree.values)
        case Fields():
            return {key: plain(entry.tree) for key, entry in tree.values.items()}


def merge(base: Fields | None, over: Fields) -> Fields:
    """Lay a map over another: maps merge, lists and scalars replace, null removes."""
    merged = dict(base.values) if base else {}
    for key, entry in over.values.items():
        below = merged.get(key)
        if isinstance(entry.tree, Leaf) and entry.tree.value is None:
            merged.pop(key, None)
        elif isinstance(entry.tree, Fields):
            under = below.tree if below and isinstance(below.tree, Fields) else None
            merged[key] = Entry(entry.place, merge(under, entry.tree))
        else:
            merged[key] = entry
    return Fields(merged, over.place)


def locate(tree: Tree, path: Path) -> tuple[Path, Place, Tree]:
    """Follow a path as far as the tree goes, past the parts that name no key of it.

    Returns:
        The part of the path that exists, the place of its last key (or item), and what stands there.
    """
    found: Path = ()
    place = tree.place
    for part in path:
        if isinstance(tree, Fields) and isinstance(part, str) and part in tree.values:
            entry = tree.values[part]
            place, tree = entry.place, entry.tree
        elif isinstance(tree, Items) and isinstance(part, int) and part < len(tree.values):
            tree = tree.values[part]
            place = tree.place
        else:
            continue
        found = (*found, part)
    return found, place, tree
