"""The benchmark itself, with a few calls: that it measures, and that nothing is lost. Times are not judged."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from gateway.config.loader import load
from gateway.testing.load.numbered import answer_audio, blocks, numbers, size_of
from gateway.testing.load.rig import LEAVES_OUT, write_line
from gateway.testing.load.tally import Spread, Tally
from gateway.testing.load.traffic import Traffic

FAULTS = ("lost", "repeated", "reordered", "stale", "no_clear", "dropped")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(240)
def test_all_programs_carry_a_few_calls_without_loss(tmp_path):
    out, picture = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [sys.executable, "-m", "gateway", "bench", "--calls", "4", "--seconds", "2", "--repeat", "1", "--no-ramp"]
    command += ["--without", "recording,transcription,metrics,records"]
    done = subprocess.run(
        [*command, "--json", str(out), "--svg", str(picture)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "CPU, gateway to relay" in done.stdout
    assert "CPU, gateway to one without recording, transcription, metrics, records (bare)" in done.stdout
    result = json.loads(out.read_text())
    assert [window["program"] for window in result["windows"]] == ["gateway", "bare", "relay"]
    assert result["cpu_ratio_to_bare"]["4"] > 0
    for window in result["windows"]:
        seen = window["seen"]
        assert {name: seen[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0)
        assert seen["errors"] == []
        assert seen["to_model"]["count"] >= 4 * 2 * 50 * 0.9
        assert seen["to_carrier"]["count"] > 0
        assert window["cpu_ms"] > 0
    assert ET.fromstring(picture.read_text()).tag.endswith("svg")


def test_frames_and_blocks_carry_their_numbers_through_base64():
    payload, after = answer_audio(7, 41, 1600)
    assert (after, size_of(payload)) == (45, 1600)
    assert [numbers(payload, at) for at in blocks(payload)] == [(7, 41), (7, 42), (7, 43), (7, 44)]


@pytest.mark.parametrize(
    ("arrivals", "lost", "repeated", "reordered"),
    [([0, 1, 2], 0, 0, 0), ([0, 2], 1, 0, 0), ([0, 1, 1], 0, 1, 0), ([0, 2, 1], 1, 0, 1), ([0, 5], 4, 0, 0)],
)
def test_what_is_lost_repeated_or_reordered_is_counted(arrivals, lost, repeated, reordered):
    tally = Tally(open=True)
    last = -1
    for count in arrivals:
        if tally.follow(last, count):
            last = count
    assert (tally.lost, tally.repeated, tally.reordered) == (lost, repeated, reordered)


def test_a_cut_answer_is_no_loss():
    tally = Tally(open=True)
    assert tally.follow(3, 9, gap_allowed=True)
    assert tally.lost == 0


def test_answers_are_whole_frames_of_the_length_asked_for():
    sizes = Traffic().deltas()
    assert sum(sizes) == 5 * 8000
    assert sizes[:2] == [800, 1600]
    assert all(size % 160 == 0 for size in Traffic(density=6).deltas())


def test_a_spread_of_nothing_is_zero():
    assert Spread.of([]) == Spread(0, 0.0, 0.0, 0.0)
    assert Spread.of([0.001, 0.003]).max == 3.0


def test_a_line_may_be_without_what_can_be_left_out(tmp_path):
    lines = {}
    for without in ((), ("recording",), ("transcription",), tuple(LEAVES_OUT)):
        folder = tmp_path / "-".join(("line", *without))
        write_line(folder, without)
        line = load(folder / "agents_config").lines["bench"]
        lines[without] = (line.recording.mode, line.model.transcription == "off")
    assert [*lines.values()] == [("dual", False), ("off", False), ("dual", True), ("off", True)]


def test_a_program_without_what_nobody_knows_is_refused(tmp_path):
    command = [sys.executable, "-m", "gateway", "bench", "--without", "records,logs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "logs is none of recording" in done.stderr
