"""What Twilio says of the accounts and their numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from gateway.carriers.twilio.account import TwilioAccount
from gateway.carriers.twilio.numbers import Numbers
from gateway.carriers.twilio.pointing import Pointed
from gateway.checkup.finding import Finding, fault, left_out, ok, warning
from gateway.errors import CarrierError


async def accounts(numbers: Numbers) -> AsyncIterator[Finding]:
    """Go through the accounts, and then through each number."""
    if not numbers.accounts:
        yield left_out("Twilio", "there is no account to ask", "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN")
        return
    for account in numbers.accounts:
        try:
            yield await _account(account)
        except CarrierError as error:
            remedy = (
                "check the account's sid and its first token" if error.status else "may this machine connect to it?"
            )
            yield fault(f"account {account.sid}", str(error), remedy)
            return
    try:
        for account, row in await numbers.compare():
            region = await account.region(row.phone_number) if row.number else ""
            for finding in _number(row, region, numbers.public_url):
                yield finding
    except CarrierError as error:
        yield fault("numbers", str(error), "see the message; gateway numbers list asks the same")


async def _account(account: TwilioAccount) -> Finding:
    owner = await account.owner()
    subject = f"account {owner.friendly_name or owner.sid}"
    if owner.status not in {"", "active"}:
        return fault(subject, f"is {owner.status}", "see Twilio's console: its calls are not answered")
    if owner.type == "Trial":
        remedy = "callers hear a notice first, and only verified numbers can be called: upgrade it"
        return warning(subject, "is a trial account", remedy)
    return ok(subject, "is active")


def _number(row: Pointed, region: str, public_url: str) -> Iterator[Finding]:
    subject = row.phone_number
    match row.state:
        case "ours":
            yield ok(subject, f"comes here, to {row.line}")
        case "trunk" | "not-there":
            yield fault(subject, _what(row), row.remedy)
        case "no-line" if row.number and not _ours(row.number.voice_url or "", public_url):
            return  # somebody else's business
        case _:
            yield warning(subject, _what(row), row.remedy)
    if row.number is None or row.state in {"trunk", "not-there", "no-line"}:
        return
    fallback = row.number.voice_fallback_url or ""
    if row.state == "ours" and not fallback:
        remedy = "gateway fallback export writes a TwiML Bin; set it with gateway numbers sync --fallback URL --apply"
        yield warning(
            f"{subject}, fallback", "has no fallback URL: callers hear Twilio's error when this host is down", remedy
        )
    elif _ours(fallback, public_url):
        remedy = "put the fallback on another host; gateway fallback export writes a TwiML Bin"
        yield warning(
            f"{subject}, fallback", "its fallback URL is on the gateway's own host, and goes down with it", remedy
        )
    if region and region != "us1":
        remedy = f"its webhooks are signed with the token of {region}: name region and edge in _numbers.yaml"
        yield warning(f"{subject}, region", f"its calls are processed in {region}", remedy)


def _what(row: Pointed) -> str:
    match row.state:
        case "trunk":
            return "is on an Elastic SIP trunk, so no webhook of it is asked"
        case "app":
            return "is under a TwiML App, so its own webhooks don't count"
        case "not-there":
            return f"is named by the line {row.line}, and no account has it"
        case "no-line":
            return "comes here, and no line answers it"
        case _:
            changes = ", ".join(f"{name} is {before or 'empty'}" for name, before, _ in row.changes)
            where = f"comes here, to {row.line}, but" if row.comes_here else f"does not come here, to {row.line}:"
            return f"{where} {changes}"


def _ours(url: str, public_url: str) -> bool:
    return bool(url) and urlsplit(url).hostname == urlsplit(public_url).hostname
