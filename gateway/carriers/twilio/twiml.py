"""Plans as TwiML. Pure, and deterministic: equal plans give equal bytes.

Written directly rather than with Twilio's builder, which lets control characters through (Twilio then fails with 12100
and the caller hears an error) and does not keep carriage returns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, assert_never
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from gateway.call.plan import (
    Announce,
    Connect,
    Dial,
    Enqueue,
    HangUp,
    Markup,
    Plan,
    Refer,
    Reject,
    Return,
    Say,
    Verb,
)

CONTENT_TYPE: Final = "text/xml"
MAX_SAY: Final = 4096
MAX_PARAMETER: Final = 500
VOICE_PATH: Final = "/twilio/voice"
STREAM_ENDED_PATH: Final = "/twilio/stream-ended"
STATUS_PATH: Final = "/twilio/status"
FALLBACK_PATH: Final = "/twilio/fallback"
MEDIA_PATH: Final = "/twilio/media"

LAST_RESORT: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><Response>'
    "<Say>We are sorry, we have a technical problem. Please call again later.</Say><Hangup/></Response>"
)
"""What a caller hears when even the apology failed."""

# Control characters but tab and line ends, and what else XML 1.0 can't hold.
_NOT_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_TEXT_ENTITIES: Final = {"\r": "&#13;"}


@dataclass(frozen=True, slots=True)
class Links:
    """Where Twilio finds us: absolute URLs, so that what it signs is known beforehand.

    Streams connect to ``stream_url``, or to the public URL where it is empty.
    """

    public_url: str
    stream_url: str = ""

    @property
    def stream_ended(self) -> str:
        return self.public_url.rstrip("/") + STREAM_ENDED_PATH

    @property
    def media(self) -> str:
        """The WebSocket's URL: ``wss`` (Twilio takes no other), or ``ws`` beside a plain ``http`` address in tests."""
        return socket_url(self.stream_url or self.public_url) + MEDIA_PATH

    def sound(self, url: str) -> str:
        """A sound's absolute URL; one that begins with a slash is ours."""
        return self.public_url.rstrip("/") + url if url.startswith("/") else url


def socket_url(base: str) -> str:
    """A base URL with the scheme that a WebSocket has there, and no slash at its end."""
    scheme, separator, rest = base.rstrip("/").partition("://")
    return {"http": "ws", "https": "wss"}.get(scheme.lower(), scheme) + separator + rest


def clean(text: str) -> str:
    """Text without the characters that TwiML can't hold."""
    return _NOT_TEXT.sub("", text)


def render(plan: Plan, links: Links) -> str:
    """Write a plan as a TwiML document.

    Raises:
        ValueError: Twilio would refuse the plan: a ``Reject`` beside other verbs, a parameter that is too long,
            somebody to dial who is neither a number in E.164 nor ``sip:`` nor ``client:``.
    """
    if len(plan) > 1 and any(isinstance(verb, Reject) for verb in plan):
        raise ValueError("Reject must be a plan's only verb")
    verbs = "".join(_verb(verb, links) for verb in plan)
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>'


def _verb(verb: Verb, links: Links) -> str:
    match verb:
        case Connect():
            return _connect(verb, links)
        case Dial():
            return _dial(verb, links)
        case Enqueue():
            return _enqueue(verb, links)
        case Refer():
            return _element("Refer", {"action": links.stream_ended, "method": "POST"}, _sip(verb.to))
        case Return():
            return _element("Redirect", {"method": "POST"}, _text(verb.url))
        case Markup():
            return verb.text
        case Say():
            return _say(verb)
        case Announce():
            return _element("Play", {}, _text(links.sound(verb.url)))
        case HangUp():
            return "<Hangup/>"
        case Reject():
            return _element("Reject", {"reason": verb.reason})
    assert_never(verb)


def _connect(verb: Connect, links: Links) -> str:
    parameters = []
    for name, value in verb.parameters.items():
        # "The combined length of each name and value must be under 500 characters." (TwiML Voice: <Stream>)
        if len(name) + len(value) >= MAX_PARAMETER:
            raise ValueError(
                f"the stream parameter {name!r} and its value are {len(name) + len(value)} characters long"
            )
        parameters.append(_element("Parameter", {"name": name, "value": value}))
    stream = _element("Stream", {"url": links.media}, "".join(parameters))
    return _element("Connect", {"action": links.stream_ended, "method": "POST"}, stream)


def _dial(verb: Dial, links: Links) -> str:
    attributes: dict[str, str] = {}
    if verb.ask_after:
        attributes |= {"action": links.stream_ended, "method": "POST"}
    attributes["timeout"] = str(verb.timeout_s)
    if verb.caller_id:
        attributes["callerId"] = verb.caller_id
    return _element("Dial", attributes, _somebody(verb.to))


def _enqueue(verb: Enqueue, links: Links) -> str:
    priority = {} if verb.priority is None else {"priority": str(verb.priority)}
    task = _element("Task", priority, _text(verb.attributes))
    attributes = {"workflowSid": verb.workflow, "action": links.stream_ended, "method": "POST"}
    return _element("Enqueue", attributes, task)


def _somebody(to: str) -> str:
    if _E164.fullmatch(to):
        return _element("Number", {}, to)
    scheme, _, rest = to.partition(":")
    # A SIP address is handed over whole, a client by its name alone.
    if scheme in {"sip", "sips"}:
        return _sip(to)
    if scheme == "client" and rest:
        return _element("Client", {}, _text(rest))
    if scheme == "app" and rest:
        return _element("Application", {}, _text(rest))
    raise ValueError("somebody to dial is a number in E.164 (+ and digits), or begins with sip:, client: or app:")


def _sip(to: str) -> str:
    scheme, _, rest = to.partition(":")
    if scheme not in {"sip", "sips"} or not rest or urlsplit(to).scheme != scheme:
        raise ValueError("a SIP address begins with sip: or sips:")
    return _element("Sip", {}, _text(to))


def _say(verb: Say) -> str:
    text = _shortened(clean(verb.text))
    if not text.strip():
        return ""
    return _element("Say", {"language": verb.language} if verb.language else {}, _text(text))


def _shortened(text: str) -> str:
    """The text, cut at the last space before Twilio's limit."""
    if len(text) <= MAX_SAY:
        return text
    cut = text[:MAX_SAY]
    words, space, _ = cut.rpartition(" ")
    return words if space else cut


def _element(name: str, attributes: dict[str, str], content: str = "") -> str:
    start = name + "".join(f" {key}={quoteattr(clean(value))}" for key, value in attributes.items())
    return f"<{start}>{content}</{name}>" if content else f"<{start}/>"


def _text(text: str) -> str:
    return escape(clean(text), _TEXT_ENTITIES)
