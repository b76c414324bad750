"""The trial itself: the real gateway as a process, a model, a call, and a caller who follows the script."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from gateway.audio import wav
from gateway.demo.mouth import SyntheticCaller, trimmed
from gateway.demo.watch import Watch
from gateway.errors import GatewayError, ModelError
from gateway.local import LocalModel
from gateway.store.follow import appearing, follow
from gateway.testing import VOICE_URL, Behaviour, FakeTwilio, GatewayProcess, ScriptedCaller
from gateway.testing.twilio import CallOverError
from gateway.trial.judge import Check, instead, negative, positive
from gateway.trial.script import Step, Trial
from gateway.trial.surroundings import Needs, surroundings
from gateway.trial.telling import Teller, Told

NETWORK: Final = Behaviour.plain().but(start_delay_ms=(60.0, 60.0), delay_ms=(40.0, 40.0), jitter_ms=(0.0, 5.0))
_FINE: Final = {"success", "caller"}
"""Results of a call in which nothing failed."""
QUIET_MS: Final = 600.0
"""How long the caller waits after the agent's last sound before it speaks."""
PATIENCE: Final = 20.0
"""Seconds that the caller waits for the agent to finish; then it goes on regardless."""
SHY: Final = 4.0
"""Seconds after which the caller speaks first where nobody greets."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is tried. Files in scripts are found in ``beside``.

    Attributes:
        model_url: a real model's; empty starts the one of this machine.
        needs: what stands in for the variables that the folder refers to; None with a real model.
    """

    folder: Path
    line: str
    trial: Trial
    beside: Path
    environment: Mapping[str, str] = field(repr=False)
    model_url: str = ""
    needs: Needs | None = None
    wav: Path | None = None


async def perform(order: Order, told: Told) -> list[Check]:
    """Make the call, and return what became of each expectation.

    Raises:
        GatewayError: something that it needs is not there, or did not start.
    """
    sounds = await anyio.to_thread.run_sync(_sounds, order)
    async with AsyncExitStack() as stack:
        url = order.model_url
        if not url:
            told("Starting the model of this machine")
            url = await _local(stack, order.environment.get("LOCAL_LLM_URL", ""))
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        told("Starting the gateway")
        twilio = await stack.enter_async_context(FakeTwilio(voice_url=f"{VOICE_URL}/{order.line}", behaviour=NETWORK))
        environment = surroundings(order.environment, order.needs, url) | {"GATEWAY_DATA_DIR": str(data)}
        gateway = GatewayProcess(order.folder, twilio=twilio, model_url=url, environment=environment)
        try:
            await stack.enter_async_context(gateway)
        except (AssertionError, TimeoutError) as error:
            raise GatewayError(f"the gateway did not start: {error}") from error
        caller = await twilio.dial("+14155550100", caller=order.trial.caller)
        watch, teller = Watch(), Teller(told)
        async with anyio.create_task_group() as tasks:
            over = anyio.Event()
            tasks.start_soon(_watch, data / "calls", watch, over)
            checks = await _Caller(caller, watch, teller).play(order.trial, sounds)
            caller.hang_up()
            await caller.wait_for_end()
            with anyio.move_on_after(5):
                await over.wait()
            tasks.cancel_scope.cancel()
        teller.happened(watch.beats)
        if order.wav is not None:
            caller.write_wav(order.wav)
    return checks


async def _local(stack: AsyncExitStack, llm_url: str) -> str:
    model = LocalModel(llm_url=llm_url)
    stack.push_async_callback(model.stop)
    return await model.start()


def _sounds(order: Order) -> list[bytes]:
    """Return what the caller sounds like at each step."""
    steps = order.trial.steps
    try:
        voice = SyntheticCaller() if any(step.say for step in steps) else None
    except (ImportError, GatewayError) as error:
        raise ModelError(
            f"nothing speaks the caller's words here: {error} "
            "(pip install 'telephony-voice-gateway[local]', or let the caller play a WAV file)"
        ) from error
    return [_sound(step, order.beside, voice) for step in steps]


