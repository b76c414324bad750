"""What came of the demo's call, measured at the caller's phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gateway.call.turns import Turn
from gateway.demo.story import MOST_WRONG, TOOLS, Step
from gateway.demo.watch import BargeIn, Consent, Handoff, ToolRun, Watch
from gateway.local.wer import errors, normal
from gateway.testing.twilio import PhoneCall
from gateway.testing.twilio.phone import AUDIBLE, SAMPLES_PER_MS
from gateway.testing.twilio.sound import FRAME, loudness

PAUSE_FRAMES = 10
"""Quiet frames (200 ms) that end what is being heard."""
PADDING = 500 * SAMPLES_PER_MS
"""A caller's turn begins up to this long before its first sound: what the voice detector puts before it."""
SLACK = 100 * SAMPLES_PER_MS
"""How much the two clocks may differ."""


@dataclass(frozen=True, slots=True)
class Part:
    """What the caller did between two samples of the call."""

    step: Step
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One thing that the caller said, and what was answered.

    Attributes:
        said: the words; for recordings what is known to be said in them.
        understood: what recognition made of it.
        kind: synthetic or recorded speech, or keys.
        wrong, words: how many words were understood wrongly, of how many.
        answered_ms: from the caller's last sound to the first one of the answer, both at the phone; None: no answer.
        silenced_ms: for a barge-in, from the caller's first sound until the agent was silent at the phone.
        heard: the answer, as far as it was heard (text is an estimate: in proportion to the sound that was heard).
        never_heard: the rest of it.
    """

    said: str
    understood: str
    kind: Literal["synthetic", "recorded", "keys"]
    wrong: int
    words: int
    answered_ms: float | None
    silenced_ms: float | None
    heard: str
    never_heard: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn of the transcript."""

    speaker: str
    heard: str
    never_heard: str


@dataclass(slots=True)
class Outcome:
    """The whole call.

    Attributes:
        model: what answered: ``local``, ``scripted`` or ``openai``.
        wav, log: files that stay: two channels as the phone had them, and the call's log.
        failures: what should have happened and did not; empty is success.
    """

    model: str
    call_id: str
    seconds: float
    result: str
    reason: str
    exchanged: list[Exchanged]
    transcript: list[Spoken]
    tools: list[str]
    handoffs: list[str]
    barge_ins: int
    wav: str
    log: str
    carrier_errors: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def word_error_rate(self) -> float | None:
        """Wrong words for each word of the recorded people; None where nobody was recorded."""
        recorded = [one for one in self.exchanged if one.kind == "recorded"]
        words = sum(one.words for one in recorded)
        return sum(one.wrong for one in recorded) / words if words else None

    def as_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {"ok": not self.failures, **asdict(self), "word_error_rate": self.word_error_rate}


