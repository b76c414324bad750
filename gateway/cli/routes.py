"""What answers which number, as commands show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config.directory import Directory
    from gateway.config.numbers import Claim
    from gateway.config.resolved import LineConfig


def numbers_of(directory: Directory, line: LineConfig) -> list[str]:
    """Return the numbers that a line answers, with account and canary where there are."""
    return [shown(claim) for claim in directory.claims if line.id in {claim.line.id, claim.canary and claim.canary.id}]


def shown(claim: Claim) -> str:
    """Return a claim's number, with its account and canary where it has them."""
    account = f" ({claim.account})" if claim.account else ""
    canary = f", {claim.percent:g} % {claim.canary.id}" if claim.canary else ""
    return f"{claim.pattern.text}{account}{canary}"
