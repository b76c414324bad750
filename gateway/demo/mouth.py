"""What the caller of the demo sounds like."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.audio import wav
from gateway.demo import places
from gateway.demo.story import VOICE, Step
from gateway.errors import GatewayError
from gateway.testing.twilio.phone import AUDIBLE
from gateway.testing.twilio.sound import FRAME, loudness

STAND_IN = "librivox_austen_0890.wav"
"""Who speaks for the caller where there is no synthetic voice."""


def sounds(steps: Sequence[Step], *, synthetic: bool) -> list[bytes]:
    """Return the mu-law of every step, empty for keys; loads the voice, which takes about a second."""
    voice = SyntheticCaller() if synthetic else None
    return [_sound(step, voice) for step in steps]


def _sound(step: Step, voice: SyntheticCaller | None) -> bytes:
    if step.kind == "keys":
        return b""
    if step.kind == "synthetic" and voice is not None:
        return voice.say(step.text)
    path = places.recording(step.file or STAND_IN)
    try:
        return trimmed(wav.read(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise GatewayError(f"{path}: {error}") from error


def trimmed(sound: bytes) -> bytes:
    """Cut off the silence around what is said: the caller's turn ends with its last sound."""
    loud = [at for at in range(0, len(sound), FRAME) if loudness(sound[at : at + FRAME]) >= AUDIBLE]
    return sound[loud[0] : loud[-1] + FRAME] if loud else sound


class SyntheticCaller:
    """The local model's speech in another voice, loaded without the rest of the model."""

    def __init__(self) -> None:
        from gateway.local import weights  # noqa: PLC0415 (numpy and onnxruntime: only where they are installed)
        from gateway.local.speech import Manner, Voice, sentences  # noqa: PLC0415 (as above)

        self._voice = Voice(weights.find(weights.VOICE).path, 1)
        self._manner = Manner(VOICE)
        self._cut = sentences

    def say(self, text: str) -> bytes:
        """Speak; the pauses between sentences stay."""
        return trimmed(b"".join(self._voice.say(sentence, self._manner).payload for sentence in self._cut(text)))
