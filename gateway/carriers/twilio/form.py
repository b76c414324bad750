"""Reading a webhook's fields: bounded in size, number and time, and kept exactly as they were signed."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

import anyio
from starlette.requests import ClientDisconnect, Request

MAX_BODY: Final = 64 * 1024
MAX_FIELDS: Final = 300
"""Twilio sends about thirty; calls over SIP add a field for each header."""
BODY_SECONDS: Final = 5.0
FORM_TYPE: Final = "application/x-www-form-urlencoded"


class Form(dict[str, list[str]]):
    """Fields by name, each with all of its values in order: the signature is over repeated ones and blank ones too."""

    def getall(self, name: str) -> list[str]:
        """All values of a field; the name is the one that Twilio's validator looks for."""
        return self[name]

    def first(self, name: str) -> str:
        """The first value of a field, or an empty text."""
        values = self.get(name)
        return values[0] if values else ""

    def flat(self) -> dict[str, str]:
        return {name: values[0] for name, values in self.items()}


class UnreadableError(Exception):
    """The request can't be read as a webhook; ``status`` is the answer that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def parse(text: str) -> Form:
    """Read ``application/x-www-form-urlencoded`` text.

    Raises:
        UnreadableError: there are more fields than a webhook has.
    """
    form = Form()
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise UnreadableError(413, "too-many-fields") from error
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


async def read_body(request: Request) -> Form:
    """Read the fields of a POST.

    Raises:
        UnreadableError: another content type (415), too large (413), too slow (408), or cut off (400).
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM_TYPE:
        raise UnreadableError(415, "content-type")
    body = bytearray()
    with anyio.move_on_after(BODY_SECONDS) as deadline:
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise UnreadableError(413, "too-large")
        except ClientDisconnect as error:
            raise UnreadableError(400, "disconnected") from error
    if deadline.cancelled_caught:
        raise UnreadableError(408, "too-slow")
    # Percent-encoded text is ASCII; anything else was not signed by Twilio and fails there.
    return parse(body.decode("latin-1"))
