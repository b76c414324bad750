"""``gateway try``: what ``gateway init`` writes passes, by the CI file that it writes; what is not so fails."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.local, pytest.mark.timeout(180)]
BIN = str(Path(sys.executable).parent)


def run(folder, *arguments):
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder)}
    return subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=170, check=False
    )


def test_the_first_line_is_tried_by_its_ci_file(tmp_path):
    assert run(tmp_path, "gateway", "init").returncode == 0
    ran = run(tmp_path, "sh", "ci.sh")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "7 of 7 expectations came true." in ran.stdout
    suite = ET.parse(tmp_path / "reports" / "hello.opening_hours.xml").getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("Opening hours", "7", "0")


def test_what_does_not_happen_fails_and_says_what_did(tmp_path):
    run(tmp_path, "gateway", "init")
    sound = Path(__file__).parents[1] / "speech" / "cmu_something.wav"
    expect = ("--expect", "{says: the moon is made of cheese, within: 3s}")
    ran = run(tmp_path, "gateway", "try", "hello", str(sound), *expect, "--wav", "call.wav")
    assert ran.returncode == 1
    assert "FAIL says the moon is made of cheese" in ran.stdout
    assert 'understood: "' in ran.stdout
    assert (tmp_path / "call.wav").stat().st_size > 20_000
    ran = run(tmp_path, "gateway", "try", "helo")
    assert ran.returncode == 2
    assert "did you mean hello?" in ran.stderr
