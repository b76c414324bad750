"""The scripted model as a process of its own: ``python -m gateway.testing.model --port 8900``.

Prints one line of JSON when it listens (``{"url": ...}``), and one with what it saw when it is told to end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop

from gateway.testing.model import Fault, ModelSession, ScriptedModel, Timing, Turn, compare_frames, decode_frames, say
from gateway.testing.model.script import turn_from


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gateway.testing.model", description="The scripted model, as a server.")
    usual = Timing()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--script", type=Path, help="a JSON list of turns, taken in order by every session")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the answers beyond the script are")
    parser.add_argument("--speed", type=float, default=usual.speed, help="audio seconds sent per second")
    parser.add_argument("--first-audio", type=float, default=usual.first_audio, help="seconds before an answer begins")
    parser.add_argument("--first-delta", type=int, default=usual.first_delta_ms, help="milliseconds of the first delta")
    parser.add_argument("--delta", type=int, default=usual.delta_ms, help="milliseconds in every other delta")
    parser.add_argument("--fault", action="append", default=[], choices=[fault.value for fault in Fault])
    parser.add_argument("--forget", action="store_true", help="keep neither messages nor audio, for long runs")
    return parser.parse_args()


def _summary(session: ModelSession) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "number": session.number,
        "appended_bytes": session.appended_bytes,
        "frames_spoken": session.next_frame,
        "answers": len(session.answers),
        "close_code": session.close_code,
    }
    frames = decode_frames(bytes(session.appended))
    if frames:
        report = compare_frames(bytes(session.appended), range(frames[0].seq, max(each.seq for each in frames) + 1))
        summary["heard"] = {
            "frames": report.heard,
            "lost": len(report.lost),
            "repeated": len(report.repeated),
            "reordered": len(report.reordered),
            "other_bytes": report.other_bytes,
        }
    return summary


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _main(arguments: argparse.Namespace) -> None:
    script: list[Turn] = []
    if arguments.script is not None:
        script = [turn_from(each) for each in json.loads(arguments.script.read_text())]
    timing = Timing(
        first_audio=arguments.first_audio,
        first_delta_ms=arguments.first_delta,
        delta_ms=arguments.delta,
        speed=arguments.speed,
    )
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    model = ScriptedModel(
        script,
        timing=timing,
        faults=[Fault(name) for name in arguments.fault],
        seed=arguments.seed,
        host=arguments.host,
        port=arguments.port,
        record=not arguments.forget,
        otherwise=say("This goes on for as long as the benchmark asked for.", arguments.seconds),
    )
    async with model:
        _say({"url": model.url})
        await over.wait()
    _say({"attempts": model.attempts, "sessions": [_summary(session) for session in model.sessions]})


if __name__ == "__main__":
    arguments = _arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(arguments))
