"""Whoever holds the phone: speaks, listens, interrupts, presses keys, hangs up; written as a test reads."""

from __future__ import annotations

import asyncio
import os

import anyio

from gateway.testing.twilio.call import PhoneCall
from gateway.testing.twilio.phone import SAMPLES_PER_MS, UTTERANCE_GAP_MS
from gateway.testing.twilio.sound import Sound, load, write_wav

KEY_PAUSE = 0.15


class ScriptedCaller:
    """A caller that a script tells what to do; ``call`` is the call, with its log.

    Everything that waits raises ``TimeoutError`` with the state of the call when it takes too long, and
    ``CallOverError`` when the call ends before. Sounds are mu-law bytes or paths of WAV files.
    """

    def __init__(self, call: PhoneCall) -> None:
        self.call = call
        self._noticed = 0

    # ---- Speaking ---------------------------------------------------------------------------------------------------

    async def say(self, sound: Sound, *, wait: bool = True) -> None:
        """Say something, after what is being said; by default until it is said."""
        call = self.call
        data = load(sound)
        self._noticed = call.ear.utterances
        call.mouth.say(data)
        if wait:
            timeout = call.mouth.left_ms / 1000 + 10
            await call.until(lambda: call.mouth.left_ms == 0, "the caller has spoken", timeout)

    async def barge_in(self, sound: Sound, *, after_ms: float = 0.0, timeout: float = 20.0, wait: bool = True) -> None:
        """Speak over the agent, once it has been heard for ``after_ms`` without a pause of half a second."""
        ear = self.call.ear
        await self.call.until(lambda: ear.utterance_ms > after_ms, f"the agent has spoken for {after_ms} ms", timeout)
        await self.say(sound, wait=wait)

    def stop_speaking(self) -> None:
        """Break off what is being said."""
        self.call.mouth.stop()

    async def press(self, keys: str) -> None:
        """Press keys, one after the other as fingers do."""
        for key in keys:
            self.call.press(key)
            await anyio.sleep(KEY_PAUSE)

    def hang_up(self) -> None:
        self.call.hang_up()

    # ---- Listening --------------------------------------------------------------------------------------------------

    async def wait_for_stream(self, number: int = 1, timeout: float = 10.0) -> None:
        """Wait until the call's media stream of this number is connected."""
        call = self.call
        async with asyncio.timeout(timeout):
            while len(call.streams) < number or not call.streams[number - 1].opened.is_set():
                if call.is_over:
                    raise AssertionError(f"the call ended before stream {number} was connected: {call.log.codes()}")
                await anyio.sleep(0.005)

    async def wait_for_speech(self, timeout: float = 10.0) -> None:
        """Wait until somebody is heard (again, since the last wait or the caller's last word)."""
        ear = self.call.ear
        await self.call.until(lambda: ear.utterances > self._noticed, "somebody is heard", timeout)
        self._noticed = ear.utterances

    async def wait_for_silence(self, quiet_ms: float = 2 * UTTERANCE_GAP_MS, timeout: float = 30.0) -> None:
        """Wait until nothing has been heard for so long."""
        ear = self.call.ear
        await self.call.until(lambda: ear.quiet_ms >= quiet_ms, f"silence of {quiet_ms} ms", timeout)
        self._noticed = ear.utterances

    async def wait_for_answer(self, timeout: float = 15.0) -> float:
        """Wait until somebody is heard after the caller's last word; return the milliseconds between the two."""
        ear, mouth = self.call.ear, self.call.mouth
        await self.call.until(lambda: ear.utterances > self._noticed, "an answer is heard", timeout)
        self._noticed = ear.utterances
        return (ear.began - mouth.last_word) / SAMPLES_PER_MS

    async def wait_for_end(self, timeout: float = 30.0) -> str:
        """Wait until the call is over and all its callbacks were delivered; return who ended it."""
        async with asyncio.timeout(timeout):
            await self.call.over.wait()
        return self.call.ended_by

    # ---- What was heard ---------------------------------------------------------------------------------------------

    @property
    def heard(self) -> bytes:
        """What the caller heard so far, mu-law, from the moment the call was answered."""
        return bytes(self.call.ear.heard)

    @property
    def said(self) -> bytes:
        """What the caller said so far, mu-law, silence included; sample for sample beside ``heard``."""
        return bytes(self.call.mouth.said)

    def write_wav(self, path: str | os.PathLike[str]) -> None:
        """Write the call as the caller had it: left what was said, right what was heard."""
        write_wav(path, self.said, self.heard)
