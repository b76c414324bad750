"""What a call from a terminal hears and speaks with: the machine's sound devices, or files in their place."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from gateway.audio import wav
from gateway.audio.frames import BYTES_PER_MS, FRAME_BYTES, FRAME_MS, SAMPLE_RATE, SILENCE_BYTE, cut
from gateway.audio.g711 import from_pcm, to_pcm
from gateway.errors import GatewayError

INSTALL = "pip install sounddevice (on Linux also the system's PortAudio: apt-get install libportaudio2)"
WITHOUT = "--microphone FILE.wav and --speaker FILE.wav take files in their place, and gateway dev talks in a browser."


class Speaker:
    """What waits to be heard, in order: mu-law and marks. Each mark is told once all before it was taken, or cleared.

    Sound devices take from a thread of their own.
    """

    def __init__(self, reached: Callable[[str], None]) -> None:
        self._reached = reached
        self._queue: deque[bytes | str] = deque()
        self._lock = threading.Lock()

    def play(self, audio: bytes) -> None:
        with self._lock:
            self._queue.append(audio)

    def mark(self, name: str) -> None:
        with self._lock:
            self._queue.append(name)
            passed = self._passed()
        self._tell(passed)

    def clear(self) -> None:
        """Throw away what waits; its marks come back at once, as Twilio sends them."""
        with self._lock:
            passed = [item for item in self._queue if isinstance(item, str)]
            self._queue.clear()
        self._tell(passed)

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes of sound, filled up with silence."""
        taken = bytearray()
        with self._lock:
            passed = self._passed()
            while self._queue and len(taken) < size:
                audio = self._queue.popleft()
                assert isinstance(audio, bytes)  # noqa: S101 - marks at the front have passed
                wanted = size - len(taken)
                taken += audio[:wanted]
                if len(audio) > wanted:
                    self._queue.appendleft(audio[wanted:])
                passed += self._passed()
        self._tell(passed)
        return bytes(taken).ljust(size, bytes([SILENCE_BYTE]))

    def _passed(self) -> list[str]:
        passed = []
        while self._queue and isinstance(self._queue[0], str):
            passed.append(str(self._queue.popleft()))
        return passed

    def _tell(self, marks: list[str]) -> None:
        for mark in marks:
            self._reached(mark)


class Device(Protocol):
    """A microphone, and what takes from a speaker."""

    def frames(self) -> AsyncIterator[bytes]:
        """Yield 20 ms of mu-law at a time, at the pace at which it is heard; its end is the end of the call."""
        ...


@asynccontextmanager
async def sound_device(speaker: Speaker) -> AsyncIterator[Device]:
    """Open the machine's microphone and speakers.

    Raises:
        GatewayError: there are none, or what plays them is not installed; the message holds the remedy.
    """
    try:
        import sounddevice  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415 - optional
    except (ImportError, OSError) as error:
        why = "PortAudio is missing" if isinstance(error, OSError) else "sounddevice is not installed"
        raise GatewayError(f"No sound: {why}. {INSTALL}\n{WITHOUT}") from None
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    def both(spoken: Any, played: Any, _frames: int, _time: Any, _status: Any) -> None:
        loop.call_soon_threadsafe(heard.put_nowait, from_pcm(bytes(spoken)))
        played[:] = to_pcm(speaker.take(len(played) // 2))

    try:
        stream = sounddevice.RawStream(
            samplerate=SAMPLE_RATE, blocksize=FRAME_BYTES, channels=1, dtype="int16", latency="low", callback=both
        )
    except sounddevice.PortAudioError as error:
        raise GatewayError(f"No sound: this machine has no microphone and speakers ({error}).\n{WITHOUT}") from None
    with stream:
        yield _Heard(heard)


class _Heard:
    """The frames of a microphone, as its thread hands them over."""

    def __init__(self, heard: asyncio.Queue[bytes]) -> None:
        self._heard = heard

    async def frames(self) -> AsyncIterator[bytes]:
        while True:
            for frame in cut(await self._heard.get()):
                yield frame


@asynccontextmanager
async def file_device(speaker: Speaker, microphone: Path | None, heard: Path | None) -> AsyncIterator[Device]:
    """Play a WAV file (8 kHz, one channel) in place of a microphone, and write what is heard to another.

    Raises:
        GatewayError: a file can't be read or written.
    """
    recorded = b"" if microphone is None else _read(microphone)
    taken = bytearray()
    try:
        yield _Played(recorded, speaker, taken, endless=microphone is None)
    finally:
        if heard is not None:
            _write(heard, bytes(taken))


def _read(path: Path) -> bytes:
    try:
        return wav.read(path.read_bytes())
    except OSError as error:
        raise GatewayError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise GatewayError(f"{path}: {error}") from None


def _write(path: Path, mulaw: bytes) -> None:
    import wave  # noqa: PLC0415 - only files need it

    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(to_pcm(mulaw))
    except OSError as error:
        raise GatewayError(f"{path}: {error.strerror}") from None


class _Played:
    """A recording played at the pace of a telephone; each frame that is spoken takes one that is heard."""

    def __init__(self, recorded: bytes, speaker: Speaker, taken: bytearray, *, endless: bool) -> None:
        self._recorded = recorded
        self._speaker = speaker
        self._taken = taken
        self._endless = endless

    async def frames(self) -> AsyncIterator[bytes]:
        began, number = time.monotonic(), 0
        silence = bytes([SILENCE_BYTE]) * FRAME_BYTES
        played = cut(self._recorded)
        while True:
            frame = next(played, silence if self._endless else None)
            if frame is None:
                return
            number += 1
            await asyncio.sleep(max(0.0, began + number * FRAME_MS / 1000 - time.monotonic()))
            self._taken += self._speaker.take(FRAME_MS * BYTES_PER_MS)
            yield frame
