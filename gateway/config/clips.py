"""Recorded words: a WAV file as the G.711 that a phone plays."""

from __future__ import annotations

import base64
import hashlib

from gateway.audio import frames, wav
from gateway.call.policy import Clip

SOUND_PATH = "/twilio/clips/"
"""Where the carrier fetches recordings that it plays itself."""


def sound_name(content: bytes) -> str:
    """Return what a recording is called there: only who has the file can know it."""
    return f"{hashlib.sha256(content).hexdigest()[:32]}.wav"


def read_clip(content: bytes, text: str = "") -> Clip:
    """Read a WAV file: one channel, 8 kHz, mu-law or 16-bit PCM; the end is filled up to a whole frame.

    Raises:
        ValueError: it is something else, or holds no sound.
    """
    sound = b"".join(frames.cut(wav.read(content)))
    if not sound:
        raise ValueError("it holds no sound")
    return Clip(base64.b64encode(sound).decode(), len(sound), text)
