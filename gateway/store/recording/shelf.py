"""Where recordings are kept: in a folder of this machine, or in a store of objects.

While a call goes on its recording is a file in the folder in any case, since objects can't grow; a store gets it when
the call is over. What could not be uploaded stays in the folder and is tried again, after a restart too.

An empty file beside a recording (``ID.uploading``) says that it may be in the store already. Where it is found without
the recording, this was erased meanwhile, and who finds it removes the object: so does a start after a crash.
"""

from __future__ import annotations

import contextlib
import fcntl
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import structlog

from gateway.errors import SettingsError, StoreError
from gateway.store.recording.recorder import Recorder
from gateway.store.recovery import TAKEN_UP_WITHIN

if TYPE_CHECKING:
    from obstore.store import ObjectStore, RetryConfig

log = structlog.get_logger()

SUFFIX, UPLOADING = ".wav", ".uploading"
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds between two attempts to upload; each pause is twice the one before."""


RETRIES, RETRIED_FOR = 3, timedelta(seconds=10)
"""How often a store is asked again at once, where somebody waits for the answer; the usual ten take minutes."""


class Kept(Protocol):
    """One call's recording, wherever it is. A WAV file: two channels of mu-law at 8 kHz, caller and agent.

    Reading raises :class:`StoreError` where it is in a store that can't be reached.
    """

    @property
    def size(self) -> int:
        """Bytes; those of a live call grow."""
        ...

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to before ``end``."""
        ...


