"""Starts the server as a process of its own, from Python."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self

from gateway.errors import ModelError

_MODULE = "gateway.local"
_STOP_S = 5.0


class LocalModel:
    """A running server; as a context it is started at the begin and stopped at the end.

    Args:
        host: where it listens.
        port: 0 takes a free one.
        threads: utterances that are recognized, and sentences that are spoken, at the same time.
        ready_s: how long the start may take.
        llm_url: an OpenAI-compatible endpoint that answers instead of the rules, or empty.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, threads: int = 2, ready_s: float = 60.0, llm_url: str = ""
    ) -> None:
        self.url = ""
        self._arguments = ["--host", host, "--port", str(port), "--threads", str(threads)]
        if llm_url:
            self._arguments += ["--llm-url", llm_url]
        self._ready_s = ready_s
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None
        self._said: list[str] = []

    @property
    def pid(self) -> int | None:
        """The process, for measurements."""
        return self._process.pid if self._process else None

    async def start(self) -> str:
        """Start it and wait until it takes connections; gives its ``ws://`` address. ModelError says what failed."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            *self._arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(self._ready_s):
                self.url = await self._wait()
        except TimeoutError:
            await self.stop()
            raise ModelError(f"The local model was not ready after {self._ready_s:g} s: {self._last()}") from None
        except BaseException:
            await self.stop()
            raise
        self._output = asyncio.create_task(self._drain())
        return self.url

    async def stop(self) -> None:
        """Ask it to end, and make it end."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        drain = self._output or asyncio.create_task(self._drain_of(process))
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await drain

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()

    async def _wait(self) -> str:
        process = self._process
        if process is None or process.stdout is None:
            raise ModelError("The local model has no process.")
        while line := (await process.stdout.readline()).decode(errors="replace").strip():
            self._said.append(line)
            word, _, address = line.partition(" ")
            if word == "ready":
                return address
        await process.wait()
        raise ModelError(self._last() or f"The local model ended with status {process.returncode}.")

    async def _drain(self) -> None:
        if self._process is not None:
            await self._drain_of(self._process)

    async def _drain_of(self, process: asyncio.subprocess.Process) -> None:
        """Read what it writes, so that it never waits for a reader."""
        while process.stdout is not None and (line := await process.stdout.readline()):
            self._said = [*self._said[-200:], line.decode(errors="replace").rstrip()]

    def _last(self) -> str:
        return self._said[-1] if self._said else ""


async def spawn(*, host: str = "127.0.0.1", port: int = 0, threads: int = 2, llm_url: str = "") -> LocalModel:
    """Start a server and wait until it is ready; the caller stops it (``await model.stop()``)."""
    model = LocalModel(host=host, port=port, threads=threads, llm_url=llm_url)
    await model.start()
    return model
