"""What happened in a call, as rows for people: who, what, and how long it took."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import assert_never

from gateway.call.turns import Turn
from gateway.demo.outcome import Phone
from gateway.demo.watch import BargeIn, Beat, Consent, Handoff, Key, Refused, Said, ToolRun, Watch


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened.

    Attributes:
        at: when it began, from the moment at which the call was answered: ``0:12``.
        kind: ``caller``, ``agent``, ``tool``, ``handoff``, ``barge-in``, ``consent``, ``key`` or ``guardrail``.
        who: the name that stands before it.
        text: what is said or done; of an agent's words, those that were heard.
        rest: words of an agent that were not heard, or not yet.
        right: how long it took.
        final: whether it stays so.
    """

    at: str
    kind: str
    who: str
    text: str
    rest: str = ""
    right: str = ""
    final: bool = True


def rows(watch: Watch, phone: Phone) -> list[Row]:
    """Return everything so far, in order."""
    told = _Told(phone)
    zero = watch.streamed or 0.0
    return [told.row(beat, _clock(beat.at - zero)) for beat in watch.beats if _is_worth_telling(beat)]


def _is_worth_telling(beat: Beat) -> bool:
    """Whether it is more than who picked up, or an answer that was called off before its first word."""
    match beat:
        case Handoff(before=""):
            return False
        case Said(turn, final=True):
            return bool(turn.speaker == "caller" or turn.generated)
        case _:
            return True


def _clock(seconds: float) -> str:
    whole = max(int(seconds), 0)
    return f"{whole // 60}:{whole % 60:02d}"


class _Told:
    """Tells one beat after the other, each with what was measured at the phone."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._measured: set[int] = set()

    def row(self, beat: Beat, at: str) -> Row:
        match beat:
            case Said():
                return self._said(beat, at)
            case ToolRun(began, tool, arguments, output, ended):
                result = f" → {output}" if output is not None else " ..."
                took = f"{(ended - began):.1f} s" if output is not None and ended - began >= _LONG else ""
                return Row(at, "tool", "tool", f"{tool}({_arguments(arguments)}){result}", right=took, final=beat.final)
            case Handoff(_, before, after):
                return Row(at, "handoff", "handoff", f"{before} → {after}")
            case BargeIn():
                return self._barge_in(at)
            case Consent(_, tool, arguments, _, approved):
                decided = {None: "", True: ": given", False: ": refused"}[approved]
                return Row(
                    at,
                    "consent",
                    "consent",
                    f"{tool}({_arguments(arguments)}) waits for a yes{decided}",
                    final=beat.final,
                )
            case Key(_, digit):
                return Row(at, "key", "key", f"the caller presses {digit}")
            case Refused(_, guardrails):
                return Row(at, "guardrail", "guardrail", f"{', '.join(guardrails)} took an answer back")
            case _:
                assert_never(beat)

    def _said(self, said: Said, at: str) -> Row:
        turn = said.turn
        if turn.speaker == "caller":
            text = turn.generated or ("(not understood)" if said.final else "...")
            return Row(at, "caller", self._caller(turn), text, final=said.final)
        number = self._phone.part_before(turn)
        right = ""
        if number is not None and number not in self._measured:
            self._measured.add(number)
            waited = self._phone.answered_ms(number)
            right = f"{waited:.0f} ms" if waited is not None else ""
        return Row(at, "agent", turn.agent, turn.heard, turn.unheard, right, said.final)

    def _caller(self, turn: Turn) -> str:
        """Return who is speaking: the caller, or a person who was recorded."""
        number = self._phone.part_of(turn)
        return "recorded" if number is not None and self._phone.parts[number].step.kind == "recorded" else "caller"

    def _barge_in(self, at: str) -> Row:
        cut = next((number for number, part in enumerate(self._phone.parts) if part.step.cuts_in), None)
        silenced = self._phone.silenced_ms(cut) if cut is not None else None
        right = f"{silenced:.0f} ms" if silenced is not None else ""
        text = "the caller cuts in, and the agent stops"
        return Row(at, "barge-in", "barge-in", text, right=right, final=silenced is not None)


_LONG = 0.1
"""Seconds from which on a tool's time is worth telling."""


def _arguments(text: str) -> str:
    try:
        values = json.loads(text or "{}")
    except ValueError:
        return text
    return ", ".join(f"{name}={value}" for name, value in values.items()) if isinstance(values, dict) else text
