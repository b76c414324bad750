"""Every error that the gateway raises on purpose.

GatewayError
    SettingsError        the environment is missing something, or contradicts itself (exit status 78)
    ConfigError          agents_config/ has faults, each with file, line, column and remedy
    TokenError           a stream token is forged, expired, spent or for another call
    WireError            a message from the carrier is not what its documents say
    CarrierError         the carrier's REST API refused or could not be reached
    ModelError           the realtime model could not be reached, or is not configured as asked
    ToolError            a tool failed in a way that the agent should be told of
    LogError             a call's log can't be read back
    StoreError           the database, or the store of recordings, can't be used, or is not of this version
"""

from __future__ import annotations

from dataclasses import dataclass


class GatewayError(Exception):
    """The root of the hierarchy."""


class SettingsError(GatewayError):
    """The environment is not usable; the message is one line for each fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a configuration file, and what to do about it."""

    file: str
    line: int
    column: int
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        """Render as ``file:line:column: message (remedy)``, as editors and terminals link it."""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{remedy}"


class ConfigError(GatewayError):
    """The configuration has faults; all of them are listed, none is hidden behind the first."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class TokenError(GatewayError):
    """A stream token is not good for this stream."""


class WireError(GatewayError):
    """A message of the carrier is malformed."""


class CarrierError(GatewayError):
    """A request to the carrier failed.

    Attributes:
        status: the HTTP status, or None where no answer came.
        code: the carrier's own error code, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ModelError(GatewayError):
    """The realtime model can't be used as asked."""


class ToolError(GatewayError):
    """A tool failed; the message is for the agent."""


class LogError(GatewayError):
    """A call's log can't be read."""


class StoreError(GatewayError):
    """The database, or the store of recordings, can't be used as it is; the message says what to do."""
