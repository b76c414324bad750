"""Reads the table of numbers: rows laid over lines, accounts filled in, and what claims an address twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config.addresses import Pattern, normal
from gateway.config.environment import check_secret, check_unread, fill, names_in_text
from gateway.config.explain import check, nearest
from gateway.config.folder import Folder
from gateway.config.line import Line
from gateway.config.not_yet import refuse_in_line
from gateway.config.numbers import OVERRIDES, Account, AccountConfig, Claim, NumberRow, NumbersFile
from gateway.config.parts import is_table
from gateway.config.resolved import LineConfig
from gateway.config.schema import LineFile
from gateway.config.tree import Entry, Fields, Items, Leaf, Place, Tree, merge
from gateway.config.yaml import read_yaml
from gateway.errors import Fault

_TABLE = "_numbers.yaml"


def environments(folder: Folder) -> list[str]:
    """Return the names of the environments that the folder has tables for; the nameless one is the empty text."""
    tables = sorted(name for name in folder.files if is_table(name))
    return [name.removeprefix("_numbers").removesuffix(".yaml").removeprefix(".") for name in tables]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table, with the lines that answer, as they are there."""

    address: str
    place: Place
    account: str
    line: Line
    overridden: bool
    canary: Line | None = None
    percent: float = 0.0

    def variants(self) -> Iterator[Line]:
        """Go through the lines that exist on this row only."""
        if self.overridden:
            yield self.line
            if self.canary:
                yield self.canary


