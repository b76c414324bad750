"""When a scripted model does what it does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Delays in seconds, sizes in milliseconds of audio. OpenAI publishes none of these; they are parameters."""

    first_audio: float = 0.1
    """From response.created to the first output."""
    first_delta_ms: int = 100
    delta_ms: int = 200
    speed: float = 4.0
    """Audio seconds sent per second; ``math.inf`` sends an answer at once."""
    transcription: float = 0.05
    """From the commit of the caller's audio to its transcript."""
    late_transcription: float = 2.0
    slow_first_audio: float = 8.0
    handshake_delay: float = 5.0
