"""The speech parts of one server process, loaded once, run in worker threads so that the sockets stay smooth."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gateway.local import weights
from gateway.local.recognition import Recognizer
from gateway.local.sound import Samples, nothing
from gateway.local.speech import Manner, Speech, Voice
from gateway.local.vad import VoiceEar, VoiceNetwork

_WARM = "One moment, zyxquo."
"""Spoken once at start; the word that no lexicon has loads the network for unknown words."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded from where, for people to see."""

    part: str
    distribution: str
    version: str
    path: str
    size: int


class Engine:
    """Hears, recognizes and speaks for every session of the process; ``load()`` makes one."""

    def __init__(self, found: tuple[weights.FoundWeight, ...], threads: int) -> None:
        began = time.monotonic()
        paths = {one.weight: one.path for one in found}
        self._network = VoiceNetwork(paths[weights.VAD])
        self._recognizer = Recognizer(paths[weights.ENCODER], paths[weights.DECODER], paths[weights.TOKENIZER], 1)
        self._voice = Voice(paths[weights.VOICE], 1)
        # Recognition and speech get threads of their own: an answer never waits behind somebody else's long sentence.
        self._hearing = ThreadPoolExecutor(1, "hearing")
        self._recognizing = ThreadPoolExecutor(threads, "recognizing")
        self._speaking = ThreadPoolExecutor(threads, "speaking")
        self._recognizer.recognize(nothing())
        self._voice.say(_WARM, Manner())
        self.load_seconds = time.monotonic() - began
        self.loaded = tuple(
            Loaded(o.weight.part, o.weight.distribution, o.weight.version, str(o.path), o.weight.size) for o in found
        )

    def ear(self) -> VoiceEar:
        """Make the ear of one session."""
        return VoiceEar(self._network)

    async def hear(self, ear: VoiceEar, samples: Samples) -> list[float]:
        """Score the windows that these samples complete."""
        return await asyncio.get_running_loop().run_in_executor(self._hearing, ear.hear, samples)

    async def recognize(self, samples: Samples) -> str:
        """Turn an utterance at 8 kHz into text."""
        return await asyncio.get_running_loop().run_in_executor(self._recognizing, self._recognizer.recognize, samples)

    def say(self, sentence: str, manner: Manner) -> asyncio.Future[Speech]:
        """Begin to speak one sentence; the sound is there when the future is done."""
        return asyncio.get_running_loop().run_in_executor(self._speaking, self._voice.say, sentence, manner)

    def close(self) -> None:
        """Give the threads back; what they are doing is thrown away."""
        for pool in (self._hearing, self._recognizing, self._speaking):
            pool.shutdown(wait=False, cancel_futures=True)


def load(threads: int = 2) -> Engine:
    """Find the weights, check them and load them; ModelError says what is missing.

    Args:
        threads: utterances that are recognized, and sentences that are spoken, at the same time.
    """
    return Engine(weights.find_all(), threads)
