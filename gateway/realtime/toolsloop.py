"""One event loop, in a thread of its own, on which every tool and every other piece of the user's Python runs.

A tool may block (``time.sleep`` in an ``async def``), never return, ignore its cancellation or try to end the process.
None of that may reach the loop that carries the calls, so that loop only waits, with a limit, for what is done here
(design rule 13). And none of that may keep the tools of other calls from running: a loop that does not take up work in
time is left to what blocks it, and another takes its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from gateway.errors import ToolError
from gateway.realtime.tool_output import text_of
from gateway.realtime.toolsthread import Job, Live, Threads, Worker, described
from gateway.tools.spec import DEFAULT_TIMEOUT

log = structlog.get_logger()

T = TypeVar("T")
Work = Callable[[], Awaitable[T]]

TOOLS_AT_ONCE: Final = 4
"""How many tools of one call run at a time; more wait, and their waiting counts towards their timeout."""
THREADS: Final = 64
"""How many tools that are no coroutines run at a time, in all calls together."""
STUCK_AFTER: Final = 1.0
"""Seconds in which the loop must take up work, or it counts as blocked."""
MAX_STUCK: Final = 8
"""How many blocked loops are replaced; beyond that the fault is not one tool's, and more threads would not help."""
LEAKED_AFTER: Final = 1.0
"""Seconds that work which was given up has to end, before it is reported as left running."""


class ToolsLoop:
    """The tools loop of this process. Used from the serving loop alone; its threads start with the first work."""

    def __init__(self, *, threads: int = THREADS, stuck_after: float = STUCK_AFTER) -> None:
        self._live = Live()
        self._threads = Threads(threads, self._live)
        self._stuck_after = stuck_after
        self._worker: Worker | None = None
        self._retired: list[Worker] = []

    @property
    def leaked(self) -> int:
        """How many pieces of work were given up (timeout, end of the call) and still run."""
        return self._live.leaked()

    @property
    def blocked(self) -> int:
        """How many loops were replaced because a tool blocks them, and still are blocked."""
        self._retired = [worker for worker in self._retired if worker.alive]
        return len(self._retired)

    def for_call(self, call_id: str) -> CallTools:
        """Return one call's share of the loop."""
        return CallTools(self, call_id)

    def close(self) -> None:
        """Stop. What still runs is cancelled; what ignores that dies with the process, whose end it can't hold up."""
        for worker in (self._worker, *self._retired):
            if worker is not None:
                worker.stop()
        self._worker = None
        self._retired = []

    async def carry_out(self, job: Job) -> Any:
        """Run a job and return what it returns; when cancelled, give the job up and don't wait for its end."""
        self._current().post(job)
        future = asyncio.wrap_future(job.future)
        try:
            while not job.begun and not future.done():
                await asyncio.wait({future}, timeout=self._stuck_after)
                self._move(job)
            return await future
        except asyncio.CancelledError:
            self.give_up(job)
            raise

    def give_up(self, job: Job) -> None:
        """Cancel a job. If it goes on nevertheless it is counted, and reported after a while."""
        job.give_up()
        asyncio.get_running_loop().call_later(LEAKED_AFTER, self._report, job)

    def _report(self, job: Job) -> None:
        if job in self._live:
            log.warning("tool-left-running", tool=job.name, call_id=job.call_id, left_running=self.leaked)

    def _current(self) -> Worker:
        if self._worker is None or not self._worker.alive:
            self._worker = Worker(self._threads, self._live)
        return self._worker

    def _move(self, job: Job) -> None:
        """Take a job that was not begun to another loop: the one that has it is blocked, or dead."""
        worker = job.worker
        blocked = worker is not None and worker is self._worker and worker.alive
        if blocked and self.blocked >= MAX_STUCK:
            return
        if not job.release():
            return
        if blocked and worker is not None:
            log.error("tools-loop-blocked", waiting=job.name, by=worker.busy_with(), blocked=self.blocked + 1)
            worker.retire()
            self._retired.append(worker)
            self._worker = None
        self._current().post(job)


class CallTools:
    """One call's share of the tools loop."""

    def __init__(self, loop: ToolsLoop, call_id: str, at_once: int = TOOLS_AT_ONCE) -> None:
        self._loop = loop
        self._call_id = call_id
        self._slots = asyncio.Semaphore(at_once)
        self._jobs: set[Job] = set()
        self._closed = False

    async def run(self, name: str, work: Work[T], *, timeout: float = DEFAULT_TIMEOUT) -> T:
        """Do a piece of work on the tools loop and return its result.

        Raises:
            ToolError: it took longer than ``timeout`` seconds, tried to end the process, or the call is over.
            Exception: whatever the work raised.
        """
        return await self._within(timeout, name, self._carry_out(name, work))

    async def text(self, name: str, work: Work[Any], *, timeout: float = DEFAULT_TIMEOUT) -> str:
        """Run a tool and return its result for the model; whatever goes wrong is such a result too.

        An exception here would end the SDK's whole session, and the call with it.
        """
        try:
            return await self._within(timeout, name, self._in_turn(name, lambda: self._worded(name, work)))
        except ToolError as error:
            return text_of(str(error))

    async def _within(self, timeout: float, name: str, doing: Coroutine[Any, Any, T]) -> T:
        """Wait for it so long at most. The clock is the serving loop's own: the tools loop may be blocked."""
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await doing
        except TimeoutError:
            if not limit.expired():
                raise
            log.warning("tool-timed-out", tool=name, call_id=self._call_id, seconds=timeout)
            raise ToolError(_too_long(name, timeout)) from None

    async def _in_turn(self, name: str, work: Work[T]) -> T:
        async with self._slots:
            return await self._carry_out(name, work)

    async def _carry_out(self, name: str, work: Work[T]) -> T:
        if self._closed:
            raise ToolError("The call is over.")
        job = Job(name, self._call_id, work)
        self._jobs.add(job)
        try:
            result: T = await self._loop.carry_out(job)
        finally:
            self._jobs.discard(job)
        return result

    async def _worded(self, name: str, work: Work[Any]) -> str:
        try:
            return text_of(await work())
        except ToolError as error:
            log.info("tool-refused", tool=name, call_id=self._call_id, pii_message=str(error))
            return text_of(str(error))
        except Exception as error:  # noqa: BLE001 - any error of a tool is a result
            log.warning("tool-failed", tool=name, call_id=self._call_id, **described(error))
            return f"The tool {name} failed. Tell the caller that this did not work, and offer another way."

    def close(self) -> None:
        """Cancel what still runs, and refuse what comes later."""
        self._closed = True
        for job in tuple(self._jobs):
            self._loop.give_up(job)


def _too_long(name: str, timeout: float) -> str:
    return (
        f"The tool {name} took longer than {timeout:g} seconds and was given up; what it was to do may still happen. "
        "Tell the caller that this did not work right now, and offer another way."
    )
