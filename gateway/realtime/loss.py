"""Why a model was lost, in the words of the call's record."""

from __future__ import annotations

from dataclasses import dataclass

from agents.exceptions import UserError
from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI

from gateway.errors import ModelError

_REASON_OF_STATUS = {
    401: "model-refused-key",
    403: "model-refused-key",
    404: "model-not-found",
    429: "model-rate-limited",
}
_REASON_OF_CODE = {
    "session_expired": "model-expired",
    "invalid_api_key": "model-refused-key",
    "missing_api_key": "model-refused-key",
    "authentication_error": "model-refused-key",
    "permission_denied": "model-refused-key",
    "insufficient_quota": "model-out-of-quota",
    "model_not_found": "model-not-found",
}
_FATAL = frozenset({"model-expired", "model-refused-key"})
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Loss:
    """The end of a model session that nobody asked for: a kebab-case reason, and what was said about it."""

    reason: str
    detail: str = ""


def loss_of_error(error: BaseException, *, connecting: bool = False) -> Loss:
    """Name what an exception of the transport, the SDK or an agent's own code means for the call."""
    detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    match error:
        case InvalidStatus():
            status = error.response.status_code
            usual = "model-unreachable" if status >= _SERVER_ERROR else "model-misconfigured"
            return Loss(_REASON_OF_STATUS.get(status, usual), detail)
        case ConnectionClosed():
            frame = error.rcvd or error.sent
            return loss_of_close(frame.code, frame.reason) if frame is not None else Loss("model-lost", detail)
        case InvalidURI() | UserError() | ValidationError() if connecting:
            return Loss("model-misconfigured", detail)
        case OSError() | InvalidHandshake():
            return Loss("model-unreachable", detail)
        case ModelError():
            return Loss("model-unreadable", detail)
        case _:
            return Loss("agent-failed", detail)


def loss_of_close(code: int, reason: str) -> Loss:
    """Name what the end of the socket means; a session's time limit looks like a normal close (code 1001)."""
    detail = f"closed with {code} {reason}".strip()
    words = reason.lower()
    if "maximum duration" in words or "session_expired" in words:
        return Loss("model-expired", detail)
    return Loss("model-lost", detail)


def reason_of_code(code: str) -> str | None:
    """Return the reason that an ``error`` event's code gives for a close that follows it."""
    return _REASON_OF_CODE.get(code)


def is_fatal(code: str) -> bool:
    """Whether a session is over after an ``error`` event with this code; most errors are recoverable (hazard H9)."""
    return _REASON_OF_CODE.get(code) in _FATAL


def worth_retrying(error: BaseException) -> bool:
    """Whether connecting again at once may help: the network or a server in trouble, not a refusal."""
    match error:
        case InvalidStatus():
            return error.response.status_code >= _SERVER_ERROR
        case InvalidMessage() | OSError():
            return True
        case _:
            return False
