"""``gateway try``: what ``gateway init`` writes passes, by the CI file that it writes; what is not so fails."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import anyio.from_thread
import pytest

from gateway.testing import ScriptedModel
from gateway.testing.model import call_tool, say

pytestmark = [pytest.mark.slow, pytest.mark.local, pytest.mark.timeout(180)]
BIN = str(Path(sys.executable).parent)


def run(folder, *arguments, **variables):
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), **variables}
    return subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=170, check=False
    )


def test_the_first_line_is_tried_by_its_ci_file(tmp_path):
    assert run(tmp_path, "gateway", "init").returncode == 0
    ran = run(tmp_path, "sh", "ci.sh")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "7 of 7 expectations came true." in ran.stdout
    assert "agent: Thanks for calling Acme. How can I help you?" in ran.stdout
    assert 'tool: opening_hours {"day":"saturday"}' in ran.stdout
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


def test_a_text_is_spoken_to_a_real_model_with_the_key(tmp_path):
    """``--real``: whatever speaks the Realtime protocol at OPENAI_REALTIME_URL, asked first whether it lets us in."""
    run(tmp_path, "gateway", "init")
    script = [say("Acme, hello.", 0.6), call_tool("opening_hours", {"day": "sunday"}), say("Not at all.", 0.6)]
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(ScriptedModel(script)) as model,
    ):
        expect = ("--expect", "calls_tool: {opening_hours: {day: sunday}}", "--expect", "says: not at all")
        words = ("gateway", "try", "hello", "Are you open on Sunday?", "--real", "--json")
        variables = {"OPENAI_REALTIME_URL": model.url, "OPENAI_API_KEY": "sk-mine"}
        ran = run(tmp_path, *words, *expect, **variables)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        checks = [json.loads(line) for line in ran.stdout.splitlines()]
        assert [(each["step"], each["passed"]) for each in checks] == [("Are you open on Sunday?", True)] * 2
        asked, called = model.sessions
        assert not asked.appended  # only whether it is there
        assert len(called.appended) > 8000
    ran = run(tmp_path, *words, **variables)
    assert ran.returncode == 3
    assert "can't be reached" in ran.stderr
    assert "Traceback" not in ran.stderr
