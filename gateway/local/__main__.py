"""``python -m gateway.local``: what ``gateway local`` runs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from gateway.errors import ModelError
from gateway.local import weights

if TYPE_CHECKING:
    from gateway.local.server import Place

READY = "ready"
"""First word of the line that is printed when connections are taken; the address follows."""

EX_CONFIG = 78


def serve(*, host: str, port: int, threads: int, pace: float, llm_url: str, llm_model: str) -> int:
    """Load the speech parts, say what was loaded, serve until a signal; gives the exit status."""
    from gateway.local.brain.chat import ChatBrain  # noqa: PLC0415 (loads an HTTP client, seldom needed)
    from gateway.local.brain.scripted import ScriptedBrain  # noqa: PLC0415 (as its sibling)

    try:
        found = weights.find_all()
    except ModelError as error:
        _say(str(error))
        return EX_CONFIG
    from gateway.local.engine import Engine  # noqa: PLC0415 (numpy and onnxruntime, now that they are known to be there)
    from gateway.local.server import run  # noqa: PLC0415 (as above)

    engine = Engine(found, threads)
    brain = ChatBrain(llm_url, llm_model) if llm_url else ScriptedBrain()
    for one in engine.loaded:
        _say(f"loaded {one.part}: {one.distribution} {one.version}, {one.size / 1e6:.1f} MB, {one.path}")
    _say(f"loaded in {engine.load_seconds:.1f} s, {threads} threads; brain: {brain.name}")

    def ready(place: Place) -> None:
        _say(f"{READY} {place.url}")

    try:
        asyncio.run(run(engine, brain, host=host, port=port, pace=pace, ready=ready))
    except OSError as error:
        _say(f"Can't listen on {host} port {port}: {error.strerror or error}")
        return EX_CONFIG
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="gateway local", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8089)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pace", type=float, default=8.0, help="audio is sent this many times faster than real time")
    parser.add_argument("--llm-url", default="", help="an OpenAI-compatible endpoint that answers instead of the rules")
    parser.add_argument("--llm-model", default="local")
    asked = parser.parse_args(arguments)
    return serve(
        host=asked.host,
        port=asked.port,
        threads=asked.threads,
        pace=asked.pace,
        llm_url=asked.llm_url,
        llm_model=asked.llm_model,
    )


if __name__ == "__main__":
    sys.exit(main())