@dataclass(frozen=True, slots=True)
class _File:
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def read(self, start: int, end: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


@dataclass(frozen=True, slots=True)
class _Object:
    store: ObjectStore
    name: str
    size: int

    def read(self, start: int, end: int) -> bytes:
        import obstore  # noqa: PLC0415 - only where recordings are kept outside

        end = min(end, self.size)
        with _reaching():
            return bytes(obstore.get_range(self.store, self.name, start=start, end=end)) if start < end else b""


class Recordings:
    """All recordings of this node, and a thread that uploads them where they are kept outside.

    Its methods touch disks and networks: not for the event loop's thread, but for :meth:`record`.

    Args:
        folder: where recordings grow, and stay where ``url`` is empty.
        url: ``file:///folder``, or an object store: ``s3://bucket/prefix``, ``gs://...``, ``az://...``. Its options
            may follow as a query: ``?endpoint=http://127.0.0.1:9000&region=eu-central-1``.

    Raises:
        SettingsError: the URL can't be used.
    """

    def __init__(self, folder: Path, url: str = "") -> None:
        parts = urlsplit(url)
        self.folder = Path(unquote(parts.path)) if parts.scheme == "file" else folder
        self._store = _store(url) if url and parts.scheme != "file" else None
        self._finished: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._growing: set[str] = set()
        self._over: set[str] = set()  # calls of this process that wait for their upload
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failures = 0
        """Recordings that could not be written, and attempts to upload that failed."""

    def start(self) -> None:
        """Begin to upload, first what an earlier run has left.

        Raises:
            OSError: the folder can't be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._store is None:
            return
        for call_id in sorted({path.stem for end in (SUFFIX, UPLOADING) for path in self.folder.glob("*" + end)}):
            self._finished.put(call_id)
        self._thread = threading.Thread(target=self._upload_all, name="recordings", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Upload what is finished, each once more at most, and end the thread."""
        self._stop.set()
        self._finished.put(None)
        if self._thread is not None:
            self._thread.join()

    def record(self, call_id: str, began: Callable[[], float | None] = lambda: None) -> Recorder:
        """Return what records a call that begins, or that is taken up: see :class:`Recorder` for ``began``."""
        self._growing.add(call_id)
        return Recorder(self._path(call_id), lambda failed: self._done(call_id, failed=failed), began)

    def find(self, call_id: str) -> Kept | None:
        """Return a call's recording; None where it has none, or has none any more.

        Raises:
            StoreError: the store can't be reached.
        """
        path = self._path(call_id)
        if path.exists():
            return _File(path)
        if self._store is None:
            return None
        import obstore  # noqa: PLC0415 - only where recordings are kept outside

        try:
            with _reaching():
                meta = obstore.head(self._store, path.name)
        except FileNotFoundError:
            return None
        return _Object(self._store, path.name, meta["size"])

    def delete(self, call_id: str) -> bool:
        """Remove a call's recording from wherever it is, and is just being put; false where there is none.

        Raises:
            StoreError: the store can't be reached; what it has stays.
        """
        there = self.find(call_id) is not None
        path = self._path(call_id)
        # The file first: who uploads it finds it gone then, and takes back what was uploaded; see _uploaded.
        path.unlink(missing_ok=True)
        if self._store is not None:
            with _reaching():
                self._delete_object(path.name)
        return there

    def is_here(self, call_id: str) -> bool:
        """Say whether a call's recording is in the folder of this machine."""
        return self._path(call_id).exists()

    def _delete_object(self, name: str) -> None:
        import obstore  # noqa: PLC0415 - only where recordings are kept outside

        assert self._store is not None  # noqa: S101 - asked only where there is one
        with contextlib.suppress(FileNotFoundError):  # some stores say so
            obstore.delete(self._store, name)

    def _path(self, call_id: str) -> Path:
        if not call_id or not call_id.replace("-", "").isalnum():
            raise ValueError(f"{call_id!r} is no call's id")
        return self.folder / (call_id + SUFFIX)

    def _done(self, call_id: str, *, failed: bool) -> None:
        self.failures += failed
        self._growing.discard(call_id)
        if self._store is not None:
            self._over.add(call_id)
            self._finished.put(call_id)

    # ---- The uploading thread ---------------------------------------------------------------------------------------

    def _upload_all(self) -> None:
        pause = FIRST_PAUSE
        waiting: list[str] = []
        while True:
            try:
                name = self._finished.get(timeout=pause if waiting else None)
                if name is not None:
                    waiting.append(name)
            except queue.Empty:
                pass
            waiting = [name for name in waiting if not self._upload(name)]
            pause = min(pause * 2, LONGEST_PAUSE) if waiting else FIRST_PAUSE
            if self._stop.is_set() and self._finished.empty():
                if waiting:
                    log.warning("recordings-not-uploaded", count=len(waiting), folder=str(self.folder))
                return

    def _upload(self, call_id: str) -> bool:
        import obstore  # noqa: PLC0415 - only where recordings are kept outside
        from obstore.exceptions import BaseError  # noqa: PLC0415

        path = self._path(call_id)
        uploading = path.with_suffix(UPLOADING)
        assert self._store is not None  # noqa: S101 - there is no thread without it
        try:
            if call_id in self._growing:
                return True  # taken up again after a crash; it comes here once more when it is over
            if call_id not in self._over and _may_grow(path):
                return False
            if path.exists():
                uploading.touch()
                obstore.put(self._store, path.name, path, attributes={"Content-Type": "audio/wav"})
            if uploading.exists():
                self._uploaded(path, uploading, growing=call_id in self._growing)
        except (BaseError, OSError) as error:
            self.failures += 1
            log.warning("recording-not-uploaded", call_id=call_id, error=_first_line(error))
            return False
        self._over.discard(call_id)
        return True

    def _uploaded(self, path: Path, uploading: Path, *, growing: bool) -> None:
        """Let go of a recording that is in the store; one that was erased meanwhile must not come to stay there.

        A crash between two of these steps has it uploaded once more, or its object removed once more.
        """
        if not path.exists():
            self._delete_object(path.name)
            uploading.unlink()
            return
        uploading.unlink()
        try:
            if not growing:
                path.unlink()
        except FileNotFoundError:
            self._delete_object(path.name)


@contextlib.contextmanager
def _reaching() -> Iterator[None]:
    """Say in our own words that a store can't be reached."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - only where recordings are kept outside

    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise StoreError(f"the store of recordings can't be reached: {_first_line(error)}") from error


def _may_grow(path: Path) -> bool:
    """Say whether a recording that another process wrote may not be over: it writes still, or was lost just now."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return time.time() - path.stat().st_mtime < TAKEN_UP_WITHIN
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


def _store(url: str) -> ObjectStore:
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415
        from obstore.store import from_url  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            "GATEWAY_RECORDINGS_URL: install the extra s3: pip install telephony-voice-gateway[s3]"
        ) from None
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if options.get("endpoint", "").startswith("http://"):
        options["client_options"] = {"allow_http": True}
    where = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    retries: RetryConfig = {"max_retries": RETRIES, "retry_timeout": RETRIED_FOR}
    try:
        return from_url(where, retry_config=retries, **options)
    except (BaseError, ValueError) as error:
        raise SettingsError(f"GATEWAY_RECORDINGS_URL: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
