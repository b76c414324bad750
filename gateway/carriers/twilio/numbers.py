"""The numbers of our accounts, compared with our lines, pointed at us, and put back as they were."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx2
import msgspec

from gateway.carriers.twilio.account import Number, TwilioAccount
from gateway.carriers.twilio.accounts import regional
from gateway.carriers.twilio.pointing import Pointed, compare, wanted
from gateway.config.directory import Directory
from gateway.config.numbers import Account

Change: TypeAlias = tuple[str, str, str, str]
"""Number, field, value before, value after."""
Kept: TypeAlias = dict[str, dict[str, str]]
"""What numbers did before we changed them first, by their sids."""


def accounts_of(
    own: Account, directory: Directory, base_url: str, client: httpx2.AsyncClient
) -> tuple[TwilioAccount, ...]:
    """Return the accounts that can be asked: those of the table of numbers, and the environment's own."""
    table = [account for account in directory.accounts.values() if account.tokens]
    if own.sid and own.tokens and all(account.sid != own.sid for account in table):
        table.append(own)
    return tuple(
        TwilioAccount(account.sid, account.tokens[0], regional(base_url, account.region, account.edge), client)
        for account in table
    )


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of some accounts, beside the lines of a folder.

    ``kept`` is the file that holds what was there before.
    """

    accounts: Sequence[TwilioAccount]
    directory: Directory
    public_url: str
    kept: Path

    async def compare(self, fallback: str = "") -> list[tuple[TwilioAccount, Pointed]]:
        """Return every number that an account has or a line names, in order.

        Raises:
            CarrierError: Twilio refused, or could not be reached; so for all methods.
        """
        fields = wanted(self.public_url, fallback)
        found: dict[str, tuple[TwilioAccount, Pointed]] = {}
        for account in self.accounts:
            async for number in account.numbers():
                line = self.directory.find(number.phone_number, account=account.sid)
                row = compare(number.phone_number, line.id if line else "", number, fields, self.public_url)
                found[number.phone_number] = account, row
        for claim in self.directory.claims:
            name, owner = claim.pattern.text, self._owner(claim.account_sid)
            if name.startswith("+") and not claim.pattern.is_block and name not in found and owner:
                found[name] = owner, compare(name, claim.line.id, None, fields, self.public_url)
        return [found[name] for name in sorted(found)]

    async def sync(self, fallback: str = "", *, apply: bool, only: Container[str] | None = None) -> list[Change]:
        """Point the numbers of our lines here, or ``only`` some; without ``apply`` say what would be changed."""
        changes: list[Change] = []
        for account, row in await self.compare(fallback):
            if row.state != "differs" or row.number is None or (only is not None and row.phone_number not in only):
                continue
            changes += [(row.phone_number, *change) for change in row.changes]
            if apply:
                # Kept before it is changed: what is lost here could not be put back.
                self.keep(row.number)
                await account.change(row.number.sid, {name: after for name, _, after in row.changes})
        return changes

    async def restore(self) -> list[Change]:
        """Put back what was there before the first change."""
        changes: list[Change] = []
        kept = self._read()
        for account in self.accounts:
            async for number in account.numbers():
                before = kept.pop(number.sid, None)
                if before is None:
                    continue
                back = [*_differences(number, before)]
                if back:
                    await account.change(number.sid, {name: after for _, name, _, after in back})
                changes += back
                self._write(kept)
        return changes

    def keep(self, number: Number) -> bool:
        """Write down what a number does now, unless that was done before; say whether it was written."""
        kept = self._read()
        if number.sid in kept:
            return False
        self._write({**kept, number.sid: number.fields()})
        return True

    def forget(self, number: Number) -> None:
        """Take out what was written down of a number."""
        kept = self._read()
        kept.pop(number.sid, None)
        self._write(kept)

    def _owner(self, account_sid: str) -> TwilioAccount | None:
        return next((account for account in self.accounts if account_sid in {"", account.sid}), None)

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self.kept.read_bytes(), type=Kept)
        except FileNotFoundError:
            return {}

    def _write(self, kept: Kept) -> None:
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        new = self.kept.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
        new.replace(self.kept)


def _differences(number: Number, wanted_fields: dict[str, str]) -> Iterator[Change]:
    now = number.fields()
    for name, value in wanted_fields.items():
        if now[name] != value:
            yield number.phone_number, name, now[name], value
