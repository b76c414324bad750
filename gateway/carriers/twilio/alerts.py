"""What Twilio's errors and warnings of a call mean for a gateway, and what to change (Error and Warning Dictionary)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

import msgspec


class Alert(msgspec.Struct, frozen=True):
    """An entry of the account's debugger (Monitor API, Alerts)."""

    error_code: str = ""
    resource_sid: str | None = None
    log_level: str | None = None
    alert_text: str | None = None
    request_url: str | None = None
    date_generated: str | None = None
    more_info: str | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """An alert with what it means here."""

    code: str
    at: str
    level: str
    seen: str
    change: str
    more: str


_SERVED: Final = (
    "see that the gateway runs and that GATEWAY_PUBLIC_URL is where it is reached: `gateway doctor` tries it"
)
_TLS: Final = "the certificate of GATEWAY_PUBLIC_URL: `gateway doctor` looks at it"
_MEANING: Final[dict[str, tuple[str, str]]] = {
    "11100": ("the number's URL is malformed", "point the number here: `gateway numbers sync`"),
    "11200": ("Twilio got no usable answer from the webhook", _SERVED),
    "11205": ("Twilio could not connect to the webhook within its 10 s", _SERVED),
    "11206": ("what answered the webhook did not speak proper HTTP", "see what stands in front of the gateway"),
    "11210": ("the host of the webhook's URL can't be found", "the DNS entry of GATEWAY_PUBLIC_URL's host"),
    "11215": (
        "the webhook was redirected too often",
        "no redirects in front of the gateway: https and path as they are",
    ),
    "11216": ("the webhook was answered with a redirect that is none", "no redirects in front of the gateway"),
    "11217": (
        "the webhook was answered with a 4xx or 5xx status",
        "403: the signature (see the log's hint); else " + _SERVED,
    ),
    "11220": ("the TLS handshake of the webhook failed", _TLS),
    "11235": ("the certificate is for another host", _TLS),
    "11236": ("the certificate has expired", _TLS),
    "11237": ("the certificate's chain is incomplete: an intermediate one is missing", _TLS),
    "11750": ("the webhook's answer was over 64 kB", "a shorter document in twiml/"),
    "12100": ("the webhook's answer is no XML", "what answered was not the gateway: see the number's URL"),
    "12200": ("the webhook's answer is no TwiML that Twilio knows", "the document in twiml/: `gateway check`"),
    "12300": ("the webhook's answer has the wrong Content-Type", "what answered was not the gateway: see the URL"),
    "13224": ("the number to be dialled is not valid", "the number under transfer:"),
    "13225": (
        "Twilio blocks calls to the number to be dialled: fraud risk, regulation, or no customer profile for +1",
        "another target under transfer:, or Twilio's support",
    ),
    "21220": ("the call was over when it was to be changed", "nothing: the caller was faster"),
    "31900": ("the media stream failed for a reason unknown to Twilio", _SERVED),
    "31901": ("the media stream's connection timed out", "a firewall, or a tunnel that does not pass WebSockets"),
    "31902": (
        "the media stream's connection was refused",
        "nothing listens there: GATEWAY_STREAM_URL, or the public URL",
    ),
    "31903": ("the media stream broke off", "the network, a proxy's time limit, or the process died"),
    "31904": ("the media stream's host can't be reached", "DNS, or a private address in GATEWAY_STREAM_URL"),
    "31910": ("the TLS handshake of the media stream failed", _TLS),
    "31920": (
        "the media stream's handshake was not answered with 101",
        "403: the signature or the token; 404: a proxy that does not pass /twilio/media; 503: draining",
    ),
    "31921": ("the gateway closed the media stream", "after a token was refused, or a fault of ours: see its log then"),
    "31922": ("the media stream's URL does not begin with wss", "GATEWAY_PUBLIC_URL must begin with https"),
    "31923": ("the media stream's URL is malformed", "GATEWAY_STREAM_URL, or GATEWAY_PUBLIC_URL"),
    "31924": ("the media stream broke the WebSocket protocol", "a proxy in between: compare without it"),
    "31930": ("the caller's audio was discarded: it was read too slowly", "a busy machine, or a slow network"),
    "31931": ("the agent's audio was discarded: over 10 minutes of it waited", "shorter answers"),
    "31941": ("the stream's track is wrong", "the document in twiml/: only {{connect}} opens the stream"),
    "31950": ("a message to Twilio could not be decoded", "something in between changes messages"),
    "31951": ("a message to Twilio was not valid", "something in between changes messages; else please report it"),
    "31953": ("the caller's network stopped sending sound", "nothing here: the caller's carrier"),
}


def explain(alert: Alert) -> Explained:
    """Return what an alert means; of a code that is not known here, Twilio's own words."""
    text = alert.alert_text or ""
    said = {name: values[0] for name, values in parse_qs(text).items()}
    meaning, change = _MEANING.get(
        alert.error_code, (said.get("Msg") or text or "Twilio gives no reason", "see Twilio's page on this code")
    )
    url = alert.request_url or said.get("url", "")
    status = said.get("httpResponse", "")
    details = [each for each in (f"status {status}" if status else "", url.partition("?")[0]) if each]
    seen = f"{meaning} ({', '.join(details)})" if details else meaning
    more = alert.more_info or f"https://www.twilio.com/docs/api/errors/{alert.error_code}"
    return Explained(alert.error_code, alert.date_generated or "", alert.log_level or "", seen, change, more)
