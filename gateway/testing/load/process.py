"""The load, as a process that is told what to do by lines of JSON on its input, and answers each with one.

``{"do": "grow", "calls": 100}`` has so many calls live, ``{"do": "measure", "seconds": 10}`` says what they saw,
``{"do": "churn", "calls": 1000, "seconds": 1}`` places short calls one after another, ``{"do": "shrink"}`` ends all.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
from dataclasses import asdict
from pathlib import Path
from time import process_time
from typing import Any, Final

from gateway.testing.load.call import RING, CallState
from gateway.testing.load.carrier import Clock, MediaStream, dial, hang_up
from gateway.testing.load.model import ModelServer
from gateway.testing.load.tally import Spread, Tally
from gateway.testing.load.traffic import Traffic

AT_ONCE: Final = 4
"""Calls that are placed at the same time; more would measure webhooks, not calls."""
SETTLE: Final = 0.5
"""Seconds after a window in which what is under way may still arrive."""


class Load:
    """All calls of a benchmark, both ends of each."""

    def __init__(self, traffic: Traffic) -> None:
        self.tally = Tally()
        self.calls: list[CallState] = []
        self.model = ModelServer(traffic, self.tally, self.calls)
        self._clock = Clock(self.tally)
        self._nobodys = [0.0] * RING
        self._live: list[tuple[CallState, MediaStream]] = []

    async def grow(self, port: int, calls: int) -> dict[str, Any]:
        """Place calls until so many are live."""
        while len(self._live) < calls:
            count = min(AT_ONCE, calls - len(self._live))
            self._live += await asyncio.gather(*(self._dial(port) for _ in range(count)))
        return {"calls": len(self._live)}

    async def _dial(self, port: int) -> tuple[CallState, MediaStream]:
        call = CallState(len(self.calls))
        self.calls.append(call)
        stream = await dial(port, call, self.tally)
        self._clock.add(stream)
        return call, stream

    async def shrink(self, port: int) -> dict[str, Any]:
        """End all calls."""
        while self._live:
            await asyncio.gather(*(self._end(port, *each) for each in self._live[:AT_ONCE]))
            del self._live[:AT_ONCE]
        return {"calls": 0}

    async def _end(self, port: int, call: CallState, stream: MediaStream) -> None:
        self._clock.discard(stream)
        stream.stop()
        await stream.closed.wait()
        await hang_up(port, call)
        # A benchmark of many short calls must not itself grow; what the model still does goes into the common list.
        call.frame_at = call.block_at = self._nobodys

    async def churn(self, port: int, calls: int, seconds: float, at_once: int) -> dict[str, Any]:
        """Place so many calls of so many seconds, a few at a time."""
        before = len(self.calls)

        async def place() -> None:
            while len(self.calls) - before < calls:
                call, stream = await self._dial(port)
                await asyncio.sleep(seconds)
                await self._end(port, call, stream)

        await asyncio.gather(*(place() for _ in range(at_once)))
        ended = self.calls[before:]
        unanswered = sum(call.heard < 0 for call in ended)
        return {"calls": len(ended), "unheard": unanswered, "errors": self.tally.errors}

    async def measure(self, seconds: float) -> dict[str, Any]:
        """Open a window, and say what was seen in it."""
        tally, began = self.tally, process_time()
        gc.collect()
        tally.reset()
        await asyncio.sleep(seconds)
        cpu = process_time() - began
        tally.open = False
        sent = [(call, call.frame) for call, _ in self._live]
        await asyncio.sleep(SETTLE)
        lost = tally.lost + sum(max(frame - call.heard, 0) for call, frame in sent)
        spreads = ("to_model", "to_carrier", "clear", "first_audio", "late")
        counts = ("repeated", "reordered", "stale", "no_clear", "dropped", "answers", "tools", "errors")
        return {
            "calls": len(self._live),
            "seconds": seconds,
            "load_core": round(cpu / seconds, 3),
            "lost": lost,
            **{name: asdict(Spread.of(getattr(tally, name))) for name in spreads},
            **{name: getattr(tally, name) for name in counts},
        }

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one line."""
        match order:
            case {"do": "grow", "port": int(port), "calls": int(calls)}:
                return await self.grow(port, calls)
            case {"do": "shrink", "port": int(port)}:
                return await self.shrink(port)
            case {"do": "churn", "port": int(port), "calls": int(calls), "seconds": seconds, "at_once": int(at_once)}:
                return await self.churn(port, calls, float(seconds), at_once)
            case {"do": "measure", "seconds": seconds}:
                return await self.measure(float(seconds))
        raise ValueError(f"no such order: {order}")

    async def run(self, tls: ssl.SSLContext | None) -> None:
        """Serve until the input ends."""
        port = await self.model.start(tls)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        gc.freeze()
        async with asyncio.TaskGroup() as tasks:
            ticking = tasks.create_task(self._clock.run())
            _answer({"model_port": port})
            while line := await reader.readline():
                try:
                    _answer(await self.obey(json.loads(line)))
                except (OSError, ValueError) as error:
                    _answer({"failed": str(error)})
            ticking.cancel()


def _answer(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Run the load: its traffic as JSON, and the path of a certificate with its key where it is to speak TLS."""
    import uvloop  # noqa: PLC0415 - not there on Windows, and only this process needs it

    values = json.loads(arguments[0])
    traffic = Traffic(**{**values, "interrupt_after": tuple(values["interrupt_after"])})
    tls = None
    if len(arguments) > 1:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(Path(arguments[1]))
    uvloop.run(Load(traffic).run(tls))


if __name__ == "__main__":
    main(sys.argv[1:])