def _sound(step: Step, beside: Path, voice: SyntheticCaller | None) -> bytes:
    if step.say and voice is not None:
        return voice.say(step.say)
    if not step.play:
        return b""
    path = beside / step.play
    try:
        return trimmed(wav.read(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise GatewayError(f"{path}: {error}") from error


async def _watch(folder: Path, watch: Watch, over: anyio.Event) -> None:
    """Follow the call's log until the record is closed."""
    async with aclosing(follow(await appearing(folder))) as lines:
        async for line in lines:
            watch.take(line)
    over.set()


class _Caller:
    """Does one step after the other, and sees what comes of each."""

    def __init__(self, caller: ScriptedCaller, watch: Watch, teller: Teller) -> None:
        self._caller = caller
        self._watch = watch
        self._teller = teller
        self._spoke_at = 0
        self._unjudged = 0

    async def play(self, trial: Trial, sounds: list[bytes]) -> list[Check]:
        checks: list[Check] = []
        for step, sound in zip(trial.steps, sounds, strict=True):
            start = self._unjudged
            with contextlib.suppress(CallOverError, TimeoutError):
                # A step that only listens is about what has been said since the one before.
                start = await self._do(step, sound)
            checks += await self._see(step, start)
        await self._until_finished()
        return [*checks, *self._of_the_call(trial)]

    def _of_the_call(self, trial: Trial) -> Iterator[Check]:
        """Go through what is about the whole call; that nothing failed is expected unless a step says how it ends."""
        self._teller.happened(self._watch.beats)
        found = [(what, passed) for what, passed in negative(trial.never_says, self._watch.beats)]
        ended = self._watch.reason
        if ended and ended.result not in _FINE and not any(step.expect.ends for step in trial.steps):
            found.append(("goes well", False))
        for what, passed in found:
            seen = "" if passed else instead(self._watch.beats, self._watch)
            yield self._teller.judged(Check("the call", what, passed, instead=seen))

    async def _do(self, step: Step, sound: bytes) -> int:
        """Do it when it is the caller's turn, and return from which beat on it shows."""
        await self._caller.wait_for_stream()
        if not (sound or step.keys):
            return self._unjudged
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await self._caller.call.until(
                lambda: self._may_speak() or self._nobody_greets(began), "the caller's turn", PATIENCE
            )
        self._teller.happened(self._watch.beats)
        self._teller.caller(step.shown)
        start = len(self._watch.beats)
        if step.keys:
            await self._caller.press(step.keys)
        else:
            await self._caller.say(sound)
        self._spoke_at = len(self._caller.call.mouth.said)
        return start

    async def _see(self, step: Step, start: int) -> list[Check]:
        """Wait until everything expected has happened, or its time is over."""
        expect, watch = step.expect, self._watch
        began = time.monotonic()
        met: dict[str, float] = {}
        while True:
            self._teller.happened(watch.beats)
            beats = watch.beats[start:]
            now = time.monotonic() - began
            wanted = [*positive(expect, beats, watch)]
            for what, passed in wanted:
                if passed:
                    met.setdefault(what, now)
            over = self._caller.call.is_over and watch.reason is not None
            if len(met) == len({what for what, _ in wanted}) or now > expect.within or over:
                break
            await anyio.sleep(0.05)
        if expect.never_says:
            await self._until_finished()
        self._unjudged = len(watch.beats)
        beats = watch.beats[start:]
        checks = [(what, what in met, met.get(what, now)) for what, _ in wanted]
        checks += [(what, passed, now) for what, passed in negative(expect.never_says, beats)]
        seen = instead(beats, watch)
        found = [Check(step.shown, what, passed, took, "" if passed else seen) for what, passed, took in checks]
        return [self._teller.judged(check) for check in found]

    async def _until_finished(self) -> None:
        with contextlib.suppress(TimeoutError, CallOverError):
            await self._caller.call.until(self._may_speak, "the agent has finished", PATIENCE)

    def _may_speak(self) -> bool:
        """Whether the agent has answered and finished, at the log and at the ear."""
        ear = self._caller.call.ear
        done = self._watch.agent_is_done or self._watch.waits_for_consent
        return done and ear.last_word > self._spoke_at and ear.quiet_ms >= QUIET_MS

    def _nobody_greets(self, began: float) -> bool:
        return not self._watch.turns and time.monotonic() - began > SHY and self._caller.call.ear.quiet_ms >= QUIET_MS
