"""Words that were made and never heard, by no wish of the caller: goodbyes cut off, audio that was lost on its way."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.call import events as e
from gateway.call.turns import Turn
from gateway.diagnosis.case import Case
from gateway.diagnosis.finding import Code, Finding

WORD = 300.0
"""Milliseconds of speech that hold a word: less is the tail of a sound (people speak about 3 words a second)."""
AT_ONCE = 1.0
"""Seconds around a cut in which a turn that ended belongs to it: a settled turn knows its end to some tenths."""


def goodbye_cut(case: Case) -> Iterator[Finding]:
    """A hang-up or transfer of ours that took the line before the agent's last words were heard."""
    asked, departed = case.asked_to_leave(), case.departed()
    if (
        asked is None
        or departed is None
        or case.story.reason is None
        or case.story.reason.result in {"model", "carrier"}
    ):
        return
    last = [
        turn
        for turn in case.agent_turns
        if _missed(turn) >= WORD and abs((turn.ended or departed) - departed) < AT_ONCE
    ]
    if last and not _hung_up_before(case, departed):
        turn = last[-1]
        yield case.finding(
            Code.GOODBYE_CUT,
            departed,
            f"{_missed(turn) / 1000:.1f} s of the agent's last words were not heard: they take "
            f"{turn.generated_ms / 1000:.1f} s, and the line was left {departed - asked:.1f} s after it was asked for; "
            f"the longest wait is "
            f"{case.policy.last_word:g} s",
            "have the agent say goodbye briefly before it hangs up or transfers: say so in its instructions",
            "end_by",
            words=turn.unheard,
            turn=turn,
        )
    elif silent_since := _said_nothing(case, departed):
        yield case.finding(
            Code.GOODBYE_CUT,
            departed,
            f"the line was left without a word since the caller's at {silent_since:.1f} s; what the agent had to say "
            "came after that",
            "have the agent say goodbye first and hang up then: say so in its instructions",
        )


def _missed(turn: Turn) -> float:
    return turn.generated_ms - turn.heard_ms


def _hung_up_before(case: Case, departed: float) -> bool:
    return any(isinstance(entry.event, e.StreamStopped) and entry.at < departed for entry in case.entries[-20:])


def _said_nothing(case: Case, departed: float) -> float | None:
    """When the caller spoke last, where the agent was not heard since and only spoke once the line was left."""
    spoke = max((turn.ended or turn.began for turn in case.caller_turns if turn.began < departed), default=None)
    if spoke is None or any(spoke < span.end and span.begin < departed for span in case.played):
        return None
    late = any(isinstance(entry.event, e.AgentAudio) and entry.at > departed for entry in case.entries)
    return spoke if late else None


def words_not_heard(case: Case) -> Iterator[Finding]:
    """Speech that was lost though nobody cut it: with a stream, with the model, or since the carrier took no more."""
    cuts = [entry.at for entry in case.cuts()]
    trips = {entry.event.item_id for entry in case.entries if isinstance(entry.event, e.GuardrailTripped)}
    left = case.departed() if case.asked_to_leave() is not None else None
    for turn in case.agent_turns:
        end = turn.ended if turn.ended is not None else case.story.last
        if _missed(turn) < WORD or turn.item_id in trips:
            continue
        if any(abs(end - at) < AT_ONCE for at in cuts) or (left is not None and abs(end - left) < AT_ONCE):
            continue
        why = _lost_by(case, end)
        if why:
            yield case.finding(
                Code.WORDS_NOT_HEARD,
                end,
                f"{_missed(turn) / 1000:.1f} of {turn.generated_ms / 1000:.1f} s of a sentence were not heard: {why}",
                "nothing in the line: see what else was found at that time",
                words=turn.unheard,
                turn=turn,
            )


def _lost_by(case: Case, at: float) -> str:
    """Why audio was lost at a moment; empty where the caller hung up, or that can't be said."""
    for entry in case.entries:
        if abs(entry.at - at) > AT_ONCE:
            continue
        match entry.event:
            case e.StreamStopped(_, cause) if cause != "stop":
                return f"the carrier's stream was {cause}"
            case e.AgentLost(_, reason, _):
                return f"the model was lost ({reason})"
            case e.AudioDropped("carrier", milliseconds):
                return f"the carrier did not take {milliseconds} ms"
            case e.ResponseDone(_, "failed", code):
                return f"the model failed ({code or 'no reason given'})"
            case _:
                pass
    return ""


def text_only(case: Case) -> Iterator[Finding]:
    """Answers that were written and had no sound."""
    sounding = {entry.event.item_id for entry in case.entries if isinstance(entry.event, e.AgentAudio)}
    cuts = [entry.at for entry in case.entries if any(name == "Interrupt" for name, _ in entry.commands)]
    mute = [
        turn
        for turn in case.agent_turns
        if turn.generated.strip() and turn.item_id not in sounding and not any(turn.began - 5 < at for at in cuts)
    ]
    if mute:
        yield case.finding(
            Code.TEXT_ONLY,
            mute[0].began,
            f"{len(mute)} answers were text without sound: the caller heard nothing",
            "have the model speak: write modalities: [audio], or remove the key",
            "model.modalities",
            words=mute[0].generated,
            turn=mute[0],
        )


def guardrail_trips(case: Case) -> Iterator[Finding]:
    """What a guardrail kept from being heard."""
    for entry in case.entries:
        if isinstance(entry.event, e.GuardrailTripped):
            turn = case.turn(entry.event.item_id)
            heard = f"{turn.heard_ms / 1000:.1f} s of it had been heard" if turn else "nothing of it had been heard"
            yield case.finding(
                Code.GUARDRAIL_TRIPPED,
                entry.at,
                f"{', '.join(entry.event.guardrails)} refused what the agent was saying; {heard}",
                "tell the agent in its instructions what it may not say; or loosen the guardrail, if it was wrong",
                "guardrails",
                "guardrail_debounce",
                words=turn.generated if turn else "",
            )
