"""Tells what happens in a trial's call while it goes on, a line for each thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

from gateway.demo.watch import BargeIn, Beat, Consent, Handoff, Key, Refused, Said, ToolRun
from gateway.trial.judge import Check, same_words

Told: TypeAlias = Callable[[str], None]


class Teller:
    """Tells each thing once, when it is final: what was heard of an answer is known only then.

    Args:
        told: gets the lines.
    """

    def __init__(self, told: Told) -> None:
        self.told = told
        self._known: set[int] = set()
        self._caller = ""

    def caller(self, words: str) -> None:
        """Tell what the caller does."""
        self._caller = words
        self.told(f"caller: {words}")

    def judged(self, check: Check) -> Check:
        """Tell what became of an expectation, and return it."""
        self.told(f"  ok   {check.expected}" if check.passed else f"  FAIL {check.expected} -- {check.instead}")
        return check

    def happened(self, beats: Sequence[Beat]) -> None:
        """Tell what is new, up to the first thing that may still change."""
        for beat in beats:
            if id(beat) in self._known:
                continue
            if not beat.final:
                return
            self._known.add(id(beat))
            if line := self._line(beat):
                self.told(line)

    def _line(self, beat: Beat) -> str:
        match beat:
            case Said(turn):
                words = (turn.generated if turn.speaker == "caller" else turn.heard).strip()
                if turn.speaker == "agent":
                    return f"agent: {words}" if words else ""
                return "" if same_words(words, self._caller) else f"  understood: {words or '(nothing)'}"
            case ToolRun():
                return f"tool: {beat.tool} {beat.arguments or '{}'}"
            case Handoff():
                return f"handed to: {beat.after}" if beat.before else ""
            case Consent():
                return f"consent: {beat.tool} {'approved' if beat.approved else 'refused'}"
            case BargeIn():
                return "caller cut in"
            case Refused():
                return f"guardrail {', '.join(beat.guardrails)}: an answer was taken back"
            case Key():
                return ""
            case _:
                assert_never(beat)
