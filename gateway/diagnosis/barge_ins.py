"""Who cut whom: the agent cut short by what was no interruption, and callers whom the agent talked over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.call import events as e
from gateway.call.turns import Turn
from gateway.diagnosis.case import Case
from gateway.diagnosis.finding import Code, Finding
from gateway.store.log_lines import Entry

SHORTEST_WORD = 0.2
"""Seconds, by judgement: a spoken word takes longer; coughs and clicks do not."""
BACKCHANNEL = 0.9
"""Seconds that a sign of listening lasts at most, by judgement."""
TALKED_OVER = 2.0
"""Seconds of a caller's speech that an agent may go on under: as long as a silence may last."""
ECHOED_WORDS = 4
"""So many words in a row that the agent has just said are no chance."""
JUST_SAID = 12.0
"""Seconds in which what was said may still come back as an echo: it was heard within this turn or the one before."""
_LISTENING = frozenset(
    (  # noqa: SIM905 - a list literal takes a line for each word
        "mhm mm mmm mmhm mmhmm hm hmm uh-huh uhhuh uhuh mm-hmm mm-hm m-hm aha ah oh okay ok right sure yeah "
        "yep yes i see ja genau gut alles klar oui d'accord voilà sì va bene certo sí vale claro sim tá так "
        "да ага угу ну"
    ).split()
)
"""Signs of listening in a few languages: chosen, not measured."""


def false_barge_ins(case: Case) -> Iterator[Finding]:
    """Cuts by noise, by a sign of listening, or by the agent's own voice coming back."""
    found: dict[str, list[tuple[Entry, Turn]]] = {}
    for entry in case.cuts():
        turn = _speech_of(case, entry)
        if turn is not None and (why := _why_false(case, entry, turn)):
            found.setdefault(why, []).append((entry, turn))
    for why, cuts in found.items():
        first, turn = cuts[0]
        times = ", ".join(f"{entry.at:.1f}" for entry, _ in cuts)
        if why == "echo":
            yield case.finding(
                Code.ECHO,
                first.at,
                f"the agent was cut short {_times(cuts)} (at {times} s) by its own words, which came back",
                "the caller's line returns what it plays (a speakerphone): ask for more speech before a cut",
                "barge_in.min_speech",
                "model.noise_reduction",
                "model.turn_detection.threshold",
                words=turn.generated,
            )
            continue
        yield case.finding(
            Code.FALSE_BARGE_IN,
            first.at,
            f"the agent was cut short {_times(cuts)} (at {times} s) by {why}; it lasted {_length(turn):.1f} s",
            "ask for more speech before the agent is cut (min_speech: 400ms), or for louder speech (threshold)",
            "barge_in.min_speech",
            "model.turn_detection.threshold",
            "model.noise_reduction",
            words=turn.generated,
        )


def _times(cuts: Sequence[object]) -> str:
    return "once" if len(cuts) == 1 else f"{len(cuts)} times"


def _speech_of(case: Case, cut: Entry) -> Turn | None:
    """The caller's turn that cut."""
    item_id = ""
    for entry in case.entries:
        if entry.number > cut.number:
            break
        if isinstance(entry.event, e.SpeechStarted):
            item_id = entry.event.item_id
    keys = isinstance(cut.event, e.DigitPressed) or any(name in {"Tell", "DecideTool"} for name, _ in cut.commands)
    return None if keys or not item_id else case.turn(item_id, "caller")


def _why_false(case: Case, cut: Entry, turn: Turn) -> str:
    """What cut the agent, if it was no interruption; else empty."""
    words = _words(turn.generated)
    transcribed = any(
        isinstance(entry.event, e.CallerTranscribed) and entry.event.item_id == turn.item_id and not entry.event.failed
        for entry in case.entries
    )
    if not words:
        if transcribed:
            return "sound without words"
        return "a sound too short for a word" if turn.ended is not None and _length(turn) < SHORTEST_WORD else ""
    said = " ".join(
        each.heard for each in case.agent_turns if each.began <= cut.at <= (each.ended or cut.at) + JUST_SAID
    )
    if _echoes(words, _words(said)):
        return "echo"
    asked = said.rstrip().endswith("?")
    if all(word in _LISTENING for word in words) and _length(turn) <= BACKCHANNEL and not asked:
        return "a sign of listening"
    return ""


def _length(turn: Turn) -> float:
    return max((turn.ended if turn.ended is not None else turn.began) - turn.began, 0.0)


def _words(text: str) -> list[str]:
    """The words of a transcript; what stands in brackets is a recogniser's remark."""
    spoken = re.sub(r"\[[^\]]*\]|\([^)]*\)", " ", text.lower())
    return re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", spoken)


def _echoes(words: Sequence[str], said: Sequence[str]) -> bool:
    """Whether four words in a row, and nearly all of them, were said before in this order."""
    longest = 0
    for start in range(len(words)):
        for at in range(len(said)):
            length = 0
            while (
                start + length < len(words) and at + length < len(said) and words[start + length] == said[at + length]
            ):
                length += 1
            longest = max(longest, length)
    return longest >= ECHOED_WORDS and longest >= 0.8 * len(words)


def talked_over(case: Case) -> Iterator[Finding]:
    """Callers who spoke for over two seconds while the agent went on."""
    for turn in case.caller_turns:
        end = turn.ended if turn.ended is not None else case.story.last
        under = sum(max(min(span.end, end) - max(span.begin, turn.began), 0.0) for span in case.played)
        if under < TALKED_OVER:
            continue
        yield case.finding(
            Code.TALKED_OVER,
            turn.began,
            f"the agent went on for {under:.1f} s while the caller spoke",
            "let callers cut the agent short, at least after some words",
            "barge_in.allowed",
            "barge_in.protect_greeting",
            "barge_in.min_speech",
            words=turn.generated,
            turn=turn,
        )
