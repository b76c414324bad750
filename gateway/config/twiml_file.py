"""TwiML of the operator's own, in ``twiml/``: what the carrier does before it connects the caller to us.

``{{connect}}`` stands for our ``<Connect>``; ``{{name}}`` is a variable of the line. The document is checked as the
carrier would read it, so that a caller never finds out what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

from gateway.config.explain import nearest
from gateway.config.tree import Place
from gateway.errors import Fault

CONNECT: Final = "{{connect}}"
MAX_BYTES: Final = 48 * 1024
"""The carrier takes 64 KiB; the rest is for what the gateway adds."""
_BEFORE: Final = ("Dial", "Gather", "Pause", "Pay", "Play", "Prompt", "Record", "Say", "Start", "Stop")
"""Verbs after which the document goes on."""
_ENDS: Final = ("Connect", "Enqueue", "Hangup", "Leave", "Redirect", "Refer", "Reject")
"""Verbs after which nothing of the document is reached, or that the gateway writes itself."""
_ASKS_ELSEWHERE: Final = ("Dial", "Gather", "Pay", "Record")
"""Verbs with an ``action``: with it the document does not go on."""


class _WrongError(Exception):
    """The document is not what it should be at this place; what comes after is not looked at."""


@dataclass(slots=True)
class _Reader:
    """Reads one document with expat, which knows where it is."""

    text: str
    here: Place
    faults: list[Fault] = field(default_factory=list)
    depth: int = 0
    start: int = -1
    """Where the content of ``<Response>`` begins, in bytes."""
    at: int = -1
    """Where the placeholder stands, in bytes."""
    _parser: expat.XMLParserType = field(default_factory=lambda: expat.ParserCreate("utf-8"))

    def read(self) -> None:
        parser = self._parser
        parser.StartElementHandler = self._opened
        parser.EndElementHandler = self._closed
        parser.CharacterDataHandler = self._said
        parser.StartDoctypeDeclHandler = self._doctype
        parser.buffer_text = False
        try:
            parser.Parse(self.text.encode(), True)  # noqa: FBT003 - "this is all of it", by position only
        except expat.ExpatError as error:
            self._fault(f"not XML: {expat.ErrorString(error.code)}", "close every element; write & as &amp;")
        except _WrongError:
            return
        if not self.faults and self.at < 0:
            remedy = f"write {CONNECT} where the caller is to be connected to the agent"
            self.faults.append(self.here.fault(f"{CONNECT} is missing", remedy))

    def _opened(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth == 1:
            if name != "Response":
                self._fault(f"the root is <{name}>", "TwiML is one <Response>")
                raise _WrongError
            opening = self.text.encode()[self._parser.CurrentByteIndex :]
            self.start = self._parser.CurrentByteIndex + opening.index(b">") + 1
        elif self.depth == 2:  # noqa: PLR2004 - the verbs are right within <Response>
            self._verb(name, attributes)

    def _verb(self, name: str, attributes: dict[str, str]) -> None:
        if self.at >= 0:
            self._fault(f"<{name}> comes after {CONNECT} and is never reached", "put it before, or remove it")
        elif name in _ENDS:
            self._fault(f"<{name}> keeps the call from ever getting to {CONNECT}", "remove it")
        elif name not in _BEFORE:
            near = nearest(name, (*_BEFORE, *_ENDS))
            self._fault(f"<{name}> is no verb of TwiML", near or "verbs begin with a capital: <Say>")
        elif "action" in attributes and name in _ASKS_ELSEWHERE:
            self._fault(f"with an action the document does not go on after <{name}>", "remove action")

    def _closed(self, _name: str) -> None:
        self.depth -= 1

    def _said(self, text: str) -> None:
        if self.depth != 1 or not text.strip():
            if CONNECT in text:
                self._fault(f"{CONNECT} stands within a verb", "put it right within <Response>")
            return
        before, placeholder, after = text.strip().partition(CONNECT)
        if not placeholder or before or after.strip():
            self._fault(f"text that nobody speaks: {text.strip()[:40]!r}", "put it into <Say>")
        elif self.at >= 0:
            self._fault(f"{CONNECT} is there twice", "keep one")
        else:
            self.at = self.text.encode().index(CONNECT.encode(), self._parser.CurrentByteIndex)

    def _doctype(self, *_details: object) -> None:
        self._fault("a document type has no place in TwiML", "remove <!DOCTYPE ...>")
        raise _WrongError

    def _fault(self, message: str, remedy: str) -> None:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        self.faults.append(Place(self.here.file, line, column).fault(message, remedy))


def read_twiml(text: str, here: Place) -> tuple[str, list[Fault]]:
    """Return what a document has before its placeholder, or what is wrong with it."""
    if len(text.encode()) > MAX_BYTES:
        return "", [here.fault(f"the document is larger than {MAX_BYTES} bytes", "the carrier takes no more")]
    # What is not filled in here is no TwiML but ours, and in no attribute that XML forbids: braces are plain text.
    reader = _Reader(text.lstrip("\ufeff"), here)
    reader.read()
    if reader.faults:
        return "", reader.faults
    return reader.text.encode()[reader.start : reader.at].decode().strip(), []


def as_markup(value: str) -> str:
    """Return a variable's value as it may stand in an element or an attribute."""
    return escape(value, {'"': "&quot;", "'": "&apos;"})
