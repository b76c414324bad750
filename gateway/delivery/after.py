"""What happens once a call's record is closed: its outcome is found out, and who wants to know is told."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway.config.directory import Directory
from gateway.config.resolved import LineConfig
from gateway.delivery.outcome import Filler, Outcome
from gateway.delivery.send import Sender, Undelivered
from gateway.errors import LogError
from gateway.store import hooks, tables
from gateway.store.calls import first_id, get_call, turns_of
from gateway.store.database import Database
from gateway.store.log_file import append_note
from gateway.store.projector import Projector
from gateway.store.records import ended_of
from gateway.store.recovery import LOST, TAKEN_UP_WITHIN

WAITING = 10_000
"""Calls that may wait for this at once; more are found at the next start."""
LOOK, LOOK_ANYWAY = 1.0, 30.0
"""Seconds between two looks at what is due; and where no line has anything told, but others may have left something.

A look takes a few milliseconds of the event loop's time, in which no frame moves on.
"""
AT_ONCE = 8
"""Deliveries at once."""
REMEMBERED = 1000
MISSED = 86_400.0
"""Seconds before the start in which calls ended that may have been missed."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Over:
    call_id: str
    line: str
    until: float
    """Unix seconds until when another process may take the call up: only then what was known is all there is."""

    @classmethod
    def of(cls, call: Mapping[str, Any]) -> _Over:
        lost = (call["result"], call["reason"]) == (LOST.result, LOST.reason)
        return cls(call["id"], call["line"], call["ended"] + TAKEN_UP_WITHIN if lost else 0.0)


