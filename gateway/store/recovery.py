"""What a crash left open is closed, and records are made again from the logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from gateway.call.call import Call
from gateway.call.reason import EndReason
from gateway.errors import LogError
from gateway.store.log_file import append_closed
from gateway.store.log_lines import Closed, Entry, Header, path_of, read_log
from gateway.store.node import forget_dead, lives
from gateway.store.projection import Projection

LOST = EndReason("gateway", "process-lost")
"""The end of a call whose process died."""
TAKEN_UP_WITHIN = 90.0
"""Seconds after the loss of a process for which another may still take its calls up, and open their records again.

A stream that finds another process must have been offered in the last minute (``gateway.exchange.TOKEN_GOOD_FOR``); the
rest is for a process that lagged behind, and clocks that differ.
"""

Price: TypeAlias = Callable[[str, Mapping[str, int], float], Mapping[str, Any] | None]
"""Returns what a call cost (its note in the log) from its line, tokens and seconds; None where that can't be said."""

log = structlog.get_logger()


def unpriced(_line: str, _usage: Mapping[str, int], _seconds: float) -> Mapping[str, Any] | None:
    """Know no price."""
    return None


def logs_of(folder: Path) -> list[str]:
    """Return the ids of the calls whose logs are in a folder, oldest first."""
    return sorted(path.stem for path in folder.glob("*.jsonl"))


def project(folder: Path, call_id: str, price: Price = unpriced) -> Projection | None:
    """Make a call's rows from its log, closing it first where its process is dead.

    Args:
        folder: that of the logs.
        call_id: the call.
        price: says what a call cost whose process died.

    Returns:
        Its rows; or None where the log is empty, or is still written by a living process.

    Raises:
        LogError: the log can't be read.
    """
    path = path_of(folder, call_id)
    projection = _read(path)
    if projection is None or projection.closed:
        return projection
    if lives(folder, projection.call["node"]):
        return None
    end = _end_of(path)
    append_closed(path, end, price(projection.call["line"], end.usage, end.at))
    log.warning("call-closed", call_id=call_id, result=LOST.result, reason=LOST.reason)
    return _read(path)


def close_lost(folder: Path, call_ids: Iterable[str], price: Price = unpriced) -> Iterator[Projection]:
    """Return the rows of calls whose process is dead, closing those that it left open."""
    for call_id in call_ids:
        try:
            projection = project(folder, call_id, price)
        except LogError as error:
            log.error("call-log-unreadable", call_id=call_id, error=str(error))  # noqa: TRY400 - no fault of ours
            continue
        # A living process puts its own calls into the database.
        if projection is not None and not lives(folder, projection.call["node"]):
            yield projection
    forget_dead(folder)


def _read(path: Path) -> Projection | None:
    projection = Projection()
    for line in read_log(path, audio=False):
        projection.feed(line)
    return projection if projection.known else None


def _end_of(path: Path) -> Closed:
    """Take the call up to where its log ends, to know its turns as the ear had them."""
    call: Call | None = None
    at = 0.0
    for line in read_log(path):
        match line:
            case Header(policy=policy):
                call = Call(policy, 0.0)
            case Entry(_, at, event, _) if call is not None:
                try:
                    call.handle(event, at)
                except Exception:
                    # Of another version's call, or what killed the process: what was said until then is known.
                    log.exception("call-not-replayed", path=str(path), on=type(event).__name__)
                    break
            case _:
                pass
    if call is None:
        raise LogError(f"{path}: the log does not begin with a header")
    return Closed(at, LOST, call.usage, tuple(call.turns.held))
