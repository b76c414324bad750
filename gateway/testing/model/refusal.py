"""What the server says no to."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - the API's ``error`` event, not a fault of the program
    """A client event that the server answers with an ``error`` event; the session goes on."""

    def __init__(
        self, message: str, *, code: str | None, param: str | None = None, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
