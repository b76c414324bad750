"""Voice activity detection of the scripted model: energy, counted in milliseconds of appended audio."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TypeAlias

from gateway.testing.model.frames import mulaw_decode

FRAME_MS = 20
ONSET_MS = 60
"""So much must be loud in a row before it counts as speech."""

FULL_VOICE = 0.2
"""The mean root of the amplitude (1 is full scale) that counts as speech with certainty: about -28 dBFS."""

_LEVELS = bytes(round(255 * math.sqrt(abs(mulaw_decode(byte)) / 32768)) for byte in range(256))


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """Speech began; ``start_ms`` of appended audio, the padding before it included."""

    start_ms: int


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    """Speech ended; ``end_ms`` of appended audio, the silence that proved it included."""

    end_ms: int


VoiceEvent: TypeAlias = VoiceStarted | VoiceStopped


@dataclass(slots=True)
class VoiceDetector:
    """Says when speech starts and stops: a frame whose ``level`` is over the threshold is speech."""

    threshold: float = 0.5
    silence_ms: int = 500
    prefix_ms: int = 300
    bytes_per_ms: int = 8
    speaking: bool = False
    position_ms: int = 0
    _rest: bytes = b""
    _loud_ms: int = 0
    _quiet_ms: int = 0

    def hear(self, audio: bytes) -> list[VoiceEvent]:
        """Take the next audio and give what it brought about, in order."""
        size = FRAME_MS * self.bytes_per_ms
        data = self._rest + audio
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        events: list[VoiceEvent] = []
        for at in range(0, whole, size):
            event = self._frame(self.level(data[at : at + size]) > self.threshold)
            if event is not None:
                events.append(event)
        return events

    def reset(self) -> None:
        """Forget an utterance that has begun, but not the position."""
        self.speaking = False
        self._loud_ms = self._quiet_ms = 0

    def level(self, frame: bytes) -> float:
        """Give the loudness of a frame from 0 to 1, to be compared with the threshold."""
        if self.bytes_per_ms == 8:  # noqa: PLR2004 - G.711: one byte per sample, 8 kHz
            mean = sum(frame.translate(_LEVELS)) / (255 * len(frame))
        else:
            samples = struct.unpack(f"<{len(frame) // 2}h", frame)
            mean = sum(math.sqrt(abs(sample) / 32768) for sample in samples[::8]) / len(samples[::8])
        return min(1.0, mean / FULL_VOICE)

    def _frame(self, loud: bool) -> VoiceEvent | None:  # noqa: FBT001 - private, called once
        self.position_ms += FRAME_MS
        if loud:
            self._loud_ms, self._quiet_ms = self._loud_ms + FRAME_MS, 0
        else:
            self._loud_ms, self._quiet_ms = 0, self._quiet_ms + FRAME_MS
        if not self.speaking and self._loud_ms >= ONSET_MS:
            self.speaking = True
            return VoiceStarted(max(0, self.position_ms - self._loud_ms - self.prefix_ms))
        if self.speaking and self._quiet_ms >= self.silence_ms:
            self.speaking = False
            return VoiceStopped(self.position_ms)
        return None
