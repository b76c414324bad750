"""TwiML, as the documents of its verbs describe it: parsed, and checked against what each verb may hold."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_BYTES = 64 * 1024
MAX_PARAMETER = 500

_ACTION = {"action", "method"}
_CALLBACK = {"statusCallback", "statusCallbackMethod"}
_EVENTS = _CALLBACK | {"statusCallbackEvent"}
_LEG = _EVENTS | {"url", "method", "machineDetection", "machineDetectionTimeout", "callReason"}

VERBS: dict[str, set[str]] = {
    "Connect": _ACTION,
    "Dial": _ACTION
    | {"answerOnBridge", "callerId", "callReason", "hangupOnStar", "record", "recordingStatusCallback"}
    | {"recordingStatusCallbackMethod", "recordingStatusCallbackEvent", "recordingTrack", "referUrl", "referMethod"}
    | {"ringTone", "timeLimit", "timeout", "trim", "sequential", "events"},
    "Echo": set(),
    "Enqueue": _ACTION | {"workflowSid", "waitUrl", "waitUrlMethod", "maxQueueSize"},
    "Gather": _ACTION
    | {"input", "numDigits", "finishOnKey", "timeout", "speechTimeout", "actionOnEmptyResult", "language", "hints"}
    | {"profanityFilter", "speechModel", "enhanced", "bargeIn", "partialResultCallback", "dtmfDetection"},
    "Hangup": set(),
    "Leave": set(),
    "Pause": {"length"},
    "Pay": _ACTION | _CALLBACK,
    "Play": {"loop", "digits"},
    "Record": _ACTION
    | {"timeout", "finishOnKey", "maxLength", "playBeep", "trim", "recordingStatusCallback", "transcribe"}
    | {"recordingStatusCallbackMethod", "recordingStatusCallbackEvent", "transcribeCallback"},
    "Redirect": {"method"},
    "Refer": _ACTION,
    "Reject": {"reason"},
    "Say": {"voice", "language", "loop"},
    "Start": _ACTION,
    "Stop": set(),
}
NOUNS: dict[str, dict[str, set[str]]] = {
    "Connect": {"Stream": {"url", "name", "track", "connectorName"} | _CALLBACK},
    "Dial": {
        "Number": _LEG | {"sendDigits", "byoc"},
        "Sip": _LEG | {"username", "password"},
        "Client": _LEG,
        "Conference": _EVENTS
        | {"muted", "beep", "startConferenceOnEnter", "endConferenceOnExit", "participantLabel", "coach", "waitUrl"}
        | {"jitterBufferSize", "waitMethod", "maxParticipants", "record", "region", "trim", "recordingStatusCallback"}
        | {"recordingStatusCallbackMethod", "recordingStatusCallbackEvent", "eventCallbackUrl"},
        "Queue": {"url", "method", "reservationSid", "postWorkActivitySid"},
        "Application": _EVENTS | {"url", "method", "customerId", "copyParentTo"},
    },
    "Enqueue": {"Task": {"priority", "timeout"}},
    "Refer": {"Sip": set()},
    "Hangup": {"Parameter": {"name", "value"}},
}
_PARAMETERS = {"Stream", "Client", "Application", "Hangup"}
"""Nouns that may hold ``<Parameter>``."""
_FREE = {"Gather", "Pay", "Say", "Start", "Stop"}
"""Verbs whose content is not checked: speech markup, and what is not acted out here."""


class DocumentError(Exception):
    """A document can't be followed; ``code`` is the carrier's error."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Noun:
    """An element within a verb: whom to dial, the stream to connect."""

    name: str
    attributes: dict[str, str]
    text: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verb:
    """One instruction of a document."""

    name: str
    attributes: dict[str, str]
    text: str
    nouns: tuple[Noun, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """The verbs to follow, where relative URLs in them begin, and what does not conform (12200: it is left out)."""

    verbs: tuple[Verb, ...]
    base_url: str
    warnings: tuple[str, ...] = ()


def parse(text: str, base_url: str) -> Document:
    """Read a document.

    Raises:
        DocumentError: 12100, it can't be parsed; 11750, it is too large.
    """
    if len(text.encode()) > MAX_BYTES:
        raise DocumentError(11750, f"TwiML response body too large: over {MAX_BYTES} bytes")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DocumentError(12100, "document parse failure: no document types or entities in TwiML")
    try:
        root = ET.fromstring(text.strip() if not text.lstrip().startswith("<?xml") else text)  # noqa: S314 - as above
    except ET.ParseError as error:
        raise DocumentError(12100, f"document parse failure: {error}") from error
    if root.tag != "Response":
        raise DocumentError(12100, f"document parse failure: the root is <{root.tag}>, not <Response>")
    warnings: list[str] = []
    verbs = tuple(_verbs(root, warnings))
    return Document(verbs, base_url, tuple(warnings))


def _verbs(root: ET.Element, warnings: list[str]) -> Iterator[Verb]:
    for element in root:
        allowed = VERBS.get(element.tag)
        if allowed is None:
            warnings.append(f"<{element.tag}> is no verb of TwiML")
            continue
        attributes = _attributes(element, allowed, warnings)
        nouns = () if element.tag in _FREE else tuple(_nouns(element, warnings))
        text = "".join(element.itertext()) if element.tag in _FREE else element.text or ""
        yield Verb(element.tag, attributes, text.strip(), nouns)


def _nouns(verb: ET.Element, warnings: list[str]) -> Iterator[Noun]:
    known = NOUNS.get(verb.tag, {})
    for element in verb:
        if element.tag not in known:
            warnings.append(f"<{element.tag}> may not be in <{verb.tag}>")
            continue
        attributes = _attributes(element, known[element.tag], warnings)
        parameters = dict(_parameters(element, warnings))
        yield Noun(element.tag, attributes, (element.text or "").strip(), parameters)


def _parameters(noun: ET.Element, warnings: list[str]) -> Iterator[tuple[str, str]]:
    for element in noun:
        name, value = element.get("name", ""), element.get("value", "")
        if element.tag != "Parameter" or noun.tag not in _PARAMETERS:
            warnings.append(f"<{element.tag}> may not be in <{noun.tag}>")
        elif not name:
            warnings.append("<Parameter> without a name")
        elif len(name) + len(value) >= MAX_PARAMETER:
            warnings.append(f"<Parameter name={name!r}>: name and value must be under {MAX_PARAMETER} characters")
        else:
            yield name, value


def _attributes(element: ET.Element, allowed: set[str], warnings: list[str]) -> dict[str, str]:
    warnings.extend(f"{name} is no attribute of <{element.tag}>" for name in element.attrib if name not in allowed)
    return {name: value for name, value in element.attrib.items() if name in allowed}
