"""What a voice webhook says beyond the call itself: variables, the way back, and the kind of the caller's leg. Pure.

Variables come from four places, the operator's own last, so that they win: fields of a ``client:`` call, the headers of
a call over SIP (``SipHeader_X-Customer`` is ``sip_x_customer``), ``<Parameter>`` of a ``<Dial><Application>``
(``Param_customer`` is ``customer``), and the query of the webhook's URL, which the carrier signed with the rest.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.carriers.twilio.form import Form

MAX_VALUE: Final = 500
"""Characters of a variable; more is cut."""
RETURN: Final = "return"
"""The name in the query of the URL that asks for the call back."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""A line's variable. The carrier's own fields begin with a capital."""
_HEADER: Final = "SipHeader_"
_PARAMETER: Final = "Param_"
_NOT_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def variables(form: Form, query: Form) -> dict[str, str]:
    """Return what may be variables of a line, by the names that they have there."""
    found: dict[str, str] = {}
    for name in form:
        if _NAME.fullmatch(name):
            found[name] = form.first(name)
    for prefix, ours in ((_HEADER, "sip_"), (_PARAMETER, "")):
        for name in form:
            if name.startswith(prefix):
                found[ours + name.removeprefix(prefix).lower().replace("-", "_")] = form.first(name)
    for name in query:
        if _NAME.fullmatch(name):
            found[name] = query.first(name)
    found.pop(RETURN, None)
    return {name: clean_value(value) for name, value in found.items() if _NAME.fullmatch(name)}


def clean_value(value: str) -> str:
    """Return a variable's value as instructions may hold it: one line, of bounded length."""
    return _NOT_TEXT.sub(" ", value)[:MAX_VALUE]


def over_sip(form: Form) -> bool:
    """Whether the caller's leg is one of SIP: a SIP domain's, or a trunk's of the operator's own carrier (BYOC)."""
    return form.first("From").startswith(("sip:", "sips:")) or any(
        name in form for name in ("SipCallId", "SipDomain", "SipDomainSid")
    )


def outcome(form: Form) -> str:
    """Return how a ``<Dial>``, an ``<Enqueue>`` or a ``<Refer>`` went, in the words of DialCallStatus.

    Empty where the request is none of their actions.
    """
    if status := form.first("DialCallStatus"):
        return status
    if queue := form.first("QueueResult"):
        # TwiML Voice, <Enqueue>: of the results, these mean that the caller talked to a person, or is gone.
        return "completed" if queue in {"bridged", "bridging-in-process", "hangup"} else "failed"
    if "ReferCallStatus" in form or "ReferSipResponseCode" in form:
        # TwiML Voice, <Refer>: without any NOTIFY there is no status; 202 says that the caller's side took it over.
        gone = form.first("ReferCallStatus") or ("completed" if form.first("ReferSipResponseCode") == "202" else "")
        return "completed" if gone in {"completed", "answered", "in-progress"} else "failed"
    return ""
