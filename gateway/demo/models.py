"""What answers in the demo: the local model, or where that can't run a scripted one; or OpenAI's, on request."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.errors import ModelError
from gateway.local import LocalModel

Kind: TypeAlias = Literal["local", "scripted", "openai"]
GREETING = "Thanks for calling Acme Air. How can I help you?"
_BOOKING = {"confirmation_number": "123456"}
SCRIPT = [
    {"say": GREETING},
    {"hand_over": "faq"},
    [{"say": "One moment."}, {"call": "faq_lookup", "arguments": {"topic": "baggage"}}],
    {"say": "A suitcase of up to 23 kilos flies free, and one small bag may come into the cabin.", "seconds": 8},
    {"call": "faq_lookup", "arguments": {"topic": "wifi"}},
    {"say": "There is wifi on all planes, and it is free."},
    {"hand_over": "triage"},
    {"say": "How can I help you?"},
    {"say": "I'm sorry, I can't help with that."},
    {"hand_over": "seats"},
    [{"say": "One moment."}, {"call": "find_booking", "arguments": _BOOKING}],
    {"say": "Booking 123456 is on flight AC 101 to New York, seat 1A."},
    {"call": "change_seat", "arguments": {**_BOOKING, "seat": "12C"}},
    {"say": "I am about to change your seat to 12C. Press 1 to confirm, or 2 to cancel."},
    {"say": "Booking 123456 now has seat 12C. Is there anything else?"},
    {"hand_over": "triage"},
    [{"say": "Goodbye."}, {"call": "hang_up", "arguments": {"reason": "done"}}],
    {"nothing": True},
]
"""The same call for the scripted model, which understands nothing: one response after the other."""
_READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is ready: ``url`` is empty for OpenAI's own; ``remark`` says why it is not the local one."""

    kind: Kind
    url: str
    remark: str = ""


@asynccontextmanager
async def local() -> AsyncIterator[Model]:
    """Start the local model, or the scripted one where its parts have no wheels."""
    model = LocalModel()
    try:
        url = await model.start()
    except ModelError as error:
        async with _scripted() as url:
            yield Model("scripted", url, f"{error}: so a scripted one answers here, which understands nothing.")
        return
    try:
        yield Model("local", url)
    finally:
        await model.stop()


@asynccontextmanager
async def _scripted() -> AsyncIterator[str]:
    """Run ``gateway.testing.model`` as a process, with the script of this call."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.testing.model", "--script", "/dev/stdin"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise ModelError("The scripted model has no pipes.")
        process.stdin.write(json.dumps(SCRIPT).encode())
        process.stdin.close()
        async with asyncio.timeout(_READY_S):
            line = await process.stdout.readline()
        if not line:
            raise ModelError("The scripted model did not start.")
        yield str(json.loads(line)["url"])
    finally:
        if process.returncode is None:
            process.terminate()
        # Read to the end, so that it never waits for a reader.
        await process.communicate()
