"""What a realtime model server gets wrong, as named modes that can be switched at any time."""

from __future__ import annotations

import math
from enum import StrEnum


class Fault(StrEnum):
    """One way to misbehave; the value is its name on the command line and in ``?fault=``."""

    # At the handshake. (A refused connection is ScriptedModel.refuse_connections.)
    HTTP_401 = "http-401"
    HTTP_403 = "http-403"
    HTTP_429 = "http-429"
    HTTP_500 = "http-500"
    SLOW_HANDSHAKE = "slow-handshake"
    """Answers the upgrade after ``Timing.handshake_delay``."""

    # At session.update.
    NO_SESSION_UPDATED = "no-session-updated"
    """Takes the configuration, but never says so."""
    FORMAT_IGNORED = "format-ignored"
    """Keeps PCM at 24 kHz both ways, and says so in session.updated."""
    UPDATE_REFUSED = "update-refused"
    """Answers session.update with an error and changes nothing."""

    # To the connection, after the second audio delta of an answer; ModelSession.strike does it at once.
    EXPIRED = "expired"
    """The error session_expired, then close 1001 with OpenAI's sentence."""
    EXPIRED_SILENTLY = "expired-silently"
    """Close 1001 with OpenAI's sentence, without an error."""
    RESET = "reset"
    """TCP reset."""
    FROZEN = "frozen"
    """Reads and answers nothing any more, pings neither, and does not close."""
    INVALID_JSON = "invalid-json"
    NOT_AN_OBJECT = "not-an-object"
    UNKNOWN_EVENT = "unknown-event"
    HUGE_MESSAGE = "huge-message"
    """A message of 9 MB, which is over the Agents SDK's limit of 8 MiB."""

    # To responses.
    DONE_LOST = "done-lost"
    """response.done is not sent, though the response is over."""
    RATE_LIMITED = "rate-limited"
    SERVER_ERROR = "server-error"
    CONTENT_FILTER = "content-filter"
    MAX_OUTPUT_TOKENS = "max-output-tokens"
    EMPTY_RESPONSE = "empty-response"
    LATE_DELTAS = "late-deltas"
    """Audio deltas of a cancelled response go on coming after its response.done."""
    DUPLICATE_CALL_IDS = "duplicate-call-ids"
    """Every function call comes twice, with one call_id."""
    UNKNOWN_TOOL = "unknown-tool"
    """Calls a tool that nobody declared, instead of what was scripted."""
    SLOW_FIRST_AUDIO = "slow-first-audio"
    """The first output of a response waits for ``Timing.slow_first_audio``."""
    ODD_DELTAS = "odd-deltas"
    """Audio deltas whose lengths are multiples neither of 160 nor of 3 bytes."""

    # To the transcription of the caller.
    TRANSCRIPTION_FAILED = "transcription-failed"
    TRANSCRIPTION_LATE = "transcription-late"
    """After ``Timing.late_transcription``."""
    TRANSCRIPTION_OUT_OF_ORDER = "transcription-out-of-order"
    """Every first of two transcripts comes after the second."""


MID_ANSWER = (
    Fault.EXPIRED,
    Fault.EXPIRED_SILENTLY,
    Fault.RESET,
    Fault.FROZEN,
    Fault.INVALID_JSON,
    Fault.NOT_AN_OBJECT,
    Fault.UNKNOWN_EVENT,
    Fault.HUGE_MESSAGE,
)
"""The faults that strike a connection in the middle of an answer."""


class Faults:
    """The faults that are switched on, some for a number of times only; those of the model apply to its sessions."""

    def __init__(self, *faults: Fault, above: Faults | None = None) -> None:
        self._left: dict[Fault, float] = dict.fromkeys(faults, math.inf)
        self._above = above

    def on(self, *faults: Fault, times: int | None = None) -> None:
        """Switch ``faults`` on, for good or for ``times`` times."""
        self._left.update(dict.fromkeys(faults, math.inf if times is None else times))

    def off(self, *faults: Fault) -> None:
        """Switch ``faults`` off here, or all of them."""
        for fault in faults or tuple(self._left):
            self._left.pop(fault, None)

    def __contains__(self, fault: Fault) -> bool:
        """Tell whether it is on, without using it up."""
        return self._left.get(fault, 0) > 0 or (self._above is not None and fault in self._above)

    def take(self, fault: Fault) -> bool:
        """Tell whether it is on, and count it as done once."""
        if self._left.get(fault, 0) > 0:
            self._left[fault] -= 1
            return True
        return self._above is not None and self._above.take(fault)
