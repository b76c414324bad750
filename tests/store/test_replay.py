"""Recorded calls, through the core again."""

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.call import events as e
from gateway.call.policy import BargeIn, Policy, Target
from gateway.store.log import LogWriter
from gateway.store.log_lines import Line, read_log
from gateway.store.replay import STEP, compare, decide, replay
from tests.store.drama import WAY, Drama, healthy

CUTTING = Policy("desk", greeting="Hello.")


def any_call(seed: int) -> Drama:
    """A call in which anything may happen."""
    rng = random.Random(seed)
    policy = Policy(
        "desk",
        greeting=rng.choice(["Hello.", ""]),
        barge_in=rng.choice(
            [BargeIn(), BargeIn(allowed=False), BargeIn(min_speech=0.4), BargeIn(protect_greeting=True)]
        ),
        transfers={"desk": Target("desk", "+14155550111")},
        end_by=rng.choice(["stream", "rest"]),
    )
    drama = Drama(policy, echoes=rng.random() < 0.8).begin(ready=rng.uniform(0, 1))
    drama.agent("Hello, how can I help?", rng.uniform(1, 3), heard_out=rng.random() < 0.6)
    for _ in range(rng.randint(1, 5)):
        scene = rng.choice(["talk", "talk", "barge", "tool", "digit", "trip", "fail", "stream"])
        drama.run(rng.uniform(0, 1))
        match scene:
            case "talk" | "barge":
                drama.caller(seconds=rng.uniform(0.2, 2))
                drama.agent("An answer.", rng.uniform(0.5, 5), heard_out=scene == "talk")
            case "tool":
                drama.caller()
                drama.tool(seconds=rng.uniform(0, 2))
                drama.agent("Found.", 1.0)
            case "digit":
                drama.do(e.DigitPressed(rng.choice("12#")))
            case "trip":
                item = drama.agent("A secret.", 2.0, heard_out=False)
                drama.do(e.GuardrailTripped(("no_secrets",), item, f"resp{drama.responses}"))
            case "fail":
                drama.agent("", 0, audio=False, status="failed", code="server_error")
                drama.run(0.5)
                drama.agent("Again.", 1.0)
            case _:
                drama.do(e.StreamStopped(drama.call._stream, "lost"))
                drama.do(e.ContinuationAsked("in-progress"))
                drama.run(0.3)
                drama.do(e.StreamStarted("MZ2", drama.call._stream + 1))
                drama.began = drama.now
    match rng.choice(["caller", "agent", "transfer", "model"]):
        case "agent":
            drama.do(e.HangUpAsked("agent", "done"))
            drama.run(2)
        case "transfer":
            drama.do(e.TransferAsked("agent", "desk"))
            drama.run(2)
        case "model":
            drama.do(e.AgentLost(1, "model-lost"))
    drama.hang_up()
    return drama


def written(drama: Drama, folder: Path) -> list[Line]:
    """The call's lines as a file gives them back."""
    writer = LogWriter(folder)
    writer.start()
    log = writer.open(drama.header)
    drama.write(log)
    writer.stop()
    return list(read_log(folder / f"{drama.header.call_id}.jsonl"))


def test_fifty_calls_are_decided_as_they_were(tmp_path: Path) -> None:
    events = 0
    for seed in range(50):
        lines = written(any_call(seed), tmp_path / str(seed))
        assert list(replay(lines)) == []
        found = compare(lines)
        assert (found.different, found.turns) == (0, [])
        events += found.events
    assert events > 20_000


def barge_in_at(turns: int) -> tuple[Drama, int]:
    """A call with one barge-in after so many good turns, and the number of the turn that cuts."""
    drama = healthy(turns)
    drama.run(0.5)
    drama.caller("Tell me a story.")
    drama.agent("Once upon a time there was a telephone that rang and rang.", 8.0, heard_out=False)
    drama.run(0.7)
    drama.caller("Stop!", 0.6)
    drama.agent("All right.", 1.0)
    drama.hang_up()
    return drama, 1 + 2 * turns + 3


