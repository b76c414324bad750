"""What callers waited for: answers that came late, split into their parts, and silences in which something was due.

A silence in which nothing was due is the caller's own: they think, look something up, or hold the line. It is no fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.audio.frames import BYTES_PER_MS
from gateway.call import events as e
from gateway.call.turns import Turn
from gateway.diagnosis.case import Case, Span
from gateway.diagnosis.finding import Code, Finding
from gateway.store.story import Wait, covered

SILENT = 2.0
"""Seconds. Two are when a clip or a word should have filled the silence (reliability, section 5: filler 2 s); people
answer each other within one, and hang up or say hello again soon after two."""
CHOPPED = 0.25
"""Seconds without sound inside a sentence, from which on it is no pause between words."""

_SLOW = {
    "detection": (
        Code.SLOW_DETECTION,
        "have the end of a turn noticed sooner: a shorter silence, or more eagerness",
        ("model.turn_detection.silence_duration_ms", "model.turn_detection.eagerness"),
    ),
    "gateway": (
        Code.SLOW_GATEWAY,
        "the line has the gateway ask for each answer, and it waited: let callers cut sooner, or protect less",
        ("barge_in.min_speech", "barge_in.protect_greeting", "barge_in.allowed"),
    ),
    "tool": (
        Code.SLOW_TOOL,
        "make the tool answer sooner, give it a shorter timeout, or tell the agent to say something before it calls it",
        (),
    ),
    "model": (
        Code.SLOW_MODEL,
        "less reasoning, a smaller model, or shorter instructions; else the model's server is slow or far away",
        ("model.name", "model.url", "model.reasoning.effort"),
    ),
    "playout": (
        Code.SLOW_PLAYOUT,
        "the audio was sent and took long to the ear: a gateway near the carrier's region (edge), a better network",
        (),
    ),
}


@dataclass(frozen=True, slots=True)
class _Due:
    """Something that the caller waited for, from when to when."""

    what: str
    begin: float
    end: float

    def within(self, gap: Span) -> float:
        return max(min(self.end, gap.end) - max(self.begin, gap.begin), 0.0)


def slow_turns(case: Case) -> Iterator[Finding]:
    """Answers that were heard over two silent seconds after the caller's last sound; the longest part names it."""
    echoes = _echoes(case)
    for heard in case.story.waits:
        wait = _corrected(heard, echoes)
        if _silent(case, wait) <= SILENT:
            continue
        parts = wait.parts()
        longest = max(parts, key=lambda part: parts[part])
        code, change, settings = _SLOW[longest]
        seen = f"the answer came {wait.total:.1f} s after the caller's last sound: {_told(parts)}"
        if longest == "tool":
            seen += f" ({', '.join(_tools(case, wait))})"
        yield case.finding(code, wait.at - wait.sent, seen, change, *settings, turn=case.turn(wait.item_id))


def _corrected(wait: Wait, echoes: Mapping[float, float]) -> Wait:
    """A wait with the way to the ear as the marks in its first sound have it.

    The record has it as it was estimated when that sound was sent, which is right for ways as they usually are.
    """
    late = echoes.get(wait.at)
    if late is None:
        return wait
    way_back = min(echoes.values()) / 2
    return replace(wait, playout=max(wait.playout or 0.0, late - way_back))


def _echoes(case: Case) -> dict[float, float]:
    """How much later than it was sent, and had been heard, sound was echoed; by when it was sent."""
    sent: dict[str, tuple[float, float]] = {}
    late: dict[float, float] = {}
    for entry in case.entries:
        behind = 0.0
        for name, fields in entry.commands:
            if name == "Play":
                behind += fields["size"] / BYTES_PER_MS / 1000
            elif name == "Mark" and behind:
                sent[fields["name"]] = entry.at, behind
        if isinstance(entry.event, e.MarkReached) and entry.event.name in sent:
            at, seconds = sent.pop(entry.event.name)
            late[at] = min(entry.at - at - seconds, late.get(at, float("inf")))
        elif any(name == "Clear" for name, _ in entry.commands):
            sent.clear()  # what is echoed then was not heard
    return late


def _told(parts: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts.items())


def _silent(case: Case, wait: Wait) -> float:
    """Seconds of a wait in which the agent was not heard saying something else."""
    since = wait.at - wait.sent
    spoken = [(span.begin, span.end) for span in case.played]
    return wait.total - covered(spoken, since, wait.at - 0.01)


def _tools(case: Case, wait: Wait) -> list[str]:
    since = wait.at - wait.sent
    ran = [tool for tool in case.story.tools if since <= tool.began <= wait.at]
    return [f"{tool.tool} {(tool.ended or wait.at) - tool.began:.1f} s" for tool in ran]


# ---- Silences -------------------------------------------------------------------------------------------------------