class AfterCalls:
    """Takes closed calls, one after the other, and delivers what came of them.

    Args:
        database: the records, on this loop.
        logs: the folder of the logs, which outcomes are noted in.
        projector: told of those notes.
        directory: returns the lines as they are now.
        filler: reads transcripts.
        sender: delivers.
    """

    def __init__(
        self,
        database: Database,
        logs: Path,
        projector: Projector,
        directory: Callable[[], Directory],
        filler: Filler,
        sender: Sender,
    ) -> None:
        self._database = database
        self._logs = logs
        self._projector = projector
        self._directory = directory
        self._filler = filler
        self._sender = sender
        self._done: deque[str] = deque(maxlen=REMEMBERED)
        self._in: MemoryObjectSendStream[_Over]
        self._out: MemoryObjectReceiveStream[_Over]
        self._in, self._out = anyio.create_memory_object_stream(WAITING)

    def over(self, call: Mapping[str, Any]) -> None:
        """Take a closed call's row; on the loop's thread."""
        try:
            self._in.send_nowait(_Over.of(call))
        except (anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
            log.warning("call-waits-for-next-start", call_id=call["id"])

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as tasks, self._in, self._out:
            tasks.start_soon(self._deliver)
            for missed in await self._missed():
                await self._take(missed, tasks)
            async for over in self._out:
                await self._take(over, tasks)

    async def _take(self, over: _Over, tasks: anyio.abc.TaskGroup) -> None:
        if over.until > time.time():
            tasks.start_soon(self._finish_later, over)
        else:
            await self._finish(over)

    async def _finish_later(self, over: _Over) -> None:
        await anyio.sleep(over.until - time.time())
        await self._finish(over)

    async def _missed(self) -> list[_Over]:
        """Return calls that ended shortly before the start, and of which nobody may have been told."""
        calls = tables.calls
        ended = calls.c.ended.is_not(None) & (calls.c.id >= first_id(time.time() - MISSED))
        async with self._database.read() as connection:
            columns = (calls.c.id, calls.c.line, calls.c.ended, calls.c.result, calls.c.reason)
            found = await connection.execute(select(*columns).where(ended))
            return [_Over.of(dict(row)) for row in found.mappings()]

    async def _finish(self, over: _Over) -> None:
        line = self._directory().lines.get(over.line)
        if line is None or (line.outcome is None and not line.deliver):
            return
        try:
            async with self._database.read() as connection:
                call = await get_call(connection, over.call_id)
                turns = await turns_of(connection, over.call_id)
                told = await hooks.has_any(connection, over.call_id)
            if call is None or told or call["ended"] is None:
                return  # erased; or told of before; or taken up by another process, which tells of its end
            if over.call_id in self._done:
                return  # found among those that were missed, and told of by the projector
            self._done.append(over.call_id)
            if line.outcome is not None and not call["outcome_status"]:
                await self._find_out(line, call, turns)
            if line.deliver:
                async with self._database.write() as connection:
                    if await ended_of(connection, over.call_id) is None:
                        return  # erased meanwhile
                    for told_of, body in news_of(call):
                        for to in line.deliver:
                            if told_of == "message.taken" or not to.messages_only:
                                await hooks.add(connection, call["id"], line.id, to.kind, to.address, told_of, body)
        except (SQLAlchemyError, OSError) as error:
            log.error("after-call-failed", call_id=over.call_id, error=type(error).__name__)  # noqa: TRY400

    async def _find_out(self, line: LineConfig, call: dict[str, Any], turns: list[dict[str, Any]]) -> None:
        try:
            outcome = await self._filler.fill(line.outcome or {}, turns)
        except Exception:
            # A schema or a transcript that nobody foresaw costs this call its outcome, and nobody else anything.
            log.exception("outcome-failed", call_id=call["id"])
            outcome = Outcome("failed")
        details = asdict(outcome)
        try:
            at = call["ended"] - call["began"]
            note = await anyio.to_thread.run_sync(append_note, self._logs, call["id"], at, "outcome", details)
        except LogError:
            log.warning("outcome-of-no-log", call_id=call["id"])
        else:
            self._projector.told(call["id"], note)
        call["outcome"], call["outcome_status"] = outcome.values, outcome.status
        log.info("outcome", call_id=call["id"], line=line.id, status=outcome.status)

    # ---- Delivering -------------------------------------------------------------------------------------------------

    async def _pause(self) -> None:
        for _ in range(int(LOOK_ANYWAY / LOOK)):
            await anyio.sleep(LOOK)
            if any(line.deliver for line in self._directory().lines.values()):
                return

    async def _deliver(self) -> None:
        while True:
            try:
                due = await hooks.claim(self._database, AT_ONCE)
            except (SQLAlchemyError, OSError) as error:
                log.error("hooks-not-read", error=type(error).__name__)  # noqa: TRY400
                due = []
            async with anyio.create_task_group() as tasks:
                for hook in due:
                    tasks.start_soon(self._send, hook)
            if not due:
                await self._pause()

    async def _send(self, hook: hooks.Hook) -> None:
        try:
            fault = await self._try(hook)
            if fault is None:
                await hooks.delivered(self._database, hook)
                return
            dead = await hooks.failed(self._database, hook, str(fault), hopeless=fault.hopeless)
            log.warning(
                "not-delivered", hook=hook.id, kind=hook.kind, call_id=hook.call_id, error=str(fault), dead=dead
            )
        except (SQLAlchemyError, OSError) as error:
            # Its claim runs out, and then it is tried again: a delivery may come twice, but never not at all.
            log.error("hook-not-noted", hook=hook.id, error=type(error).__name__)  # noqa: TRY400

    async def _try(self, hook: hooks.Hook) -> Undelivered | None:
        try:
            await self._sender.send(hook)
        except Undelivered as error:
            return error
        except Exception as error:
            # Of one delivery, such as an address that no header takes: none of the others', nor of the calls'.
            log.exception("delivery-failed", hook=hook.id, kind=hook.kind)
            return Undelivered(type(error).__name__)
        return None


def news_of(call: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return what is told of a call: each message that was taken on it, and the call itself."""
    began = datetime.fromtimestamp(call["began"], UTC).isoformat(timespec="milliseconds")
    plain = ("id", "call_sid", "line", "direction", "caller", "called", "status", "result", "reason", "ended_by")
    shown = {name: call[name] for name in plain} | {
        "began": began,
        "seconds": round(call["ended"] - call["began"], 3),
        "turns": call["turns"],
        "outcome": call["outcome"],
        "outcome_status": call["outcome_status"],
    }
    found = []
    for tool in call["tool_calls"]:
        if tool["tool"] == "take_message" and tool["ended"] is not None:
            message = _message(tool["arguments"])
            found.append(("message.taken", {"event": "message.taken", "message": message, "call": shown}))
    return [*found, ("call.completed", {"event": "call.completed", "call": shown})]


def _message(arguments: str) -> dict[str, Any]:
    """Return what a model gave as a message; whatever it is, somebody gets it."""
    try:
        given = json.loads(arguments)
    except ValueError:
        given = None
    return given if isinstance(given, dict) else {"message": arguments}