@pytest.mark.parametrize("turns", [0, 2, 5])
@pytest.mark.parametrize(
    "changed",
    [BargeIn(allowed=False), BargeIn(min_speech=0.3), BargeIn(min_speech=5.0)],
    ids=["never", "later", "longer"],
)
def test_changed_barge_ins_are_shown_at_the_right_turn(tmp_path: Path, turns: int, changed: BargeIn) -> None:
    drama, cutting = barge_in_at(turns)
    found = compare(written(drama, tmp_path), replace(CUTTING, barge_in=changed))
    # Where the call owns the responses it asks for each; the cut is what differs besides.
    cuts = {turn.number: [line for line in turn.lines if "clear" in line] for turn in found.turns}
    [first] = [number for number, lines in cuts.items() if any(line.startswith("- ") for line in lines)]
    assert first == cutting
    now = [line for line in cuts[cutting] if line.startswith("+ ")]
    assert len(now) == (1 if changed.min_speech == 0.3 else 0)
    if now:
        [then] = [line for line in cuts[cutting] if line.startswith("- ")]
        later = float(now[0].split()[1]) - float(then.split()[1])
        assert later == pytest.approx(0.3, abs=0.02)
        assert "time-passed: clear" in now[0]


def test_a_protected_greeting_is_not_cut_any_more(tmp_path: Path) -> None:
    drama = Drama().begin()
    drama.agent("Hello and welcome to a rather long greeting.", 6.0, heard_out=False)
    drama.run(0.5)
    drama.caller("Wait.", 0.5)
    drama.agent("Yes?", 1.0)
    drama.hang_up()
    found = compare(written(drama, tmp_path), replace(CUTTING, barge_in=BargeIn(protect_greeting=True)))
    assert "clear" in "".join(line for line in found.turns[0].lines if line.startswith("-"))
    assert found.turns[0].number == 2


def test_other_limits_end_the_call_when_they_say(tmp_path: Path) -> None:
    drama = healthy(1)
    drama.run(20)
    drama.caller("I am back.")
    drama.agent("Good.", 1.0)
    drama.hang_up()
    found = compare(written(drama, tmp_path), replace(CUTTING, silence=8.0))
    told = [line for turn in found.turns for line in turn.lines]
    [end] = [line for line in told if line.startswith("+ ") and "time-passed: close-stream" in line]
    assert end


@pytest.mark.parametrize(
    "changed",
    [
        {"silence": 0.0},
        {"response_stuck": 0.0},
        {"barge_in": BargeIn(allowed=False), "response_stuck": 1e9},
        {"last_word": 0.0, "end_by": "rest"},
        {"max_duration": 1.0},
    ],
    ids="-".join,
)
def test_no_policy_makes_a_replay_run_away(changed: dict[str, Any]) -> None:
    for seed in range(4):
        lines = any_call(seed).lines
        policy = replace(lines[0].policy, **changed)  # type: ignore[union-attr]
        added = [decided.at for decided in decide(lines, policy) if not decided.number]
        assert all(after >= before + STEP * 0.99 for before, after in pairwise(added))
        assert all(at < lines[-1].at for at in added)  # type: ignore[union-attr]


def test_an_echo_of_what_was_thrown_away_is_none_of_the_changed_call(tmp_path: Path) -> None:
    """The cut of the log throws marks away; where nothing is cut, the answer is heard to its end all the same."""
    drama = healthy(0)
    drama.caller("Tell me a story.")
    drama.agent("Once upon a time there was a telephone.", 8.0, heard_out=False)
    began = drama.now
    drama.run(0.5)
    drama.caller("Stop!", 0.6)
    drama.run(12)
    drama.hang_up()
    changed = replace(CUTTING, barge_in=BargeIn(allowed=False))
    answers = [each.at for each in decide(written(drama, tmp_path), changed) if not each.number and each.replayed]
    # The audio came in 1.6 s, so it is heard to its end 6.4 s after the last of it.
    assert answers[0] - began == pytest.approx(6.4 + 2 * WAY, abs=0.6)


def test_the_same_policy_is_no_guess(tmp_path: Path) -> None:
    lines = written(any_call(7), tmp_path)
    header = lines[0]
    assert compare(lines, header.policy).different == 0  # type: ignore[union-attr]
