"""How long the program takes to answer, to listen and to be ready, and a call to hear its greeting:

python -m tests.bench.startup
"""

# ruff: noqa: T201 - it prints a table
from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

from gateway.testing import VOICE_URL, Behaviour, FakeTwilio, GatewayProcess, ScriptedModel
from gateway.testing.model import Timing, say
from tests.cli.test_startup import EMPTY

CLIP, SPOKEN = "+15550100", "+15550101"
LINES = {
    "_defaults.yaml": "instructions: You answer the phone.\n",
    "clip.yaml": f'number: "{CLIP}"\ngreeting: {{clip: clips/hello.wav, text: Hello.}}\n',
    "spoken.yaml": f'number: "{SPOKEN}"\ngreeting: Hello.\n',
}
AT_ONCE = Behaviour(start_delay_ms=(0, 0), delay_ms=(0, 0), jitter_ms=(0, 0), first_timestamp_ms=(0, 0))
FIRST_AUDIO = 0.3
"""Seconds that the model takes from being asked to its first audio."""
ROUNDS = 7


def help_seconds(folder: Path) -> tuple[float, float]:
    """``--help`` of an empty typer program, and ours; the fastest of some runs each."""
    empty = folder / "empty.py"
    empty.write_text(EMPTY)
    took: dict[str, list[float]] = {"empty": [], "gateway": []}
    for _ in range(ROUNDS):
        for name, command in (("empty", [str(empty)]), ("gateway", ["-m", "gateway"])):
            began = time.perf_counter()
            subprocess.run([sys.executable, *command, "--help"], stdout=subprocess.DEVNULL, check=True)
            took[name].append(time.perf_counter() - began)
    return min(took["empty"]), min(took["gateway"])


async def answers(folder: Path) -> None:
    """Serve two lines, and see when a call hears its greeting, counted from the start of its stream."""
    lines = folder / "agents_config"
    (lines / "clips").mkdir(parents=True)
    for name, text in LINES.items():
        (lines / name).write_text(text)
    with wave.open(str(lines / "clips" / "hello.wav"), "wb") as clip:
        clip.setparams((1, 2, 8000, 0, "NONE", ""))
        clip.writeframes(b"\x10\x20" * 8000)
    script = [say("Hello, who is there?", 1.0)]
    async with (
        ScriptedModel(script, timing=Timing(first_audio=FIRST_AUDIO)) as model,
        FakeTwilio(voice_url=VOICE_URL, behaviour=AT_ONCE) as twilio,
    ):
        began = time.perf_counter()
        async with GatewayProcess(lines, twilio=twilio, model_url=model.url):
            print(f"serve is ready after       {(time.perf_counter() - began) * 1000:6.0f} ms")
            for name, number in (("clip", CLIP), ("spoken by the model", SPOKEN)):
                waited = [await first_audio(twilio, number, f"+1555123{each:04}") for each in range(ROUNDS)]
                print(f"first audio, {name:20}: median {sorted(waited)[ROUNDS // 2]:.0f} ms, most {max(waited):.0f} ms")


async def first_audio(twilio: FakeTwilio, number: str, caller_id: str) -> float:
    """Call, and return the milliseconds from the stream's start to the first audio that came."""
    caller = await twilio.dial(number, caller=caller_id)
    await caller.wait_for_stream()
    log = caller.call.log
    async with asyncio.timeout(10):
        while not log.received:
            await asyncio.sleep(0.02)
    waited = log.received[0].at_ms
    caller.hang_up()
    await caller.wait_for_end()
    return waited


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty, ours = help_seconds(folder)
        print(
            f"--help: empty typer program {empty * 1000:.0f} ms, gateway {ours * 1000:.0f} ms ({ours / empty:.2f} times)"
        )
        asyncio.run(answers(folder))


if __name__ == "__main__":
    main()
