"""All lines as one immutable snapshot: what a call is looked up in, and what it keeps for as long as it lives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gateway.config.numbers import Account, Claim, best
from gateway.config.prices import SHIPPED, Prices
from gateway.config.resolved import LineConfig
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
    """By id, as their files have them."""
    settings: Mapping[str, tuple[Setting, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """What is in effect on each LineConfig, by its ``key``, in the order of the schema."""
    environment: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """The variables of the environment that each line needs."""
    claims: tuple[Claim, ...] = ()
    """Which numbers are answered by what, as the lines and the table of numbers say."""
    accounts: Mapping[str, Account] = field(default_factory=lambda: MappingProxyType({}))
    """The carrier's accounts that the table of numbers names, by name."""
    sounds: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """WAV files that the carrier plays by itself, by name."""
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """A hash of each file, by its path in the folder."""
    prices: Prices = field(default_factory=lambda: Prices(SHIPPED))
    _exact: Mapping[str, tuple[Claim, ...]] = field(init=False, repr=False, compare=False)
    _blocks: tuple[Claim, ...] = field(init=False, repr=False, compare=False)
    _keys: Mapping[str, LineConfig] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact: dict[str, tuple[Claim, ...]] = {}
        for claim in self.claims:
            if not claim.pattern.is_block:
                exact[claim.pattern.text] = (*exact.get(claim.pattern.text, ()), claim)
        object.__setattr__(self, "_exact", MappingProxyType(exact))
        object.__setattr__(self, "_blocks", tuple(claim for claim in self.claims if claim.pattern.is_block))
        object.__setattr__(self, "_keys", MappingProxyType({line.key: line for line in self.every()}))

    def find(self, called: str, line: str = "", *, account: str = "", caller: str = "") -> LineConfig | None:
        """Return the line of a call.

        Args:
            called: who was dialled: a number in E.164, ``sip:`` or ``client:``.
            line: a line's id, where the carrier's webhook names one; then the number only adds its own row.
            account: the sid of the carrier's account that the call came in on.
            caller: who calls, so that each caller stays on one side of a canary.

        Returns:
            The line named; else that of exactly this number, of the block with the longest prefix, or the default one;
            or None.
        """
        if not line:
            claim = self.claim(called, account)
            return claim.choose(caller) if claim else self.default
        if line not in self.lines:
            return None
        claim = self.claim(called, account)
        rows = () if claim is None else (claim.line, claim.canary)
        return next((row for row in rows if row is not None and row.id == line), self.lines[line])

    def claim(self, called: str, account: str = "") -> Claim | None:
        """Return the claim on an address that wins: exact before blocks, longer prefixes before shorter ones."""
        return best(called, account, self._exact, self._blocks)

    def keyed(self, key: str) -> LineConfig | None:
        """Return the LineConfig of a ``key``; where this snapshot has none, the line of that id."""
        return self._keys.get(key) or self.lines.get(key.partition("#")[0])

    @property
    def default(self) -> LineConfig | None:
        """The line that answers every number that no line names."""
        return next((line for line in self.lines.values() if line.default), None)

    def every(self) -> Iterator[LineConfig]:
        """Go through every LineConfig that can answer a call: lines, rows of the table, and both after hours."""
        rows = (line for claim in self.claims for line in (claim.line, claim.canary) if line and line.row)
        for line in (*self.lines.values(), *rows):
            yield line
            if line.closed and line.closed.line:
                yield line.closed.line

    def origin(self, line: str, key: str) -> Place | None:
        """Return where a line's value was written, or None where it is the default."""
        return next((setting.place for setting in self.settings.get(line, ()) if setting.key == key), None)
