"""Reads a call's log while it is being written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import msgspec

from gateway.call.turns import Turn
from gateway.errors import LogError
from gateway.store.log_lines import Closed, Line, Settled, decode_line

POLL = 0.1
"""Seconds between two looks; the writer itself writes a few times a second."""


async def follow(path: Path) -> AsyncGenerator[Line]:
    """Yield the lines of a log as they are written, until the record is closed.

    Raises:
        LogError: the file can't be read, or a line is damaged.
    """
    rest, offset, number = b"", 0, 0
    while True:
        try:
            async with await anyio.open_file(path, "rb") as file:
                await file.seek(offset)
                fresh = await file.read()
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}") from error
        offset += len(fresh)
        *lines, rest = (rest + fresh).split(b"\n")
        for text in lines:
            number += 1
            try:
                found = [*decode_line(text)]
            except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
                raise LogError(f"{path}:{number}: {error}") from error
            for line in found:
                yield line
            if isinstance(found[-1], Closed):
                return
        await anyio.sleep(POLL)


async def appearing(folder: Path) -> Path:
    """Wait for the first log in a folder, which need not be there yet, and return it."""
    while True:
        async for path in anyio.Path(folder).glob("*.jsonl"):
            return Path(path)
        await anyio.sleep(POLL)


def settled_turns(path: Path) -> list[Turn]:
    """Return the turns of a live call that have settled, as its log has them by now.

    Raises:
        LogError: the file can't be read.
    """
    turns: dict[tuple[str, str], Turn] = {}
    try:
        with path.open("rb") as file:
            for text in file:
                if text.startswith(b'["u"') and text.endswith(b"\n"):
                    for line in decode_line(text):
                        if isinstance(line, Settled):
                            turns[line.turn.speaker, line.turn.item_id] = line.turn
    except (OSError, msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
        raise LogError(f"{path}: {error}") from error
    return [*turns.values()]