def silences(case: Case) -> Iterator[Finding]:
    """Silences over two seconds in which something was due, but for those that end with a slow answer."""
    dues = [*_dues(case)]
    for gap in _gaps(case):
        if any(gap.begin - 0.5 <= wait.at <= gap.end + 0.5 for wait in case.story.waits):
            continue  # an answer: slow_turns has it
        waited = [(due.what, due.within(gap)) for due in dues]
        waited = [(what, seconds) for what, seconds in waited if seconds >= 0.1]  # noqa: PLR2004 - not worth a word
        total = covered([(due.begin, due.end) for due in dues], gap.begin, gap.end)
        if total > SILENT:
            yield _silence(case, gap, total, waited)
        elif turn := _ignored(case, gap, total):
            yield case.finding(
                Code.UNANSWERED,
                gap.begin,
                f"the caller spoke at {turn.began:.1f} s, and had no answer for {gap.seconds:.1f} s",
                "nothing was asked of the model: see that speech as short as this counts, and that answers are started",
                "barge_in.min_speech",
                "barge_in.allowed",
                "model.turn_detection.create_response",
                turn=turn,
            )


def _silence(case: Case, gap: Span, total: float, waited: list[tuple[str, float]]) -> Finding:
    for_what = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in waited)
    longest = max(waited, key=lambda each: each[1])[0] if waited else ""
    if not any(span.end <= gap.begin + 0.01 for span in case.played):
        return case.finding(
            Code.LATE_GREETING,
            gap.begin,
            f"nothing was heard for the first {gap.seconds:.1f} s; waited for: {for_what}",
            "greet with a recording (greeting: {clip, text}), which needs no model; or see why the model is slow",
            "greeting",
            "model.name",
            "model.url",
        )
    change = (
        "make the tool answer sooner, or tell the agent to keep the caller company"
        if longest.startswith("tool")
        else "see why the model was slow: its server, its network, its instructions"
    )
    return case.finding(
        Code.SILENCE, gap.begin, f"{gap.seconds:.1f} s of silence, {total:.1f} of them for: {for_what}", change
    )


def _ignored(case: Case, gap: Span, due: float) -> Turn | None:
    """The caller's turn before a silence in which nobody was asked for an answer."""
    answers = any(gap.begin <= response.began <= gap.end for response in case.story.responses)
    if due > SILENT / 2 or answers:  # an answer that came to nothing is another rule's
        return None
    for turn in case.caller_turns:
        said = bool(turn.generated.strip()) or turn.transcription_failed
        if said and turn.ended is not None and abs(turn.ended - gap.begin) < 0.01:  # noqa: PLR2004 - the same moment
            return turn
    return None


def _gaps(case: Case) -> Iterator[Span]:
    """Silences over two seconds while caller and agent could talk."""
    sounds = [*case.played]
    sounds += [Span(turn.began, turn.ended if turn.ended is not None else turn.began) for turn in case.caller_turns]
    sounds += [Span(entry.at, entry.at) for entry in case.entries if isinstance(entry.event, e.DigitPressed)]
    for talk in case.talks:
        reached = talk.begin
        inside = sorted((span for span in sounds if span.end > talk.begin and span.begin < talk.end), key=_begin)
        for span in (*inside, Span(talk.end, talk.end)):
            if span.begin - reached > SILENT:
                yield Span(reached, span.begin)
            reached = max(reached, span.end)


def _begin(span: Span) -> float:
    return span.begin


def _dues(case: Case) -> Iterator[_Due]:
    """What was due when: the model's connection, tools, and answers of the model."""
    for talk in case.talks:
        if (ready := case.story.model_ready or talk.end) > talk.begin:
            yield _Due("the model's connection", talk.begin, min(ready, talk.end))
    for tool in case.story.tools:
        yield _Due(f"tool {tool.tool}", tool.began, tool.ended if tool.ended is not None else case.story.last)
    since: float | None = None
    for entry in case.entries:
        names = [name for name, _ in entry.commands]
        answered = isinstance(entry.event, e.AgentAudio) and "Play" in names
        over = isinstance(entry.event, e.ResponseDone | e.SpeechStarted | e.ToolStarted | e.StreamStopped | e.AgentLost)
        if since is not None and (answered or over):
            yield _Due("the model's answer", since, entry.at)
            since = None
        owed = isinstance(entry.event, e.ToolEnded | e.ResponseStarted) or (
            isinstance(entry.event, e.SpeechStopped) and not case.policy.owns_responses
        )
        if since is None and (owed or "Respond" in names) and not answered:
            since = entry.at
    if since is not None:
        yield _Due("the model's answer", since, case.story.last)


# ---- Sentences with holes -------------------------------------------------------------------------------------------


def choppy(case: Case) -> Iterator[Finding]:
    """Sentences that stopped in the middle since the model made them slower than they are spoken."""
    holes: dict[str, list[Span]] = {}
    for before, after in zip(case.played, case.played[1:], strict=False):
        if before.item_id and before.item_id == after.item_id and after.begin - before.end >= CHOPPED:
            holes.setdefault(after.item_id, []).append(Span(before.end, after.begin))
    for item_id, found in holes.items():
        total = sum(hole.seconds for hole in found)
        yield case.finding(
            Code.CHOPPY_SPEECH,
            found[0].begin,
            f"the agent broke off {len(found)} times in one sentence, for {total:.1f} s together",
            "the model made its speech slower than it is spoken: its server is short of power, or the network is",
            "model.url",
            turn=case.turn(item_id),
        )
