"""The account: its numbers and applications, and the alerts that its calls raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.testing.twilio.network import new_sid
from gateway.testing.twilio.webhook import Target

VOICE_FIELDS = {
    "FriendlyName": "friendly_name",
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
    "VoiceFallbackUrl": "voice_fallback_url",
    "VoiceFallbackMethod": "voice_fallback_method",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
    "VoiceApplicationSid": "voice_application_sid",
}


@dataclass(slots=True)
class Application:
    """A TwiML application: webhooks that several numbers share."""

    friendly_name: str = ""
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    status_events: tuple[str, ...] = ("completed",)
    sid: str = field(default_factory=lambda: new_sid("AP"))

    @property
    def voice(self) -> Target:
        return Target("voice", self.voice_url, self.voice_method)

    @property
    def fallback(self) -> Target | None:
        return (
            Target("fallback", self.voice_fallback_url, self.voice_fallback_method) if self.voice_fallback_url else None
        )

    @property
    def status(self) -> Target | None:
        return Target("status", self.status_callback, self.status_callback_method) if self.status_callback else None


@dataclass(slots=True)
class Number(Application):
    """A phone number of the account, with the webhooks of its calls.

    ``status_events`` are those of ``initiated``, ``ringing``, ``answered``, ``completed`` that its callback gets.
    ``voice_application_sid`` names an application whose webhooks count instead. ``trunk_sid`` and ``voice_region`` are
    only shown: what an Elastic SIP trunk or another region would do with a call is not acted out.
    """

    phone_number: str = ""
    voice_application_sid: str = ""
    trunk_sid: str | None = None
    voice_region: str = "us1"
    sid: str = field(default_factory=lambda: new_sid("PN"))


@dataclass(frozen=True, slots=True)
class Alert:
    """An error or warning in the account's debugger."""

    code: int
    level: str
    message: str
    call_sid: str
    at: datetime
    sid: str = field(default_factory=lambda: new_sid("NO"))


class Account:
    """What the REST server shows and changes, and what calls go by."""

    def __init__(self, sid: str, auth_token: str) -> None:
        self.sid = sid
        self.auth_token = auth_token
        self.status = "active"
        self.type = "Full"
        self.numbers: dict[str, Number] = {}
        self.applications: dict[str, Application] = {}
        self.alerts: list[Alert] = []

    def add(self, entry: Application) -> None:
        """Put a number or an application into the account."""
        if isinstance(entry, Number):
            self.numbers[entry.sid] = entry
        else:
            self.applications[entry.sid] = entry

    def number(self, phone_number: str) -> Number | None:
        return next((each for each in self.numbers.values() if each.phone_number == phone_number), None)

    def webhooks(self, number: Number) -> Application:
        """Return whose webhooks a call to this number goes by."""
        return self.applications.get(number.voice_application_sid, number)

    def alert(self, code: int, level: str, message: str, call_sid: str) -> None:
        self.alerts.append(Alert(code, level, message, call_sid, datetime.now(UTC)))


def update(entry: Application, fields: Mapping[str, str]) -> None:
    """Change what a REST request names."""
    for name, value in fields.items():
        attribute = VOICE_FIELDS.get(name)
        if attribute is not None and hasattr(entry, attribute):
            setattr(entry, attribute, value)


def shown(account: Account, entry: Application) -> dict[str, Any]:
    """Return a number or an application as REST shows it."""
    kind = "IncomingPhoneNumbers" if isinstance(entry, Number) else "Applications"
    body: dict[str, Any] = {name: getattr(entry, name) for name in VOICE_FIELDS.values() if hasattr(entry, name)}
    body |= {
        "sid": entry.sid,
        "account_sid": account.sid,
        "api_version": "2010-04-01",
        "uri": f"/2010-04-01/Accounts/{account.sid}/{kind}/{entry.sid}.json",
    }
    if isinstance(entry, Number):
        body |= {"phone_number": entry.phone_number, "capabilities": {"voice": True, "sms": False, "mms": False}}
        body["trunk_sid"] = entry.trunk_sid
    return body
