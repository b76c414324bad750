"""Faults that are planted in the real program and its surroundings, and ``gateway why``, which names them."""

import json
from pathlib import Path

import anyio
import pytest

from gateway.audio.g711 import from_pcm, to_pcm
from gateway.audio.wav import read
from gateway.cli import main
from gateway.testing import Behaviour
from gateway.testing.model import Fault, call_tool, say
from gateway.testing.twilio import Marks, tone

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(180)]
QUESTION = tone(800, 300.0, 1000.0)
SPEECH = read((Path(__file__).parents[1] / "speech" / "librivox_austen_0880.wav").read_bytes())
LINES = {
    "_defaults.yaml": """
greeting: Hello.
tools: ["records:find", hang_up]
model: {transcription: {model: whisper-1}}
recording: {mode: dual, consent: not-needed, reason: a test}
on_failure: {say: Sorry., then: hang_up}
""",
    "healthy.yaml": 'number: "+15550100"\ninstructions: healthy\n',
    "tool.yaml": 'number: "+15550101"\ninstructions: tool\n',
    "model.yaml": 'number: "+15550102"\ninstructions: model\n',
    "marks.yaml": 'number: "+15550103"\ninstructions: marks\n',
    "echo.yaml": 'number: "+15550104"\ninstructions: echo\nbarge_in: {allowed: false}\n',
}
TOOLS = '''
import asyncio

from agents import function_tool


@function_tool(timeout=0.5)
async def find(customer: str) -> str:
    """Find a customer."""
    await asyncio.sleep(30)
    return "found"
'''


async def brain(session, asked):
    """Be the model that each line's fault needs; which one it is stands in the instructions."""
    session.ears.transcripts.append("When do you open on Sunday?")
    match session.config["instructions"].split()[-1], asked.number:
        case "echo", 1:
            return say("A long story.", audio=SPEECH[: 9 * 8000])
        case "tool", 2:
            return call_tool("find", {"customer": "Ann"})
        case "model", 2:
            await session.strike(Fault.EXPIRED)
    return say("Hello, I am here, and glad that you have called.", 3.0)


async def talk(caller):
    """Hear the greeting, ask something, hear the answer, and hang up."""
    await caller.wait_for_speech()
    await caller.wait_for_silence(700)
    await caller.say(QUESTION)
    await caller.wait_for_answer()
    await caller.wait_for_silence(700)
    caller.hang_up()


async def be_failed(caller):
    """The same, but for the end: nobody answers any more."""
    await caller.wait_for_speech()
    await caller.wait_for_silence(700)
    await caller.say(QUESTION)


async def sit_beside_a_loudspeaker(caller):
    """Have the microphone take what the loudspeaker plays, 0.3 s later and 10 dB softer; then hang up."""
    ear, mouth = caller.call.ear, caller.call.mouth
    await caller.wait_for_speech()
    taken = len(ear.heard) // 160 * 160
    mouth.say(bytes([0xFF]) * 2400)
    with anyio.move_on_after(10):
        while True:
            await anyio.sleep(0.02)
            fresh = bytes(ear.heard[taken : len(ear.heard) // 160 * 160])
            taken += len(fresh)
            mouth.say(softer(fresh))
    caller.hang_up()


def softer(sound):
    samples = memoryview(to_pcm(sound)).cast("h") if sound else []
    return from_pcm(b"".join(round(sample * 0.3).to_bytes(2, "little", signed=True) for sample in samples))


def why(call_id, capsys):
    with pytest.raises(SystemExit) as left:
        main(["why", call_id, "--json"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert left.value.code == (1 if found else 0)
    return found


async def test_the_doctor_names_what_was_planted_and_says_nothing_of_a_healthy_call(
    begin, tmp_path, monkeypatch, capsys
):
    (tmp_path / "agents_config" / "tools").mkdir(parents=True)
    (tmp_path / "agents_config" / "tools" / "records.py").write_text(TOOLS)
    calm = Behaviour(start_delay_ms=(20, 60), delay_ms=(5, 40))
    async with begin(brain, lines=LINES, behaviour=calm) as world:
        calls = {}

        async def one(name, number, act, behaviour):
            caller = await world.twilio.dial(f"+1555010{number}", behaviour=behaviour)
            calls[name] = caller.call.sid
            await act(caller)
            await caller.wait_for_end()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, "healthy", 0, talk, calm)
            tasks.start_soon(one, "tool", 1, talk, calm)
            tasks.start_soon(one, "model", 2, be_failed, calm)
            tasks.start_soon(one, "marks", 3, talk, calm.but(marks=Marks("never")))
            tasks.start_soon(one, "echo", 4, sit_beside_a_loudspeaker, calm)
        await world.gateway.wait_until_logged("call-ended", len(calls))
        await anyio.sleep(1)
        monkeypatch.setenv("GATEWAY_DATA_DIR", str(world.gateway.data))
        monkeypatch.setenv("GATEWAY_CONFIG_DIR", str(tmp_path / "agents_config"))
        found = {name: {each["code"]: each for each in why(sid, capsys)} for name, sid in calls.items()}
    assert found["healthy"] == {}
    assert "find took longer than its timeout" in found["tool"]["tool-timed-out"]["seen"]
    assert "model-expired" in found["model"]["model-lost"]["seen"]
    assert "marks came back" in found["marks"]["marks-missing"]["seen"]
    assert "comes back after" in found["echo"]["echo"]["seen"]
    planted = {"tool": "tool-timed-out", "model": "model-lost", "marks": "marks-missing", "echo": "echo"}
    for name, code in planted.items():
        others = set(planted.values()) - {code}
        assert not others & set(found[name]), name
