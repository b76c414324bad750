"""The caller's phone: what goes into its mouthpiece, and what comes out at the ear."""

from __future__ import annotations

from collections import deque

from gateway.testing.twilio.sound import FRAME, SILENCE, loudness

SAMPLES_PER_MS = 8
AUDIBLE = 200
"""Loudness (root mean square of 16 bits) from which 20 ms count as somebody speaking."""
UTTERANCE_GAP_MS = 500
"""Quiet for this long ends an utterance."""


class Mouth:
    """What the caller says, in frames of 20 ms; silence where nothing is queued."""

    def __init__(self) -> None:
        self.said = bytearray()
        """Every sample of the call so far, mu-law."""
        self.last_word = 0
        """The sample at which the caller's last sound was over."""
        self._queue: deque[bytes] = deque()

    @property
    def left_ms(self) -> int:
        """Milliseconds that are queued and unsaid."""
        return len(self._queue) * FRAME // SAMPLES_PER_MS

    def say(self, sound: bytes) -> None:
        """Queue a sound; it begins with a frame, and its last one is filled up with silence."""
        for at in range(0, len(sound), FRAME):
            self._queue.append(sound[at : at + FRAME].ljust(FRAME, SILENCE))

    def stop(self) -> None:
        """Say no more of what is queued."""
        self._queue.clear()

    def take(self) -> bytes:
        """Return the next 20 ms."""
        spoken = bool(self._queue)
        frame = self._queue.popleft() if spoken else SILENCE * FRAME
        self.said += frame
        if spoken:
            self.last_word = len(self.said)
        return frame


class Ear:
    """What the caller hears, sample for sample on the carrier's clock, and whether that is somebody speaking."""

    def __init__(self) -> None:
        self.heard = bytearray()
        """Every sample so far, mu-law; where nothing was played, silence."""
        self.utterances = 0
        """How often somebody began to speak after at least half a second of quiet."""
        self.began = 0
        """The sample at which the newest utterance began."""
        self.last_word = 0
        """The sample at which the newest audible 20 ms were over."""
        self._judged = 0

    def hear(self, data: bytes | memoryview, at: int) -> None:
        """Put sound at a sample; what it overlaps is replaced (only one source plays at a time)."""
        if len(self.heard) < at:
            self.heard.extend(SILENCE * (at - len(self.heard)))
        self.heard[at : at + len(data)] = data

    def cut(self, at: int) -> None:
        """Forget what was to be heard after this sample."""
        del self.heard[max(at, self._judged) :]

    def advance(self, to: int) -> None:
        """Let time pass: judge the frames up to this sample."""
        if len(self.heard) < to:
            self.heard.extend(SILENCE * (to - len(self.heard)))
        while self._judged + FRAME <= to:
            frame = self.heard[self._judged : self._judged + FRAME]
            if loudness(frame) >= AUDIBLE:
                if not self.utterances or self._judged - self.last_word >= UTTERANCE_GAP_MS * SAMPLES_PER_MS:
                    self.utterances += 1
                    self.began = self._judged
                self.last_word = self._judged + FRAME
            self._judged += FRAME

    @property
    def quiet_ms(self) -> float:
        """Since the last audible sound, or since the call began."""
        return (self._judged - self.last_word) / SAMPLES_PER_MS

    @property
    def utterance_ms(self) -> float:
        """How long somebody has been speaking; 0 when nobody does."""
        if not self.utterances or self.quiet_ms >= UTTERANCE_GAP_MS:
            return 0.0
        return (self._judged - self.began) / SAMPLES_PER_MS