class Phone:
    """What the caller did and heard, sample for sample, beside what the gateway's log says of it.

    Attributes:
        parts: what the caller did, in order, as far as it is done.
    """

    def __init__(self, call: PhoneCall, watch: Watch) -> None:
        self.call = call
        self.parts: list[Part] = []
        self._watch = watch
        self._extents: dict[int, tuple[int, int]] = {}
        self._answered: dict[int, float] = {}
        self._silenced: dict[int, float] = {}

    def part_of(self, turn: Turn) -> int | None:
        """Return the number of the part in which the caller said this; a turn begins with its padding, a bit early."""
        at = self._sample(turn.began) + PADDING
        return max((number for number, part in enumerate(self.parts) if part.start <= at), default=None)

    def part_before(self, turn: Turn) -> int | None:
        """Return the number of the part that this turn of the agent answers."""
        at = self._sample(turn.began) + SLACK
        return max((number for number, part in enumerate(self.parts) if part.end <= at), default=None)

    def answered_ms(self, number: int) -> float | None:
        """Return how long the caller waited for the answer to a part; None while there is none."""
        if number not in self._answered:
            heard, last = self.call.ear.heard, self._extent(number)[1]
            for at in range(_frame(last), min(self._until(number), len(heard)), FRAME):
                if _audible(heard, at):
                    self._answered[number] = (at - last) / SAMPLES_PER_MS
                    break
        return self._answered.get(number)

    def silenced_ms(self, number: int) -> float | None:
        """Return how long the agent was still heard after the caller had begun to speak over it."""
        if number not in self._silenced and self.parts[number].step.cuts_in:
            heard, first = self.call.ear.heard, self._extent(number)[0]
            last, at = first, _frame(first)
            while at < len(heard) and at - last < PAUSE_FRAMES * FRAME:
                if _audible(heard, at):
                    last = at + FRAME
                at += FRAME
            self._silenced[number] = (last - first) / SAMPLES_PER_MS
        return self._silenced.get(number)

    def exchanged(self) -> list[Exchanged]:
        """Return everything that the caller did, and how it was answered."""
        return [self._exchanged(number, part) for number, part in enumerate(self.parts)]

    def _exchanged(self, number: int, part: Part) -> Exchanged:
        turns = self._watch.turns
        spoken = [turn for turn in turns if turn.speaker == "caller" and self.part_of(turn) == number]
        answers = [turn for turn in turns if turn.speaker == "agent" and self.part_before(turn) == number]
        understood = " ".join(turn.generated for turn in spoken)
        reference = normal(part.step.text) if part.step.kind != "keys" else []
        return Exchanged(
            said=part.step.text,
            understood=understood,
            kind=part.step.kind,
            wrong=errors(reference, normal(understood)),
            words=len(reference),
            answered_ms=self.answered_ms(number),
            silenced_ms=self.silenced_ms(number),
            heard=" ".join(turn.heard for turn in answers if turn.heard),
            never_heard=" ".join(turn.unheard for turn in answers if turn.unheard),
        )

    def _until(self, number: int) -> int:
        """Return the sample at which the next part begins."""
        following = self.parts[number + 1 : number + 2]
        return following[0].start if following else len(self.call.ear.heard)

    def _extent(self, number: int) -> tuple[int, int]:
        """Return the first and last sample of a part that can be heard."""
        if number not in self._extents:
            part, said = self.parts[number], self.call.mouth.said
            sounds = [at for at in range(part.start, part.end, FRAME) if _audible(said, at)]
            self._extents[number] = (sounds[0], sounds[-1] + FRAME) if sounds else (part.start, part.end)
        return self._extents[number]

    def _sample(self, at: float) -> float:
        """Turn seconds of the call into the phone's samples, by the moment at which the stream began."""
        began = self.call.streams[0].began if self.call.streams else 0
        return began + (at - (self._watch.streamed or 0.0)) * 1000 * SAMPLES_PER_MS


def _frame(sample: int) -> int:
    return -(-sample // FRAME) * FRAME


def _audible(sound: bytes | bytearray, at: int) -> bool:
    return loudness(sound[at : at + FRAME]) >= AUDIBLE


def transcript(turns: Sequence[Turn]) -> list[Spoken]:
    """Return what was said, heard beside never heard."""
    return [Spoken(turn.agent or turn.speaker, turn.heard, turn.unheard) for turn in turns if turn.generated]


def failures(outcome: Outcome, watch: Watch) -> list[str]:
    """Return what should have happened in this call and did not."""
    ran = {beat.tool for beat in watch.beats if isinstance(beat, ToolRun) and beat.final}
    checks = [
        (outcome.result == "success", f"the call ended with {outcome.result}: {outcome.reason}"),
        (outcome.carrier_errors == [], f"the carrier complained: {outcome.carrier_errors}"),
        *((one.answered_ms is not None, f"never answered: {one.said}") for one in outcome.exchanged),
        (any(isinstance(beat, BargeIn) for beat in watch.beats), "the barge-in did not cut the agent"),
    ]
    if outcome.model != "openai":
        rate = outcome.word_error_rate
        handoffs = sum(isinstance(beat, Handoff) and bool(beat.before) for beat in watch.beats)
        checks += [(tool in ran, f"the tool {tool} did not run") for tool in TOOLS]
        checks += [
            (handoffs > 1, "nobody handed the caller over"),
            (any(isinstance(beat, Consent) and beat.approved for beat in watch.beats), "nobody asked for consent"),
        ]
        if outcome.model == "local" and rate is not None:
            checks.append((rate <= MOST_WRONG, f"of the recorded words {rate:.0%} were understood wrongly"))
    return [text for met, text in checks if not met]
