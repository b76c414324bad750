"""The threads behind the tools loop: jobs, the event loops that carry them out, and threads for plain functions."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from gateway.errors import ToolError

log = structlog.get_logger()

T = TypeVar("T")

STOP_WAIT = 1.0
"""Seconds that a loop which ends waits for what was cancelled on it."""

_job: contextvars.ContextVar[Job | None] = contextvars.ContextVar("_job", default=None)


class Job:
    """A piece of work on its way: waiting for a loop, begun, or given up."""

    def __init__(self, name: str, call_id: str, work: Callable[[], Awaitable[Any]]) -> None:
        self.name = name
        self.call_id = call_id
        self.work = work
        self.future: Future[Any] = Future()
        self._context: contextvars.Context | None = contextvars.copy_context()
        self._context.run(_job.set, self)
        self.worker: Worker | None = None
        self.begun = False
        self.given_up = False
        self._task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()

    def begin(self, worker: Worker) -> bool:
        """Claim it for a loop; false where another has it by now, or nobody wants it any more."""
        with self._lock:
            if self.begun or self.given_up or self.worker is not worker:
                return False
            self.begun = True
            return self.future.set_running_or_notify_cancel()

    def release(self) -> bool:
        """Take it back from a loop that has not begun it."""
        with self._lock:
            if self.begun or self.given_up:
                return False
            self.worker = None
            return True

    def start(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
        # The context knows the job: once that is over, neither keeps the other alive until garbage is collected.
        context, self._context = self._context, None
        self._task = task = loop.create_task(self._main(), name=f"tool {self.name}", context=context)
        return task

    def give_up(self) -> None:
        with self._lock:
            self.given_up = True
            begun, worker = self.begun, self.worker
        if not begun:
            self.future.cancel()
        elif worker is not None:
            # A future that runs can't be cancelled; whoever still waits for it is told this way.
            settle(self.future, error=ToolError("The call is over."))
            worker.call(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _main(self) -> None:
        try:
            result = await self.work()
        except asyncio.CancelledError:
            # By us, or by the tool itself; passed on, the latter would look like the end of the session.
            settle(self.future, error=ToolError(f"The tool {self.name} was cancelled."))
        except (SystemExit, KeyboardInterrupt) as error:
            settle(self.future, error=ToolError(f"The tool {self.name} failed."))
            log.warning("tool-wanted-to-exit", tool=self.name, call_id=self.call_id, **described(error))
        except BaseException as error:  # noqa: BLE001 - it is whoever waits for the future that handles it
            settle(self.future, error=error)
        else:
            settle(self.future, result=result)
        finally:
            self._task = None


class Live:
    """The jobs of which something runs. Jobs end on any thread."""

    def __init__(self) -> None:
        self._parts: dict[Job, int] = {}
        self._lock = threading.Lock()

    def __contains__(self, job: Job) -> bool:
        with self._lock:
            return job in self._parts

    def part_began(self, job: Job) -> None:
        """Count the job's task, or a thread of it, in."""
        with self._lock:
            self._parts[job] = self._parts.get(job, 0) + 1

    def part_ended(self, job: Job) -> None:
        with self._lock:
            self._parts[job] -= 1
            if not self._parts[job]:
                del self._parts[job]

    def leaked(self) -> int:
        """Count the jobs that nobody waits for any more."""
        with self._lock:
            return sum(job.given_up for job in self._parts)


class Worker:
    """A thread with an event loop."""

    def __init__(self, threads: Threads, live: Live) -> None:
        self._live = live
        self._tasks: dict[asyncio.Task[None], Job] = {}
        self._retired = False
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(threads)
        # A daemon, so that a tool that never returns can't hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="tools", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._loop.is_closed()

    def busy_with(self) -> list[str]:
        """Name the tools that it runs; one of them blocks it."""
        return sorted({job.name for job in tuple(self._tasks.values())})

    def post(self, job: Job) -> None:
        job.worker = self
        self.call(lambda: self._begin(job))

    def call(self, what: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            # Closed: some tool stopped the loop, or it has retired. Jobs that it did not begin are moved.
            return

    def retire(self) -> None:
        """End the loop once it has done what it has begun."""
        self.call(self._retire)

    def stop(self) -> None:
        """End the loop now, and wait a little for that."""
        self.call(self._loop.stop)
        self._thread.join(STOP_WAIT)

    def _begin(self, job: Job) -> None:
        if not job.begin(self):
            return
        self._live.part_began(job)
        task = job.start(self._loop)
        self._tasks[task] = job
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._live.part_ended(self._tasks.pop(task))
        if self._retired and not self._tasks:
            self._loop.stop()

    def _retire(self) -> None:
        self._retired = True
        if not self._tasks:
            self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            try:
                self._cancel_all()
            finally:
                self._loop.close()

    def _cancel_all(self) -> None:
        self._retired = False  # it ends already; tasks that end now must not stop it once more
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            # A tool may stop the loop while it is cancelled.
            with contextlib.suppress(RuntimeError):
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=STOP_WAIT))


class Threads(ThreadPoolExecutor):
    """Where tools that are no coroutines run: a daemon thread each, up to a limit.

    The threads of an ordinary pool are waited for when the interpreter ends, so one tool that never returns would keep
    the process from ending. Only the type is inherited: an event loop takes no other as its default.
    """

    def __init__(self, limit: int, live: Live) -> None:
        super().__init__(max_workers=1)
        self._limit = limit
        self._live = live
        self._busy = 0
        self._count_lock = threading.Lock()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run it in a thread of its own.

        Raises:
            ToolError: as many run already as may.
        """
        job = _job.get()
        with self._count_lock:
            if self._busy >= self._limit:
                raise ToolError("Too many tools are running. Try again in a moment.")
            self._busy += 1
        if job is not None:
            self._live.part_began(job)
        future: Future[T] = Future()
        name = "tool" if job is None else f"tool {job.name}"
        threading.Thread(
            target=self._work, args=(future, job, lambda: fn(*args, **kwargs)), name=name, daemon=True
        ).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - inherited
        """Nothing: loops that end call this, and the threads serve all of them."""

    def _work(self, future: Future[T], job: Job | None, do: Callable[[], T]) -> None:
        try:
            if future.set_running_or_notify_cancel():
                try:
                    result = do()
                except StopIteration as error:
                    # Futures can't carry this one.
                    settle(future, error=RuntimeError(f"StopIteration: {error.value}"))
                except BaseException as error:  # noqa: BLE001 - it is whoever waits for the future that handles it
                    settle(future, error=error)
                else:
                    settle(future, result=result)
        finally:
            with self._count_lock:
                self._busy -= 1
            if job is not None:
                self._live.part_ended(job)


def settle(future: Future[Any], *, result: object = None, error: BaseException | None = None) -> None:
    """Give a future its outcome, unless it has one; another thread may give it one at the same moment."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        return


def described(error: BaseException) -> dict[str, str]:
    """Say what went wrong in the user's Python and where, as keys for the log; its message may be personal."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__name__, "at": at, "pii_message": str(error)[:500]}
