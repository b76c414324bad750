"""A call that one process began and another took up: one story, one picture, one recording, one replay."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from gateway.audio.frames import SAMPLE_RATE
from gateway.audio.wav import read_channels
from gateway.call import events as e
from gateway.call.policy import BargeIn
from gateway.diagnosis.case import case_of
from gateway.diagnosis.rules import diagnose
from gateway.store.joined import on_one_clock, recording_began
from gateway.store.log import FLUSH_EVERY, LogWriter
from gateway.store.log_file import append_closed
from gateway.store.log_lines import Closed, Entry, Header, Line, Note, path_of, read_log
from gateway.store.picture import draw
from gateway.store.recording.shelf import Recordings
from gateway.store.recovery import LOST
from gateway.store.replay import compare
from gateway.store.story import tell
from tests.diagnosis.scenes import Scene, opened, start, talk

LATER = 40.0
"""Seconds from the call's beginning to that of the process that takes it up."""


@dataclass
class Carried:
    """A call's log and recording, in a folder."""

    folder: Path
    first: Scene
    second: Scene

    @property
    def log(self) -> Path:
        return path_of(self.folder / "calls", self.first.header.call_id)

    def lines(self) -> list[Line]:
        return [*read_log(self.log)]

    def channels(self) -> tuple[bytes, bytes]:
        return read_channels((self.folder / "recordings" / f"{self.first.header.call_id}.wav").read_bytes())


def carry(scene: Scene, folder: Path) -> None:
    """Write a process's part of the log and of the recording; it dies, unless the scene is over."""
    writer, recordings = LogWriter(folder / "calls"), Recordings(folder / "recordings")
    writer.start()
    began = partial(recording_began, path_of(writer.folder, scene.header.call_id), scene.header)
    recorder = recordings.record(scene.header.call_id, began)
    log = writer.open(scene.header, [recorder])
    scene.write(log)
    writer.stop()
    if recorder._file is not None:
        recorder._file.close()  # as the death of a process does


def cut_short(scene: Scene) -> Scene:
    """Have the caller cut an answer short."""
    scene.run(0.8)
    scene.caller("Tell me a story.", 1.4)
    scene.agent("Once upon a time there was a telephone that rang and rang.", 8.0, heard_out=False)
    scene.run(0.7)
    scene.caller("Stop!", 0.6)
    scene.agent("All right.", 1.0)
    scene.run(0.5)
    return scene


@pytest.fixture(params=["closed", "torn"])
def carried(request: pytest.FixtureRequest, tmp_path: Path) -> Carried:
    """A call whose process died after a few turns, and that another took up: once closed before as lost, once not."""
    first = cut_short(start())
    carry(first, tmp_path)
    second = opened()
    second.items = second.responses = 100  # no model gives the same ids again
    second.agent("Hello again, how can I help you?", 2.0)
    here = Carried(tmp_path, first, second)
    with here.log.open("ab") as file:
        file.write(b'["e",999,12.5,["DigitPr')  # what a crash can leave
    if request.param == "closed":
        append_closed(here.log, Closed(first.now, LOST, {}, tuple(first.call.turns.held)), {"total": 0.5, "usage": {}})
    here.second.header = replace(here.second.header, wall=first.header.wall + LATER, node="another")
    here.second.raw[0] = ("header", here.second.header)
    cut_short(second).hang_up()
    carry(here.second, tmp_path)
    return here


def moments(entries: Sequence[Line]) -> list[float]:
    return [line.at for line in entries if isinstance(line, Entry)]


def test_its_lines_are_on_one_clock(carried: Carried) -> None:
    lines = [*on_one_clock(carried.lines())]
    assert [type(line) for line in lines].count(Header) == 1
    assert [type(line) for line in lines].count(Closed) == 1
    assert isinstance(lines[-1], Closed)
    assert (lines[-1].reason.reason, lines[-1].at) == ("caller-hung-up", carried.second.now + LATER)
    assert moments(lines) == sorted(moments(lines))
    numbers = [line.number for line in lines if isinstance(line, Entry) and not isinstance(line.event, e.StreamStopped)]
    assert numbers == sorted({*numbers})
    [lost] = [line for line in lines if isinstance(line, Note) and line.what == "process-lost"]
    assert lost.at == pytest.approx(carried.first.now, abs=FLUSH_EVERY)
    assert lost.details["seconds"] == LATER - lost.at


def test_a_log_of_one_process_is_told_as_it_is(tmp_path: Path) -> None:
    scene = talk(start(), 1)
    scene.hang_up()
    assert [*on_one_clock(scene.lines)] == scene.lines


def test_its_story_picture_and_causes_are_of_both_parts(carried: Carried) -> None:
    story = tell(carried.lines())
    assert [turn.began for turn in story.turns] == sorted(turn.began for turn in story.turns)
    spoken = [turn.heard for turn in story.turns]
    assert spoken == [turn.heard for turn in (*carried.first.call.turns.held, *carried.second.call.turns.held)]
    assert story.reason is not None
    assert (story.reason.reason, story.ended) == ("caller-hung-up", carried.second.now + LATER)
    assert [(stream.began < LATER, stream.cause) for stream in story.streams] == [(True, "superseded"), (False, "stop")]
    assert f"{carried.second.now + LATER:.1f} s" in draw(story)
    findings = diagnose(case_of(carried.lines()))
    assert "process-lost" in {each.code for each in findings}
    [lost] = [each for each in findings if each.code == "process-lost"]
    assert lost.at == pytest.approx(carried.first.now, abs=FLUSH_EVERY)
    assert lost.turn == 5
    assert {each.code for each in findings} <= {"process-lost", "late-greeting"}


def test_it_is_recorded_on_the_clock_of_its_first_stream(carried: Carried) -> None:
    caller, agent = carried.channels()
    assert len(caller) == len(agent)
    lines = [line for line in on_one_clock(carried.lines()) if isinstance(line, Entry)]
    begins = [line.at for line in lines if isinstance(line.event, e.StreamStarted)]
    gap = range(round((carried.first.now - begins[0] + 0.1) * SAMPLE_RATE), round((LATER - 0.1) * SAMPLE_RATE))
    assert {*caller[gap.start : gap.stop], *agent[gap.start : gap.stop]} == {0xFF}
    second = caller[round((begins[1] - begins[0]) * SAMPLE_RATE) :]
    alone = Recordings(carried.folder / "alone")
    alone.record("second").take([("header", carried.second.header), *carried.second.raw[1:]])
    assert second == read_channels((carried.folder / "alone" / "second.wav").read_bytes())[0]


def test_it_is_decided_as_it_was_and_a_change_is_shown_in_its_turn(carried: Carried) -> None:
    found = compare(carried.lines())
    assert (found.different, found.turns) == (0, [])
    assert found.events == sum(isinstance(line, Entry) for line in carried.lines())
    changed = compare(carried.lines(), replace(carried.first.policy, barge_in=BargeIn(min_speech=5.0)))
    assert {turn.at > LATER for turn in changed.turns} == {True, False}
