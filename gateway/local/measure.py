"""Measures the local model on this machine: word error rate, and milliseconds from the caller's stop to the answer.

``python -m gateway.local.measure tests/speech`` prints tables; ``--calls 10`` is ten callers at once.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import csv
import json
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from gateway.audio import wav
from gateway.local import LocalModel
from gateway.local.engine import Engine, load
from gateway.local.sound import decoder
from gateway.local.wer import errors, normal

SILENCE = b"\xff"
SILENCE_RULE_MS = 500


def recordings(folder: Path) -> dict[Path, str]:
    """Give the recordings of a folder and what is said in them."""
    with (folder / "index.tsv").open(encoding="utf-8") as file:
        return {folder / row["file"]: row["transcript"] for row in csv.DictReader(file, delimiter="\t")}


def mulaw(path: Path) -> bytes:
    """Read a recording as the telephone would carry it."""
    return wav.read(path.read_bytes())


@dataclass(slots=True)
class Recognition:
    """What was heard in all recordings."""

    rows: list[tuple[str, int, int, float, str]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Wrong words for each word that was said."""
        return sum(row[1] for row in self.rows) / sum(row[2] for row in self.rows)


async def recognize_all(engine: Engine, folder: Path) -> Recognition:
    """Recognize every recording through mu-law at 8 kHz."""
    result = Recognition()
    for path, said in recordings(folder).items():
        began = time.perf_counter()
        heard = await engine.recognize(decoder("audio/pcmu")(mulaw(path)))
        took_ms = (time.perf_counter() - began) * 1000
        result.rows.append((path.name, errors(normal(said), normal(heard)), len(normal(said)), took_ms, heard))
    return result


async def call(url: str, path: Path) -> list[float]:
    """Call once, speak in real time; gives for each turn the ms from the last speech to the answer's first sound."""
    payload = SILENCE * 4000 + mulaw(path) + SILENCE * 16000
    pcmu = {"format": {"type": "audio/pcmu"}}
    session = {"type": "realtime", "audio": {"input": {**pcmu, "transcription": {}}, "output": pcmu}}
    sent: list[float] = []
    delays: list[float] = []
    async with connect(url, compression=None) as socket, asyncio.TaskGroup() as tasks:
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        tasks.create_task(_speak(socket, payload, sent))
        stopped: float | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(len(payload) / 8000 + 3):
                async for message in socket:
                    event = json.loads(message)
                    if event["type"] == "input_audio_buffer.speech_stopped":
                        frame = int(event["audio_end_ms"] - SILENCE_RULE_MS) // 20
                        stopped = sent[min(frame, len(sent) - 1)]
                    elif event["type"] == "response.output_audio.delta" and stopped is not None:
                        delays.append((time.perf_counter() - stopped) * 1000)
                        stopped = None
    return delays


async def _speak(socket: ClientConnection, payload: bytes, sent: list[float]) -> None:
    """Send 20 ms frames in real time, and note when each one left."""
    due = time.perf_counter()
    for start in range(0, len(payload), 160):
        audio = base64.b64encode(payload[start : start + 160]).decode()
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        sent.append(time.perf_counter())
        due += 0.02
        await asyncio.sleep(max(due - time.perf_counter(), 0))


def table(title: str, delays: list[float]) -> str:
    """Sum up delays in one line."""
    ordered = sorted(delays)
    middle, late = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    return f"{title}: n={len(ordered)} p50={middle:.0f} ms p95={late:.0f} ms max={ordered[-1]:.0f} ms"


async def measure(folder: Path, calls: int) -> None:
    """Measure and print."""
    engine = load(2)
    result = await recognize_all(engine, folder)
    engine.close()
    for name, wrong, words, took_ms, heard in result.rows:
        _say(f"{wrong:3d} of {words:3d} words wrong  {took_ms:5.0f} ms  {name:26s} {heard}")
    _say(f"word error rate: {result.rate:.1%} of {sum(row[2] for row in result.rows)} words")
    paths = list(recordings(folder))
    async with LocalModel() as model:
        alone = [delay for path in paths for delay in await call(model.url, path)]
        _say(table("caller's last speech to first sound of the answer, one call", alone))
        ringing = [call(model.url, paths[index % len(paths)]) for index in range(calls)]
        together = [delay for delays in await asyncio.gather(*ringing) for delay in delays]
        _say(table(f"the same, {calls} calls at once", together))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m gateway.local.measure", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=10, help="calls at once")
    asked = parser.parse_args()
    asyncio.run(measure(asked.folder, asked.calls))


if __name__ == "__main__":
    main()
