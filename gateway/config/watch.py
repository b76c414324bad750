"""Keeps the snapshot in step with its folder: swapped whole when an edit is good, kept when it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.to_thread
import structlog
import watchfiles

from gateway.config.directory import Directory
from gateway.config.folder import read_folder
from gateway.config.loader import parse
from gateway.errors import ConfigError, Fault

log = structlog.get_logger()

OnSwap: TypeAlias = Callable[[Directory, Directory], None]
"""Told of the snapshot before and the one after."""
Prove: TypeAlias = Callable[[Directory], Sequence[Fault]]
"""Returns what is wrong with a snapshot that could be read."""
OnFaults: TypeAlias = Callable[[Sequence[Fault]], None]
"""Told why an edit was refused; the snapshot before it stays."""

_STEP_MS = 100
"""Quiet time after a change before the folder is read: editors write in several steps."""
_LOOK_MS = 5_000
"""How often the folder is looked at without being told of a change: mounts of containers and networks tell of none."""


def _ignore(*_: object) -> None:
    """Tell nobody."""


def _nothing(_: Directory) -> Sequence[Fault]:
    """Find nothing wrong."""
    return ()


class Watcher:
    """The current snapshot of a folder of lines.

    Calls take :attr:`current` when they begin and keep what they took. Reading happens on a thread of its own, so that
    no call waits for it; swapping and telling happen on the event loop.

    Args:
        first: the snapshot to begin with.
        environment: what ``${NAME}`` is filled in from.
        prove: says what else is wrong with a new snapshot, such as Python that fails when it is loaded; runs on the
            reading thread, before the swap.
        on_swap: told of every new snapshot.
        on_faults: told of every edit that was refused.
    """

    def __init__(
        self,
        first: Directory,
        environment: Mapping[str, str] | None = None,
        *,
        prove: Prove = _nothing,
        on_swap: OnSwap = _ignore,
        on_faults: OnFaults = _ignore,
    ) -> None:
        self.current = first
        self.faults: tuple[Fault, ...] = ()
        """What is wrong with the folder as it is now; empty where ``current`` is the folder as it is now."""
        self._refused = ""
        self._environment = environment
        self._prove = prove
        self._on_swap = on_swap
        self._on_faults = on_faults
        self._asked = anyio.Event()
        self._asked.set()  # What changed before the watch begins is seen at once.
        self._reading = anyio.Lock()

    @property
    def folder(self) -> Path:
        """The folder that is watched."""
        return self.current.folder

    def ask(self) -> None:
        """Have the folder read again soon, changed or not, by :meth:`run`; for SIGHUP and the like."""
        self._asked.set()

    async def reload(self) -> bool:
        """Read the folder now.

        Returns:
            Whether it is good; then it is what ``current`` is. Where it is not, ``faults`` says why.
        """
        async with self._reading:
            before = self.current
            try:
                fresh = await anyio.to_thread.run_sync(self._read)
            except ConfigError as error:
                self._refuse(error.faults)
                return False
            if self.faults and fresh is before:
                log.info("config-mended", snapshot=fresh.hash)
            self.faults, self._refused = (), ""
            if fresh is not before:
                self.current = fresh
                log.info("config-swapped", snapshot=fresh.hash, before=before.hash, lines=sorted(fresh.lines))
                self._on_swap(before, fresh)
            return True

    async def run(self) -> None:
        """Watch the folder until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._answer)
            while True:
                await self._watch()
                await anyio.sleep(_LOOK_MS / 1000)
                await self.reload()

    async def _watch(self) -> None:
        changes = watchfiles.awatch(
            self.folder,
            watch_filter=None,
            step=_STEP_MS,
            debounce=4 * _STEP_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
        )
        async with aclosing(changes):
            while True:
                try:
                    await anext(changes)
                except (OSError, RuntimeError) as error:
                    # watchfiles raises both where the folder is gone or the system has no watches left.
                    log.warning("config-unwatched", folder=str(self.folder), reason=str(error))
                    return
                await self.reload()

    async def _answer(self) -> None:
        while True:
            await self._asked.wait()
            self._asked = anyio.Event()
            await self.reload()

    def _refuse(self, faults: Sequence[Fault]) -> None:
        if tuple(faults) == self.faults:
            return
        self.faults = tuple(faults)
        log.warning("config-refused", snapshot=self.current.hash, faults=[str(fault) for fault in faults])
        self._on_faults(faults)

    def _read(self) -> Directory:
        """Return the snapshot that we have where the folder has not changed, else a new one."""
        folder = read_folder(self.folder)
        if folder.hash == self.current.hash:
            return self.current
        if folder.hash == self._refused:
            raise ConfigError(list(self.faults))
        try:
            return self._proven(parse(folder, self._environment))
        except ConfigError:
            self._refused = folder.hash
            raise

    def _proven(self, fresh: Directory) -> Directory:
        if faults := self._prove(fresh):
            raise ConfigError(list(faults))
        return fresh
