"""What is in effect on a line, value by value, each with the place where it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.config.directory import Setting
from gateway.config.schema import AgentFile, LineFile
from gateway.config.tree import Fields, Path, Place, locate


def settings_of(file: LineFile, tree: Fields, shared: Mapping[str, tuple[AgentFile, Fields]]) -> tuple[Setting, ...]:
    """Return every value of a line.

    Args:
        file: the line's file, laid over the defaults.
        tree: the same with places.
        shared: the agents of ``agents/`` that the line uses.
    """
    settings = [*_flat(file.model_dump(mode="json"), tree, ())]
    for name, (agent, places) in shared.items():
        dumped = agent.model_dump(mode="json")
        settings += [
            Setting(f"agents.{name}.{setting.key}", setting.value, setting.place)
            for setting in _flat(dumped, places, ())
        ]
    return tuple(settings)


def _flat(value: object, tree: Fields, path: Path) -> Iterator[Setting]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, tree, (*path, key))
    elif value not in (None, {}, []) or _place(tree, path):
        shown = _written(tree, path) if path[:2] == ("model", "headers") else value
        yield Setting(".".join(str(part) for part in path), shown, _place(tree, path))


def _place(tree: Fields, path: Path) -> Place | None:
    found, place, _ = locate(tree, path)
    return place if found == path else None


def _written(tree: Fields, path: Path) -> object:
    """Return a header as its file has it: a reference to the environment, not the secret."""
    leaf = tree.text(*(str(part) for part in path))
    return leaf.value if leaf else None
