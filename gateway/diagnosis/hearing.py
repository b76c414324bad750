"""What came of the caller's side: words that were not written down, and sound that did not come through.

Levels are known where the call was recorded; else only frames, the voice detector and words tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gateway.call import events as e
from gateway.diagnosis.case import Case, Span
from gateway.diagnosis.finding import Code, Finding
from gateway.diagnosis.sound import ACTIVE_DBFS, STEP, likeness, loudness

TEXT_COMES = 5.0
"""Seconds after the end of speech in which its text has come, if it comes (a transcription takes one or two)."""
NOBODY_SPEAKS = 10.0
"""Seconds without a sound of the caller, after the agent was heard, that are more than thinking about an answer."""
QUIET_DBFS = -45.0
"""Speech below this is hard to hear: a judgement, 20 dB under the softest of the recorded people in ``tests/speech``,
whose loudest twentieth reaches -10 to -23 dB."""
SILENT_DBFS = -65.0
"""Nothing but the noise of mu-law itself."""
ENOUGH = 5.0
"""Seconds of a recording from which a level can be told."""
LIKE = 0.7
"""Correlation of both channels' levels from which one is an echo of the other. Of 40 pairs mixed from the recorded
people in ``tests/speech`` none came over 0.5; the same speech 20 dB softer and 0.2 s later, over noise, over 0.9."""
_HELLO = re.compile(
    r"\b(hello|are you (still )?there|can you hear me|i can'?t hear|anybody there|hallo|sind sie (noch )?da|"
    r"hören sie mich|allô|vous m'entendez|pronto|mi sente|mi senti|me oye|me escucha|alô|алло|вы меня слышите)\b",
    re.IGNORECASE,
)


# ---- Words ----------------------------------------------------------------------------------------------------------


def transcription(case: Case) -> Iterator[Finding]:
    """Speech whose words were not written down, though the line wants them."""
    failed = [turn for turn in case.caller_turns if turn.transcription_failed]
    if failed:
        yield case.finding(
            Code.TRANSCRIPTION_FAILED,
            failed[0].began,
            f"the words of {len(failed)} of {len(case.caller_turns)} turns of the caller could not be written down",
            "try another recogniser, or name the language; the agent itself hears the sound, not the text",
            "model.transcription.model",
            "model.transcription.language",
            turn=failed[0],
        )
    told = {entry.event.item_id for entry in case.entries if isinstance(entry.event, e.CallerTranscribed)}
    spoken = [
        turn for turn in case.caller_turns if turn.ended is not None and turn.ended < case.story.last - TEXT_COMES
    ]
    missing = [turn for turn in spoken if turn.item_id not in told]
    if not missing or case.settings.get("model.transcription") == "off":
        return
    every = len(missing) == len(spoken)
    yield case.finding(
        Code.TRANSCRIPTION_MISSING,
        missing[0].began,
        f"no words came of {len(missing)} of {len(spoken)} turns of the caller",
        "turn it on: remove `transcription: off`, or see whether the model's server transcribes at all"
        if every
        else "the recogniser lost them: try another one",
        "model.transcription",
        "model.transcription.model",
        turn=missing[0],
    )


# ---- Sound ----------------------------------------------------------------------------------------------------------


def caller_sound(case: Case) -> Iterator[Finding]:
    """A caller of whom nothing, or hardly anything, was heard."""
    if case.story.streams and not any(stream.frames for stream in case.story.streams):
        if sum(talk.seconds for talk in case.talks) >= ENOUGH:
            yield case.finding(
                Code.ONE_WAY_AUDIO,
                case.talks[0].begin,
                f"the carrier sent not one frame of the caller in {sum(talk.seconds for talk in case.talks):.0f} s",
                "ask the carrier (its warning 31953 says so): the caller's own network sends no sound",
            )
    elif _acted(case):
        yield from _quiet(case)
    else:
        yield from _never_heard(case)


def _told(case: Case) -> bool:
    """Whether the recording can tell: long enough, and nothing left out of it."""
    left_out = any(note.what in {"recording-paused", "recording-masked"} for note in case.story.notes)
    return case.sound is not None and case.sound.seconds >= ENOUGH and not left_out


def _quiet(case: Case) -> Iterator[Finding]:
    """A caller who spoke, and was hardly louder than the line."""
    if case.sound is None or not _told(case):
        return
    spoken = _levels(
        case, case.sound.caller, [Span(turn.began, turn.ended or turn.began) for turn in case.caller_turns]
    )
    if spoken and loudness(spoken) < QUIET_DBFS:
        yield _inaudible(case, case.caller_turns[0].began, loudness(spoken))


def _inaudible(case: Case, at: float, level: float) -> Finding:
    return case.finding(
        Code.CALLER_INAUDIBLE,
        at,
        f"the caller's side reaches {level:.0f} dB only; below {QUIET_DBFS:.0f} speech is hard to hear",
        "let softer speech count (a lower threshold); else the caller's telephone or their carrier is too quiet",
        "model.turn_detection.threshold",
        "model.noise_reduction",
    )


def _never_heard(case: Case) -> Iterator[Finding]:
    """A caller who was there, and of whom the model noticed no speech at all."""
    last = case.last_audible()
    if last is None or not case.talks or (waited := case.talks[-1].end - last) < NOBODY_SPEAKS:
        return
    level = loudness(case.sound.caller) if case.sound is not None and _told(case) else None
    if level is not None and level < SILENT_DBFS:
        yield case.finding(
            Code.ONE_WAY_AUDIO,
            last,
            f"the caller's side of the recording is silent ({level:.0f} dB), {waited:.0f} s after the agent spoke too",
            "the caller is muted, or their carrier sends no sound: call the number from another network and compare",
        )
    elif level is not None and level < QUIET_DBFS:
        yield _inaudible(case, last, level)
    else:
        known = f"; their side of the recording reaches {level:.0f} dB" if level is not None else ""
        yield case.finding(
            Code.CALLER_NEVER_HEARD,
            last,
            f"the model noticed no speech, though the caller was there for {waited:.0f} s after the agent spoke{known}",
            "if callers did speak: let softer speech count (a lower threshold); record calls to know their level",
            "model.turn_detection.threshold",
            "model.noise_reduction",
            "recording.mode",
        )


def _acted(case: Case) -> bool:
    return bool(case.caller_turns) or any(isinstance(entry.event, e.DigitPressed) for entry in case.entries)


def agent_sound(case: Case) -> Iterator[Finding]:
    """An agent that was played and hardly heard, or not at all."""
    played = sum(span.seconds for span in case.played)
    if case.sound is not None and _told(case) and played >= 1.0:
        spoken = _levels(case, case.sound.agent, case.played)
        level = loudness(spoken)
        if spoken and level < QUIET_DBFS:
            yield case.finding(
                Code.AGENT_INAUDIBLE,
                case.played[0].begin,
                f"what the agent said for {played:.1f} s reaches {level:.0f} dB only: callers hear nothing of it",
                "the model's server sends silence or whispers: another voice; a clip of yours: a louder file",
                "model.voice",
                "greeting",
            )
            return
    asking = [turn for turn in case.caller_turns if _HELLO.search(turn.generated)]
    asking = [turn for turn in asking if any(span.begin < turn.began for span in case.played)]
    if len(asking) > 1:
        times = ", ".join(f"{turn.began:.1f}" for turn in asking)
        yield case.finding(
            Code.ONE_WAY_AUDIO,
            asking[0].began,
            f"the caller asked whether anybody is there {len(asking)} times (at {times} s) though the agent had spoken",
            "the way to the caller is broken: compare with a call from another network; `gateway why` of such calls",
            words=" / ".join(turn.generated for turn in asking),
            turn=asking[0],
        )


def _levels(case: Case, channel: Sequence[float], spans: Iterable[Span]) -> list[float]:
    """The levels of a channel in some stretches of the call."""
    zero = case.story.zero
    levels: list[float] = []
    for span in spans:
        levels += channel[max(round((span.begin - zero) / STEP), 0) : max(round((span.end - zero) / STEP), 0)]
    return levels


def echo(case: Case) -> Iterator[Finding]:
    """A line that returns what the agent says, by the recording."""
    if case.sound is None or not _told(case) or case.sound.agent_speaks() < ENOUGH:
        return
    alike, lag = likeness(case.sound)
    if alike < LIKE:
        return
    back = [
        caller
        for agent, caller in zip(case.sound.agent, case.sound.caller[round(lag / STEP) :], strict=False)
        if agent > ACTIVE_DBFS
    ]
    level = loudness(back)
    if level > QUIET_DBFS:
        yield case.finding(
            Code.ECHO,
            case.played[0].begin if case.played else 0.0,
            f"what the agent says comes back after {lag * 1000:.0f} ms, at up to {level:.0f} dB (likeness {alike:.2f})",
            "the caller's line returns what it plays (a speakerphone): far_field, and more speech before a cut",
            "model.noise_reduction",
            "barge_in.min_speech",
        )
