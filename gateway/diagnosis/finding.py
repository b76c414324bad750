"""What the doctor found on one call: a cause, its evidence, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """What can be found, by name; ``docs/why.md`` has the table of what each means."""

    # What callers waited for
    LATE_GREETING = "late-greeting"
    SLOW_DETECTION = "slow-detection"
    SLOW_GATEWAY = "slow-gateway"
    SLOW_TOOL = "slow-tool"
    SLOW_MODEL = "slow-model"
    SLOW_PLAYOUT = "slow-playout"
    SILENCE = "silence"
    UNANSWERED = "unanswered"
    CHOPPY_SPEECH = "choppy-speech"
    # What was not heard
    GOODBYE_CUT = "goodbye-cut"
    WORDS_NOT_HEARD = "words-not-heard"
    TEXT_ONLY = "text-only"
    GUARDRAIL_TRIPPED = "guardrail-tripped"
    # Who may speak
    FALSE_BARGE_IN = "false-barge-in"
    TALKED_OVER = "talked-over"
    # The model
    RESPONSE_FAILED = "response-failed"
    RESPONSE_INCOMPLETE = "response-incomplete"
    RESPONSE_EMPTY = "response-empty"
    RESPONSE_STUCK = "response-stuck"
    MODEL_ERROR = "model-error"
    MODEL_LOST = "model-lost"
    MODEL_NOT_READY = "model-not-ready"
    # Tools and agents
    TOOL_FAILED = "tool-failed"
    TOOL_TIMED_OUT = "tool-timed-out"
    TOOL_REFUSED = "tool-refused"
    TOOL_UNENDED = "tool-unended"
    TOOL_OUTPUT_CUT = "tool-output-cut"
    TOOL_LOOP = "tool-loop"
    HANDOFF_LOOP = "handoff-loop"
    APPROVAL_TIMED_OUT = "approval-timed-out"
    # What was heard of the caller
    TRANSCRIPTION_FAILED = "transcription-failed"
    TRANSCRIPTION_MISSING = "transcription-missing"
    CALLER_NEVER_HEARD = "caller-never-heard"
    CALLER_INAUDIBLE = "caller-inaudible"
    AGENT_INAUDIBLE = "agent-inaudible"
    ONE_WAY_AUDIO = "one-way-audio"
    ECHO = "echo"
    # The carrier and its stream
    NO_STREAM = "no-stream"
    STREAM_LOST = "stream-lost"
    AUDIO_GAP = "audio-gap"
    AUDIO_LATE = "audio-late"
    AUDIO_DROPPED = "audio-dropped"
    MARKS_MISSING = "marks-missing"
    MESSAGES_REFUSED = "messages-refused"
    CARRIER_REQUEST_FAILED = "carrier-request-failed"
    TRANSFER_FAILED = "transfer-failed"
    # The end
    ENDED_BY_LIMIT = "ended-by-limit"
    ENDED_BY_DEPLOY = "ended-by-deploy"
    PROCESS_LOST = "process-lost"
    INTERNAL_ERROR = "internal-error"
    # The bill
    COST_UNCACHED = "cost-uncached"
    COST_CONTEXT = "cost-context"
    COST_UNHEARD = "cost-unheard"


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause.

    Attributes:
        code: what it is.
        at: seconds since the call began.
        turn: the number, from 1, of the turn in which it was or before it; None before anybody spoke.
        seen: the evidence, with its times; nothing of what was said.
        change: what to do about it.
        settings: keys of the line that contributed.
        words: what was said, where that is part of the evidence.
    """

    code: Code
    at: float
    turn: int | None
    seen: str
    change: str
    settings: tuple[str, ...] = ()
    words: str = ""