@dataclass(slots=True)
class Table:
    """The table of one environment."""

    tree: Fields
    environment: Mapping[str, str] | None
    faults: list[Fault]
    _accounts: Mapping[str, AccountConfig]

    @classmethod
    def read(cls, folder: Folder, env: str, environment: Mapping[str, str] | None, faults: list[Fault]) -> Table:
        """Read the table that belongs to an environment; what is wrong is added to ``faults``, now and later."""
        tree = _read(folder, env, faults)
        table = cls(tree, environment, faults, {})
        kept = table._checked()
        file, found = check(NumbersFile, kept, may_lack=_is_laid_over)
        faults += found
        accounts = file.accounts if file else _good_accounts(kept)
        return dataclasses.replace(table, _accounts=accounts)

    def accounts(self) -> dict[str, Account]:
        """Return the accounts, filled in from the environment; only where there was no fault."""
        return {name: self._account(name, config) for name, config in self._accounts.items()}

    def environment_names(self, line: str, rows: Iterable[Row]) -> frozenset[str]:
        """Return the variables of the environment that the accounts of a line's numbers need."""
        used = {row.account for row in rows if line in (row.line.id, row.canary and row.canary.id)}
        tokens = (config.token for name, config in self._accounts.items() if name in used)
        return frozenset(name for token in tokens for name in names_in_text(token))

    def rows(self, lines: Mapping[str, Line], unread: set[str]) -> list[Row]:
        """Return the rows; ``unread`` are lines that have faults of their own, which are not told again."""
        found = []
        for address, place, tree in _rows(self.tree):
            row = self._row(address, place, tree, lines, unread)
            if row:
                found.append(row)
        self.faults += _twice(lines.values(), found)
        return found

    def _row(self, address: str, place: Place, tree: Fields, lines: Mapping[str, Line], unread: set[str]) -> Row | None:
        base = self._line(tree.text("line"), lines, unread)
        canary, percent = self._canary(tree, base, lines, unread)
        account = self._account_of(tree, place)
        if base is None:
            return None
        over = _overrides(tree)
        laid = self._over(base, address, over, unread)
        return Row(
            address=normal(address),
            place=place,
            account=account,
            line=laid,
            overridden=bool(over.values),
            canary=canary and self._over(canary, address, over, unread),
            percent=percent,
        )

    def _over(self, base: Line, address: str, over: Fields, unread: set[str]) -> Line:
        if not over.values:
            return base
        line, refused = base.over(address, over)
        faults = [fault for fault in refused if fault.file == self.tree.place.file]  # the line's own were told with it
        if base.id not in unread:
            faults += line.check(self.environment)
        for fault in faults:
            if fault.file == self.tree.place.file:
                self.faults.append(fault)
            else:  # What is fine on the line itself is not with what this row says.
                self.faults.append(dataclasses.replace(fault, message=f"{fault.message}, for the number {address}"))
        return line

    def _line(self, leaf: Leaf | None, lines: Mapping[str, Line], unread: set[str]) -> Line | None:
        if leaf is None:
            return None
        name = str(leaf.value)
        if name not in lines and name not in unread:
            remedy = nearest(name, lines) or f"write it, as {name}.yaml"
            self.faults.append(leaf.place.fault(f"there is no line {name}", remedy))
        return lines.get(name)

    def _canary(
        self, tree: Fields, base: Line | None, lines: Mapping[str, Line], unread: set[str]
    ) -> tuple[Line | None, float]:
        entry = tree.get("canary")
        if not isinstance(entry, Fields):
            return None, 0.0
        leaf, percent = entry.text("line"), entry.get("percent")
        line = self._line(leaf, lines, unread)
        if leaf and line and line is base:
            self.faults.append(leaf.place.fault(f"the canary of {line.id} is {line.id} itself", "name another line"))
        share = percent.value if isinstance(percent, Leaf) else 0
        return line, float(share) if isinstance(share, int | float) else 0.0

    def _account_of(self, tree: Fields, place: Place) -> str:
        leaf = tree.text("account")
        named = [*self._accounts]
        if leaf is None:
            if len(named) > 1 and "account" not in tree.values:
                self.faults.append(place.fault("which account is the number of?", f"add account: {' or '.join(named)}"))
            return named[0] if len(named) == 1 else ""
        if leaf.value not in named and isinstance(self.tree.get("accounts"), Fields | None):
            remedy = nearest(str(leaf.value), named) or "write it under accounts:"
            self.faults.append(leaf.place.fault(f"there is no account {leaf.value}", remedy))
        return str(leaf.value)

    def _checked(self) -> Fields:
        """Return the tree for the schema: without nulls, and without what was said already to be wrong."""
        tree = self.tree
        for path, row in _entries(self.tree):
            for key, entry in row.values.items():
                if key not in NumberRow.model_fields and key in LineFile.model_fields:
                    message = f"a number can't override {key}; it can {', '.join(OVERRIDES)}"
                    self.faults.append(entry.place.fault(message, "write it in the line, or in another line"))
            overrides, faults = refuse_in_line(_overrides(row))
            self.faults += faults
            own = {key: entry for key, entry in row.values.items() if key not in LineFile.model_fields}
            tree = _replaced(tree, path, Fields({**own, **overrides.values}, row.place))
        self.faults += check_unread(tree, _is_for_others, "the environment is read in the tokens of accounts only")
        for name in tree.fields("accounts"):
            if leaf := tree.text("accounts", name, "token"):
                self.faults += check_secret(leaf, f"the token of the account {name}", "TWILIO_TOKEN", self.environment)
        return merge(None, tree)

    def _account(self, name: str, config: AccountConfig) -> Account:
        filled = fill(config.token, self.environment) if self.environment is not None else ""
        tokens = tuple(part.strip() for part in filled.split(",") if part.strip())
        return Account(name, config.sid, tokens, config.region or "", config.edge or "")


def addresses_of(name: str, lines: Iterable[Line], rows: Iterable[Row]) -> Iterator[str]:
    """Go through the addresses that a line answers: those of its own file, then those of the table."""
    for line in lines:
        if line.id == name:
            yield from (str(leaf.value) for leaf in _own_numbers(line))
    yield from (row.address for row in rows if name in (row.line.id, row.canary and row.canary.id))


def claims_of(
    lines: Iterable[Line], rows: Iterable[Row], built: Callable[[Line], LineConfig], sids: Mapping[str, str]
) -> tuple[Claim, ...]:
    """Return every claim on an address: those of lines' own files, then those of the table."""
    own = (
        Claim(Pattern(normal(str(leaf.value))), built(line), leaf.place)
        for line in lines
        for leaf in _own_numbers(line)
    )
    table = (
        Claim(
            pattern=Pattern(row.address),
            line=built(row.line),
            place=row.place,
            account=row.account,
            account_sid=sids.get(row.account, ""),
            canary=built(row.canary) if row.canary else None,
            percent=row.percent,
        )
        for row in rows
    )
    return (*own, *table)


