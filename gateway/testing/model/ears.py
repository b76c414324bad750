"""How a scripted model listens: the input audio buffer, voice activity, transcripts of the caller, the idle timeout."""

from __future__ import annotations

import asyncio
import binascii
from collections import deque
from typing import TYPE_CHECKING, Any

from gateway.testing.model.config import bytes_per_ms
from gateway.testing.model.faults import Fault
from gateway.testing.model.hearing import VoiceDetector, VoiceStarted, VoiceStopped
from gateway.testing.model.memory import JSON, OBFUSCATION, Content, Item
from gateway.testing.model.refusal import Refusal

if TYPE_CHECKING:
    from gateway.testing.model.session import ModelSession

LEAST_COMMIT_MS = 100
KEEP_MS = 5000
"""So much audio before speech is kept while nobody speaks."""

SEMANTIC_SILENCE_MS = {"low": 1200, "medium": 600, "auto": 600, "high": 300}
"""Our stand-in for a semantic decision: how long to wait, by eagerness."""


class Ears:
    """The input side of one session."""

    def __init__(self, session: ModelSession) -> None:
        self.session = session
        self.transcripts: deque[str] = deque()
        """What the caller is understood to say next; else "caller turn 1", "caller turn 2" ..."""
        self._detector = VoiceDetector()
        self._buffer = bytearray()
        self._buffer_start_ms = 0
        self._item_id = ""
        self._start_ms = 0
        self._heard = 0
        self._held_back: tuple[Item, str] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._answered_at_ms = 0

    # ---- Configuration -----------------------------------------------------------------------------------------------

    @property
    def _config(self) -> JSON:
        config: JSON = self.session.config["audio"]["input"]
        return config

    def reconfigure(self) -> None:
        """Take over what session.update changed."""
        detection: JSON = self._config["turn_detection"] or {}
        detector = self._detector
        detector.bytes_per_ms = bytes_per_ms(self._config["format"])
        if detection.get("type") == "semantic_vad":
            detector.threshold, detector.prefix_ms = 0.5, 300
            detector.silence_ms = SEMANTIC_SILENCE_MS[detection.get("eagerness") or "auto"]
        else:
            detector.threshold = _given(detection.get("threshold"), 0.5)
            detector.silence_ms = _given(detection.get("silence_duration_ms"), 500)
            detector.prefix_ms = _given(detection.get("prefix_padding_ms"), 300)

    # ---- The buffer --------------------------------------------------------------------------------------------------

    @property
    def position_ms(self) -> int:
        """How much audio was appended to the session so far."""
        return self._buffer_start_ms + len(self._buffer) // self._detector.bytes_per_ms

    def append(self, text: str) -> None:
        """Take a piece of base64 audio, and notice who speaks."""
        try:
            audio = binascii.a2b_base64(text, strict_mode=True)
        except (binascii.Error, ValueError):
            message = "Invalid 'audio'. Expected base64-encoded audio bytes."
            raise Refusal(message, code="invalid_value", param="audio") from None
        self._buffer += audio
        if self.session.link.record:
            self.session.appended += audio
        self.session.appended_bytes += len(audio)
        if self._config["turn_detection"] is None:
            return
        for event in self._detector.hear(audio):
            match event:
                case VoiceStarted(start_ms):
                    self.start(start_ms)
                case VoiceStopped(end_ms):
                    self.stop(end_ms)
        if not self._item_id:
            self._drop_before(self.position_ms - KEEP_MS)

    def commit(self) -> None:
        """Make the buffer an item, as input_audio_buffer.commit does; nothing answers it."""
        ms = len(self._buffer) / self._detector.bytes_per_ms
        if ms < LEAST_COMMIT_MS:
            raise Refusal(
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        self._commit(self._item_id or self.session.new_id("item"), self._buffer_start_ms, self.position_ms)
        self._forget_speech()

    def clear(self) -> None:
        """Throw the buffer away."""
        self._drop_before(self.position_ms)
        self._forget_speech()
        self.session.send("input_audio_buffer.cleared")

    # ---- Voice activity ----------------------------------------------------------------------------------------------

    def start(self, start_ms: int | None = None) -> None:
        """Notice that the caller speaks: say so, and stop talking if the session wants that."""
        self.stop_idling()
        self._item_id = self.session.new_id("item")
        self._start_ms = max(self._buffer_start_ms, self.position_ms if start_ms is None else start_ms)
        self.session.send("input_audio_buffer.speech_started", audio_start_ms=self._start_ms, item_id=self._item_id)
        if _given((self._config["turn_detection"] or {}).get("interrupt_response"), default=True):
            self.session.interrupt("turn_detected")

    def stop(self, end_ms: int | None = None) -> None:
        """Notice that the caller has stopped: commit the words, and answer them if the session wants that."""
        if not self._item_id:
            self.start()
        item_id = self._item_id
        end = max(self._start_ms, self.position_ms if end_ms is None else end_ms)
        self.session.send("input_audio_buffer.speech_stopped", audio_end_ms=end, item_id=item_id)
        self._commit(item_id, self._start_ms, end)
        self._forget_speech()
        if _given((self._config["turn_detection"] or {}).get("create_response"), default=True):
            self.session.answer("speech")

    def _commit(self, item_id: str, start_ms: int, end_ms: int) -> None:
        per_ms = self._detector.bytes_per_ms
        offset = self._buffer_start_ms
        audio = self._buffer[(start_ms - offset) * per_ms : (end_ms - offset) * per_ms]
        content = Content("input_audio", audio=audio, bytes_per_ms=per_ms)
        item = Item(item_id, "message", "user", content=[content])
        previous = self.session.memory.add(item)
        self.session.send("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        self.session.item_added(item, previous)
        self._drop_before(end_ms)
        if self._config["transcription"] is not None:
            self._transcribe(item)

    def _drop_before(self, ms: int) -> None:
        gone = min(max(0, ms - self._buffer_start_ms), len(self._buffer) // self._detector.bytes_per_ms)
        del self._buffer[: gone * self._detector.bytes_per_ms]
        self._buffer_start_ms += gone

    def _forget_speech(self) -> None:
        self._item_id = ""
        self._detector.reset()

    # ---- Transcripts -------------------------------------------------------------------------------------------------

    def _transcribe(self, item: Item) -> None:
        self._heard += 1
        text = self.transcripts.popleft() if self.transcripts else f"caller turn {self._heard}"
        timing, faults = self.session.timing, self.session.faults
        delay = timing.late_transcription if faults.take(Fault.TRANSCRIPTION_LATE) else timing.transcription
        self.session.after(delay, self._transcribed, item, text)

    def _transcribed(self, item: Item, text: str) -> None:
        faults = self.session.faults
        if faults.take(Fault.TRANSCRIPTION_FAILED):
            error = {"type": "server_error", "code": "transcription_failed", "param": None}
            error["message"] = "Input transcription failed for this item."
            kind = "conversation.item.input_audio_transcription.failed"
            self.session.send(kind, item_id=item.id, content_index=0, error=error)
        elif self._held_back is None and faults.take(Fault.TRANSCRIPTION_OUT_OF_ORDER):
            self._held_back = (item, text)
        else:
            self._send_transcript(item, text)
            if self._held_back is not None:
                held, self._held_back = self._held_back, None
                self._send_transcript(*held)

    def _send_transcript(self, item: Item, text: str) -> None:
        content = item.content[0]
        content.text = text
        kind = "conversation.item.input_audio_transcription"
        half = len(text) // 2
        for piece in filter(None, (text[:half], text[half:])):
            self.session.send(f"{kind}.delta", item_id=item.id, content_index=0, delta=piece, obfuscation=OBFUSCATION)
        usage = {"type": "duration", "seconds": content.duration_ms / 1000}
        self.session.send(f"{kind}.completed", item_id=item.id, content_index=0, transcript=text, usage=usage)

    # ---- The idle timeout --------------------------------------------------------------------------------------------

    def idle_from(self, seconds_left: float) -> None:
        """Begin to wait for the caller, once the ``seconds_left`` of the answer were played."""
        self.stop_idling()
        timeout = (self._config["turn_detection"] or {}).get("idle_timeout_ms")
        if timeout is not None:
            self._answered_at_ms = self.position_ms + round(seconds_left * 1000)
            self._idle = self.session.after(seconds_left + timeout / 1000, self.time_out)

    def stop_idling(self) -> None:
        """Wait no longer: someone speaks."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def time_out(self) -> None:
        """Commit the silence and speak, as idle_timeout_ms documents."""
        self.stop_idling()
        item_id, end = self.session.new_id("item"), self.position_ms
        start = min(max(self._buffer_start_ms, self._answered_at_ms), end)
        fields = {"audio_start_ms": start, "audio_end_ms": end, "item_id": item_id}
        self.session.send("input_audio_buffer.timeout_triggered", **fields)
        self._commit(item_id, start, end)
        self.session.answer("idle")


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value
