"""Where numbers point and where they should: our lines beside Twilio's configuration. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from gateway.carriers.twilio.account import Number
from gateway.carriers.twilio.twiml import STATUS_PATH, VOICE_PATH

State: TypeAlias = Literal["ours", "differs", "trunk", "app", "no-line", "not-there"]
"""It points at us; it does not; an Elastic SIP trunk or a TwiML App has it; no line of ours; not in the account."""

REMEDIES: dict[State, str] = {
    "differs": "gateway numbers sync --apply points it here",
    "trunk": "an Elastic SIP trunk runs no TwiML: take the number off the trunk in Twilio's console",
    "app": "its TwiML App's webhooks count: point the App here, or take the number off it",
    "no-line": "no line answers it; add it to one, or mark one as default: true",
    "not-there": "the account has no such number: is it another account's, or mistyped?",
}


@dataclass(frozen=True, slots=True)
class Pointed:
    """One number: which line answers it, and what Twilio does with its calls."""

    phone_number: str
    line: str
    """Empty where none answers it."""
    state: State
    number: Number | None = None
    changes: tuple[tuple[str, str, str], ...] = ()
    """What would have to be changed: field, value now, value wanted."""

    @property
    def comes_here(self) -> bool:
        """Whether its calls come to us, whatever else is to be changed."""
        return self.state in {"ours", "differs"} and all(name != "VoiceUrl" for name, _, _ in self.changes)

    @property
    def remedy(self) -> str:
        if self.state == "differs" and self.comes_here:
            return "gateway numbers sync --apply sets the rest"
        return REMEDIES.get(self.state, "")


def wanted(public_url: str, fallback: str = "") -> dict[str, str]:
    """Return the fields of a number whose calls come to us; the fallback only where one is named."""
    base = public_url.rstrip("/")
    fields = {
        "VoiceUrl": base + VOICE_PATH,
        "VoiceMethod": "POST",
        "StatusCallback": base + STATUS_PATH,
        "StatusCallbackMethod": "POST",
    }
    return fields | ({"VoiceFallbackUrl": fallback, "VoiceFallbackMethod": "POST"} if fallback else {})


def compare(phone_number: str, line: str, number: Number | None, fields: dict[str, str], public_url: str) -> Pointed:
    """Judge one number; a voice URL that names the line in its path, or has a query, is as good."""
    if number is None:
        return Pointed(phone_number, line, "not-there")
    if not line:
        return Pointed(phone_number, line, "no-line", number)
    if number.trunk_sid:
        return Pointed(phone_number, line, "trunk", number)
    if number.voice_application_sid:
        return Pointed(phone_number, line, "app", number)
    now = number.fields()
    changes = tuple((name, now[name], value) for name, value in fields.items() if now[name] != value)
    if comes_here(now["VoiceUrl"], public_url):
        changes = tuple(change for change in changes if change[0] not in {"VoiceUrl", "VoiceMethod"})
    return Pointed(phone_number, line, "differs" if changes else "ours", number, changes)


def comes_here(url: str, public_url: str) -> bool:
    """Whether a voice URL is one of ours."""
    parts, ours = urlsplit(url), urlsplit(public_url)
    path = parts.path.rstrip("/")
    prefix = ours.path.rstrip("/") + VOICE_PATH
    return (
        (parts.scheme, parts.netloc.lower()) == (ours.scheme, ours.netloc.lower())
        and bool(url)
        and (path == prefix or path.startswith(prefix + "/"))
    )