def _read(folder: Folder, env: str, faults: list[Fault]) -> Fields:
    name = f"_numbers.{env}.yaml" if env else _TABLE
    here = Place(folder.shown(name), 1, 1)
    if name not in folder.files:
        others = sorted(other for other in folder.files if is_table(other))
        if env and others:
            message = f"GATEWAY_ENV is {env}, and there is no {name}"
            faults.append(here.fault(message, f"write it, or change GATEWAY_ENV; there is {', '.join(others)}"))
        return Fields({}, here)
    tree, found = read_yaml(folder.files[name], here.file)
    faults += found
    return tree or Fields({}, here)


def _good_accounts(tree: Fields) -> dict[str, AccountConfig]:
    """Return the accounts that are right in a table that is not, so that rows aren't blamed for theirs."""
    found: dict[str, AccountConfig] = {}
    for name, entry in tree.fields("accounts").items():
        config, _ = check(AccountConfig, entry.tree) if isinstance(entry.tree, Fields) else (None, [])
        found[name] = config or AccountConfig.model_construct(sid="", token="")
    return found


def _entries(tree: Fields) -> Iterator[tuple[tuple[str | int, ...], Fields]]:
    """Go through the rows of a table with their paths."""
    for address, entry in tree.fields("numbers").items():
        if isinstance(entry.tree, Fields):
            yield ("numbers", address), entry.tree
        elif isinstance(entry.tree, Items):
            for at, row in enumerate(entry.tree.values):
                if isinstance(row, Fields):
                    yield ("numbers", address, at), row


def _rows(tree: Fields) -> Iterator[tuple[str, Place, Fields]]:
    """Go through the rows of a table: address, place, what it says."""
    for path, row in _entries(tree):
        address = str(path[1])
        entry: Entry = tree.fields("numbers")[address]
        yield address, entry.place if isinstance(entry.tree, Fields) else row.place, row


def _overrides(row: Fields) -> Fields:
    return Fields({key: entry for key, entry in row.values.items() if key in OVERRIDES}, row.place)


def _is_for_others(path: tuple[str | int, ...]) -> bool:
    """Say whether a value may refer to the environment, or is checked where it is laid over a line."""
    return (path[0] == "accounts" and path[-1] == "token") or _is_laid_over(path)


def _is_laid_over(path: tuple[str | int, ...]) -> bool:
    """Say whether a path leads into what a row lays over its line, which has the rest."""
    return path[0] == "numbers" and any(key in OVERRIDES for key in path[2:])


def _replaced(tree: Tree, path: tuple[str | int, ...], value: Fields) -> Any:
    """Return a tree with another value at a path that exists."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(tree, Fields):
        entry = tree.values[str(head)]
        return Fields({**tree.values, str(head): Entry(entry.place, _replaced(entry.tree, rest, value))}, tree.place)
    assert isinstance(tree, Items)  # noqa: S101 - a number leads into a list
    values = (_replaced(each, rest, value) if at == head else each for at, each in enumerate(tree.values))
    return Items(tuple(values), tree.place)


def _own_numbers(line: Line) -> list[Leaf]:
    return [leaf for leaf in (line.written.text("number"), *line.written.texts("numbers")) if leaf]


def _twice(lines: Iterable[Line], rows: Iterable[Row]) -> Iterator[Fault]:
    """Go through the addresses, and the role of default, that are claimed more than once."""
    first: dict[str, list[tuple[str, str, Place]]] = {}
    for claim, account, line, place in _all_claims(lines, rows):
        for other_account, other, other_place in first.setdefault(claim, []):
            if account and other_account and account != other_account:
                continue
            what = "listed twice" if other == line else f"claimed by the line {other} as well"
            yield place.fault(f"{claim} is {what}, at {other_place}:{other_place.column}", "keep one of the two")
            break
        else:
            first[claim].append((account, line, place))


def _all_claims(lines: Iterable[Line], rows: Iterable[Row]) -> Iterator[tuple[str, str, str, Place]]:
    for line in lines:
        for leaf in _own_numbers(line):
            yield normal(str(leaf.value)), "", line.id, leaf.place
        default = line.written.get("default")
        if isinstance(default, Leaf) and default.value is True:
            yield "default: true", "", line.id, default.place
    for row in rows:
        yield row.address, row.account, row.line.id, row.place
