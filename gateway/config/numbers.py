"""The table of numbers (``_numbers.yaml``): the carrier's accounts, and which line answers which number on which."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from gateway.config.addresses import Address, Pattern, normal
from gateway.config.opening import HoursConfig
from gateway.config.resolved import LineConfig
from gateway.config.schema import LimitsConfig, RecordingConfig, TransferConfig
from gateway.config.spoken import Spoken
from gateway.config.tree import Place
from gateway.config.units import Checked, Language, Name, Timezone, wrong

OVERRIDES = ("label", "language", "vars", "timezone", "hours", "greeting", "transfer", "limits", "recording")
"""The keys of a line that a row of the table may lay over it."""


# ---- As written -----------------------------------------------------------------------------------------------------


def _check_sid(value: str) -> str:
    if not value.startswith("AC") or not value.isalnum():
        raise wrong(f"{value!r} is not an account's sid", "it begins with AC; Twilio's console shows it")
    return value


class AccountConfig(Checked):
    """One account at the carrier."""

    sid: Annotated[str, AfterValidator(_check_sid)] = Field(description="The account's sid, `AC...`.")
    token: str = Field(
        min_length=1,
        description="Its auth token, as `${NAME}` from the environment; several with commas while it is rotated.",
    )
    region: str | None = Field(default=None, min_length=1, description="Where its calls are processed, such as `ie1`.")
    edge: str | None = Field(
        default=None, min_length=1, description="Where requests to it enter the carrier's network, such as `dublin`."
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> AccountConfig:
        if bool(self.region) != bool(self.edge):
            given, other = ("region", "edge") if self.region else ("edge", "region")
            example = "dublin" if other == "edge" else "ie1"
            raise wrong(f"{given} is given without {other}", f"requests need both: add {other}, such as {example}")
        return self


class CanaryConfig(Checked):
    """A second line that gets a part of the callers."""

    line: str = Field(description="The line that is tried.")
    percent: float = Field(
        ge=0, le=100, description="How many of a hundred callers get it; each caller stays on the side that they got."
    )


class NumberRow(Checked):
    """What answers a number, and what is different there."""

    line: str = Field(description="The line that answers.")
    account: str | None = Field(
        default=None,
        description="A name in `accounts`: the one that the number belongs to. Needed where there are two.",
    )
    canary: CanaryConfig | None = Field(default=None, description="A second line that gets a part of the callers.")
    label: str | None = Field(default=None, description="As on a line, for this number alone; so are all that follow.")
    language: Language | None = Field(default=None, description="What is spoken.")
    vars: dict[Name, str] = Field(default_factory=dict, description="Values for `{{name}}`, laid over the line's.")
    timezone: Timezone | None = Field(default=None, description="Where the number is.")
    hours: HoursConfig | None = Field(default=None, description="When it is open.")
    greeting: Spoken | None = Field(default=None, description="What callers hear first.")
    transfer: dict[Name, TransferConfig] = Field(
        default_factory=dict, description="Whom agents may transfer to, laid over the line's."
    )
    limits: LimitsConfig | None = Field(default=None, description="What keeps calls within bounds.")
    recording: RecordingConfig | None = Field(default=None, description="Whether calls are recorded.")


_Rows: TypeAlias = Annotated[
    Annotated[NumberRow, Tag("<row>")] | Annotated[tuple[NumberRow, ...], Tag("<rows>")],
    Discriminator(lambda value: "<rows>" if isinstance(value, tuple | list) else "<row>"),
]


class NumbersFile(Checked):
    """The table of numbers of one environment."""

    schema_: Literal[1] = Field(default=1, alias="schema", description="The version of this form; 1 is the only one.")
    accounts: dict[Name, AccountConfig] = Field(default_factory=dict, description="The carrier's accounts, by name.")
    numbers: dict[Address, _Rows] = Field(
        default_factory=dict,
        description="What answers, by number: E.164, a block such as `+4144556*`, `sip:` or `client:`; a list of rows "
        "where several accounts have the same address.",
    )


# ---- Resolved -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """An account at the carrier, filled in from the environment."""

    name: str
    sid: str
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """Every token that is good now, the current one first."""
    region: str = ""
    edge: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim on an address or a block of them."""

    pattern: Pattern
    line: LineConfig
    place: Place
    account: str = ""
    """The name of the account whose calls it is about; empty takes those of any."""
    account_sid: str = ""
    canary: LineConfig | None = None
    percent: float = 0.0

    def choose(self, caller: str) -> LineConfig:
        """Return the line of a caller; the same for the same caller, and never back when the percentage grows."""
        if self.canary is None:
            return self.line
        seed = hashlib.sha256(f"{self.pattern.text}\0{self.canary.id}\0{caller}".encode()).digest()
        return self.canary if int.from_bytes(seed[:8]) % 10_000 < self.percent * 100 else self.line


def best(called: str, account_sid: str, exact: Mapping[str, Sequence[Claim]], blocks: Iterable[Claim]) -> Claim | None:
    """Return the claim that wins for an address on an account: exact, else the longest prefix, else None."""
    address = normal(called)
    found = next((claim for claim in exact.get(address, ()) if _is_of(claim, account_sid)), None)
    if found is not None:
        return found
    fitting = (claim for claim in blocks if _is_of(claim, account_sid) and claim.pattern.matches(address))
    return max(fitting, key=lambda claim: claim.pattern.rank, default=None)


def _is_of(claim: Claim, account_sid: str) -> bool:
    return not claim.account_sid or not account_sid or claim.account_sid == account_sid
