"""Whether what was expected of a step has happened. Pure: it looks at what the call's log has told so far."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.demo.watch import Beat, Handoff, Said, ToolRun, Watch
from gateway.trial.script import Expectation


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation: whether it came true, and what happened instead."""

    step: str
    expected: str
    passed: bool
    seconds: float = 0.0
    instead: str = ""


def says(text: str, wanted: str) -> bool:
    """Whether a text holds these words, in this order; case and punctuation don't count. ``/x/`` is a pattern."""
    if len(wanted) > 1 and wanted.startswith("/") and wanted.endswith("/"):
        return re.search(wanted[1:-1], text, re.IGNORECASE) is not None
    return f" {_words(wanted)} " in f" {_words(text)} "


def same_words(text: str, other: str) -> bool:
    """Whether two texts hold the same words; case and punctuation don't count."""
    return _words(text) == _words(other)


def heard(beats: Sequence[Beat]) -> str:
    """Return what the agents said of which something reached the ear, as far as it did."""
    return " ".join(beat.turn.heard for beat in beats if isinstance(beat, Said) and beat.turn.speaker == "agent")


def positive(expect: Expectation, beats: Sequence[Beat], watch: Watch) -> Iterator[tuple[str, bool]]:
    """Go through what has to happen, each with whether it has."""
    text = heard(beats)
    for wanted in expect.says:
        yield f"says {wanted}", says(text, wanted)
    for tool, arguments in expect.calls_tool.items():
        what = f"calls {tool}" + (f" with {json.dumps(arguments, ensure_ascii=False)}" if arguments else "")
        yield what, any(isinstance(beat, ToolRun) and _called(beat, tool, arguments) for beat in beats)
    if expect.handed_to:
        taken = any(isinstance(beat, Handoff) and beat.after == expect.handed_to and beat.before for beat in beats)
        yield f"handed to {expect.handed_to}", taken
    if expect.ends:
        yield f"ends with {expect.ends}", watch.reason is not None and watch.reason.reason == expect.ends


def negative(unwanted: Sequence[str], beats: Sequence[Beat]) -> Iterator[tuple[str, bool]]:
    """Go through what must not be heard, each with whether it was not."""
    text = heard(beats)
    for words in unwanted:
        yield f"never says {words}", not says(text, words)


def instead(beats: Sequence[Beat], watch: Watch) -> str:
    """Return what happened, for whoever expected something else."""
    found = [f'heard: "{text}"'] if (text := heard(beats).strip()) else ["heard nothing"]
    found += [f"called: {beat.tool} {beat.arguments}" for beat in beats if isinstance(beat, ToolRun)]
    found += [f"handed to: {beat.after}" for beat in beats if isinstance(beat, Handoff) and beat.before]
    understood = [beat.turn.generated for beat in beats if isinstance(beat, Said) and beat.turn.speaker == "caller"]
    found += [f'understood: "{text}"' for text in understood if text]
    return "; ".join([*found, *([f"ended: {watch.reason}"] if watch.reason else [])])


def _called(run: ToolRun, tool: str, arguments: dict[str, Any]) -> bool:
    if run.tool != tool:
        return False
    try:
        given = json.loads(run.arguments or "{}")
    except ValueError:
        return False
    return isinstance(given, dict) and all(name in given and given[name] == value for name, value in arguments.items())


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower().replace("'", "")))
