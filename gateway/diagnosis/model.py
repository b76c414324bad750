"""What the model did wrong: responses that failed, were empty or never ended, errors, and its loss."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.call import events as e
from gateway.diagnosis.case import Case
from gateway.diagnosis.finding import Code, Finding
from gateway.store.log_lines import Entry
from gateway.store.story import Response

CALLS = 0.5
"""Seconds after a response in which the SDK may still report what it called."""
_FAILED = {
    "rate_limit_exceeded": "the account's tokens per minute are used up: ask for a higher limit, or use fewer",
    "insufficient_quota": "the account has no credit left: add some",
    "server_error": "the model's server failed: if it happens often, take another model or region",
}
_INCOMPLETE = {
    "max_output_tokens": (
        "the answer was longer than it may be: raise the limit, or ask for shorter answers",
        "model.max_output_tokens",
    ),
    "content_filter": (
        "the provider's filter stopped the answer: see what the instructions, or the caller, asked for",
        "agents",
    ),
}
_HARMLESS = frozenset(
    {"response_cancel_not_active", "conversation_already_has_active_response", "item_truncate_invalid"}
)
"""Errors that say only that two messages crossed on their way (reliability, hazards H18 and H26)."""
_LOST = {
    "model-unreachable": ("the model's server could not be reached: its address, the network", "model.url"),
    "model-refused-key": ("the server refused the key: OPENAI_API_KEY, or the line's headers", "model.headers"),
    "model-not-found": ("the server knows no such model, or the key may not use it", "model.name"),
    "model-rate-limited": ("too many sessions at once for the account: ask for a higher limit", ""),
    "model-out-of-quota": ("the account has no credit left: add some", ""),
    "model-expired": ("the session reached the provider's longest duration: keep calls shorter", "limits.max_duration"),
    "model-misconfigured": ("the server refused the configuration: see what it said", "model.name"),
    "model-unreadable": ("the server sent what is no event of the Realtime protocol", "model.url"),
    "agent-failed": ("the agent's own Python raised: see the gateway's log at that time", "agent"),
    "agent-side-failed": ("the agent's own Python raised: see the gateway's log at that time", "agent"),
}  # fmt: skip


def responses(case: Case) -> Iterator[Finding]:
    """Responses that ended otherwise than they should."""
    for response in case.story.responses:
        match response.status:
            case "failed":
                yield case.finding(
                    Code.RESPONSE_FAILED,
                    response.ended or response.began,
                    f"a response failed: {response.code or 'the server gave no reason'}",
                    _FAILED.get(response.code, "see what the model's server says of this code"),
                    "model.name",
                )
            case "incomplete":
                change, setting = _INCOMPLETE.get(
                    response.code, ("see what the model's server says of this code", "model.name")
                )
                yield case.finding(
                    Code.RESPONSE_INCOMPLETE,
                    response.ended or response.began,
                    f"a response broke off: {response.code or 'the server gave no reason'}",
                    change,
                    setting,
                )
            case "completed" if _is_empty(case, response):
                yield case.finding(
                    Code.RESPONSE_EMPTY,
                    response.ended or response.began,
                    "a response was completed with nothing in it: no sound, no text, no tool",
                    "tell the agent in its instructions what to say when it has nothing to say",
                    "model.modalities",
                    "model.tool_choice",
                )
            case _:
                pass


def _is_empty(case: Case, response: Response) -> bool:
    if response.first_audio is not None or response.ended is None:
        return False
    did = (
        e.AgentAudio
        | e.AgentTranscribed
        | e.ToolStarted
        | e.ApprovalAsked
        | e.AgentChanged
        | e.HangUpAsked
        | e.TransferAsked
        | e.VariableSet
    )
    until = response.ended + CALLS
    return not any(response.began <= entry.at <= until and isinstance(entry.event, did) for entry in case.entries)


def stuck(case: Case) -> Iterator[Finding]:
    """Responses that never began, or never ended, until the call gave them up."""
    last = 0.0
    for entry in case.entries:
        if isinstance(entry.event, e.TimePassed) and (what := _gave_up(case, entry, last)):
            yield case.finding(
                Code.RESPONSE_STUCK,
                entry.at,
                f"{what}: nothing came for {case.policy.response_stuck:g} s",
                "the model's server hung: nothing to change unless it happens often; then another model or region",
                "model.name",
                "model.url",
            )
        if _is_word_of_model(entry):
            last = entry.at


def _gave_up(case: Case, entry: Entry, last: float) -> str:
    names = [name for name, _ in entry.commands]
    if "CancelResponse" in names:
        return "a response never ended"
    waited = entry.at - last >= case.policy.response_stuck * 0.9
    if waited and case.reason == "model-stuck" and "CloseAgent" in names:
        return "the model said nothing when asked again"
    return "a response that was asked for never began" if waited and names == ["Respond"] and _owed(case, entry) else ""


def _owed(case: Case, entry: Entry) -> bool:
    """Whether an answer was due before an entry: since the caller's last words, or a tool's result, nothing came."""
    for before in reversed([each for each in case.entries if each.number < entry.number]):
        if isinstance(before.event, e.SpeechStopped | e.ToolEnded) or any(
            name == "Respond" for name, _ in before.commands
        ):
            return True
        if isinstance(before.event, e.ResponseStarted | e.ResponseDone | e.AgentAudio):
            return False
    return False


def _is_word_of_model(entry: Entry) -> bool:
    said = e.AgentAudio | e.AgentTranscribed | e.ResponseStarted | e.ResponseDone | e.SpeechStopped | e.ToolEnded
    return isinstance(entry.event, said)


def errors(case: Case) -> Iterator[Finding]:
    """What the model's server called an error, once for each code."""
    seen: dict[str, list[Entry]] = {}
    for entry in case.entries:
        if isinstance(entry.event, e.AgentErred) and entry.event.code not in _HARMLESS:
            seen.setdefault(entry.event.code, []).append(entry)
    for code, entries in seen.items():
        assert isinstance(entries[0].event, e.AgentErred)  # noqa: S101 - chosen so
        yield case.finding(
            Code.MODEL_ERROR,
            entries[0].at,
            f"the model's server reported {code or 'an error without a code'} ({len(entries)} in all): "
            f"{entries[0].event.message[:200]}",
            "see what the server says of this code; often a setting of model: that this model does not take",
            "model.name",
        )


def lost(case: Case) -> Iterator[Finding]:
    """The model that went away, or was not there in time."""
    for entry in case.entries:
        if isinstance(entry.event, e.AgentLost):
            reason, detail = entry.event.reason, entry.event.detail
            change, setting = _LOST.get(
                reason, ("the connection broke: the network, or the model's server", "model.url")
            )
            yield case.finding(
                Code.MODEL_LOST,
                entry.at,
                f"{reason}{': ' + detail[:200] if detail else ''}",
                change,
                *([setting] if setting else []),
                "on_failure",
            )
    if case.reason == "model-not-ready":
        at = case.story.ended if case.story.ended is not None else case.story.last
        began = case.story.streams[0].began if case.story.streams else 0.0
        yield case.finding(
            Code.MODEL_NOT_READY,
            case.departed() or at,
            f"the model was not connected {case.policy.model_ready:g} s after the caller was there (at {began:.1f} s)",
            "see the model's server and the way to it: `gateway doctor` measures both",
            "model.url",
            "model.name",
            "on_failure",
        )
