"""All lines as one immutable snapshot: what a call is looked up in, and what it keeps for as long as it lives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gateway.config.schema import LineConfig
from gateway.config.tree import Place


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a line as it is in effect, and where it was written; None is the default."""

    key: str
    value: object
    place: Place | None


@dataclass(frozen=True, slots=True)
class Directory:
    """Every line of a folder, as it was at one moment."""

    folder: Path
    hash: str
    """The same for the same files: lines, agents, prompts, clips and the user's Python."""
    lines: Mapping[str, LineConfig]
    """By id."""
    settings: Mapping[str, tuple[Setting, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """What is in effect on each line, in the order of the schema."""
    environment: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """The variables of the environment that each line needs."""
    _numbers: Mapping[str, LineConfig] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = {number: line for line in self.lines.values() for number in line.numbers}
        object.__setattr__(self, "_numbers", MappingProxyType(numbers))

    def find(self, called: str, line: str = "") -> LineConfig | None:
        """Return the line of a call.

        Args:
            called: the number that was dialled, in E.164.
            line: a line's id, where the carrier's webhook names one; then the number does not matter.

        Returns:
            The line named; else that of exactly this number; else the default one; or None.
        """
        if line:
            return self.lines.get(line)
        return self._numbers.get(called) or self.default

    @property
    def default(self) -> LineConfig | None:
        """The line that answers every number that no line names."""
        return next((line for line in self.lines.values() if line.default), None)

    def origin(self, line: str, key: str) -> Place | None:
        """Return where a line's value was written, or None where it is the default."""
        return next((setting.place for setting in self._of(line) if setting.key == key), None)

    def _of(self, line: str) -> Iterator[Setting]:
        yield from self.settings.get(line, ())
