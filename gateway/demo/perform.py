"""The demo itself: starts a model and a gateway, places the call, plays the caller, measures what came of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.abc
import anyio.to_thread

from gateway.call.reason import EndReason
from gateway.demo import models, mouth, places
from gateway.demo.models import Model
from gateway.demo.outcome import Outcome, Part, Phone, failures, transcript
from gateway.demo.story import NUMBER, STORY, Step
from gateway.demo.watch import Handoff, ToolRun, Watch
from gateway.errors import GatewayError
from gateway.store.follow import appearing, follow
from gateway.testing import VOICE_URL, Behaviour, FakeTwilio, GatewayProcess, ScriptedCaller
from gateway.testing.twilio import CallOverError
from gateway.testing.twilio.phone import SAMPLES_PER_MS

NETWORK = Behaviour.plain().but(start_delay_ms=(60.0, 60.0), delay_ms=(40.0, 40.0), jitter_ms=(0.0, 5.0))
"""The line between the phone and the gateway: 40 ms each way, and the carrier plays 60 ms after the first sound."""
QUIET_MS = 600.0
"""How long the caller waits after the agent's last sound before it speaks."""
PATIENCE = 25.0
"""Seconds that the caller waits for the agent to finish; then it goes on regardless."""


class Show(Protocol):
    """Whoever presents the call."""

    def progress(self, what: str) -> None:
        """Say what is being done before the call."""

    def begin(self, model: Model, watch: Watch, phone: Phone) -> None:
        """The phone rings; from now on watch and phone tell what happens."""

    def update(self) -> None:
        """Look again: called every tenth of a second until the call is over."""

    def end(self, outcome: Outcome) -> None:
        """The call is over."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: ``folder`` is where the call's files stay, ``openai_key`` (where given) asks OpenAI's model."""

    folder: Path
    openai_key: str = ""
    story: Sequence[Step] = STORY


async def perform(order: Order, show: Show) -> Outcome:
    """Make the call.

    Raises:
        GatewayError: something that it needs is not there, or did not start.
    """
    order.folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        if order.openai_key:
            model = Model("openai", "")
        else:
            show.progress("Loading the model of this machine: voice detection, recognition, speech")
            model = await stack.enter_async_context(models.local())
        show.progress("Starting gateway serve")
        twilio = await stack.enter_async_context(FakeTwilio(voice_url=VOICE_URL, behaviour=NETWORK))
        environment = {
            "GATEWAY_DATA_DIR": str(order.folder.resolve()),
            "OPENAI_API_KEY": order.openai_key or "none",
        }
        gateway = GatewayProcess(places.lines(), twilio=twilio, model_url=model.url, environment=environment)
        try:
            await stack.enter_async_context(gateway)
        except (AssertionError, TimeoutError) as error:
            raise GatewayError(f"gateway serve did not start: {error}") from error
        show.progress("Finding the caller's voice")
        sounds = await anyio.to_thread.run_sync(lambda: mouth.sounds(order.story, synthetic=_has_voice(model)))
        watch = Watch()
        caller = await twilio.dial(NUMBER)
        phone = Phone(caller.call, watch)
        show.begin(model, watch, phone)
        async with anyio.create_task_group() as tasks:
            over = anyio.Event()
            tasks.start_soon(_watch, order.folder / "calls", watch, over)
            tasks.start_soon(_show, show)
            await _Director(caller, watch, phone).play(order.story, sounds)
            # The record is closed a moment after the phone has gone dead.
            with anyio.move_on_after(5):
                await over.wait()
            tasks.cancel_scope.cancel()
        caller.write_wav(order.folder / "call.wav")
        outcome = _outcome(order, model, watch, phone)
        (order.folder / "call.json").write_text(json.dumps(outcome.as_json(), indent=2, ensure_ascii=False) + "\n")
        show.end(outcome)
        return outcome


def _has_voice(model: Model) -> bool:
    """Whether the caller's speech can be synthesized here: the local model's parts are installed."""
    if model.kind == "local":
        return True
    from gateway.local import weights  # noqa: PLC0415 (only where another model answers)

    try:
        weights.find_all()
    except GatewayError:
        return False
    return True


async def _watch(folder: Path, watch: Watch, over: anyio.Event) -> None:
    """Follow the call's log until the record is closed."""
    async with aclosing(follow(await appearing(folder))) as lines:
        async for line in lines:
            watch.take(line)
    over.set()


async def _show(show: Show) -> None:
    while True:
        show.update()
        await anyio.sleep(0.1)


class _Director:
    """Has the caller do one step after the other.

    When the agent has finished can't be told at the ear alone, where a slow tool and the end sound the same; the stage
    directions come from the call's log.
    """

    def __init__(self, caller: ScriptedCaller, watch: Watch, phone: Phone) -> None:
        self._caller = caller
        self._watch = watch
        self._phone = phone

    async def play(self, story: Sequence[Step], sounds: Sequence[bytes]) -> None:
        """Play the story, and wait for the end of the call."""
        with contextlib.suppress(CallOverError):
            await self._caller.wait_for_stream()
            for step, sound in zip(story, sounds, strict=True):
                await self._play(step, sound)
        try:
            await self._caller.wait_for_end(timeout=20)
        except TimeoutError:
            self._caller.hang_up()
            await self._caller.wait_for_end()

    async def _play(self, step: Step, sound: bytes) -> None:
        call = self._caller.call
        if step.cuts_in_after_ms is not None:
            after_ms = step.cuts_in_after_ms
            await self._wait(lambda: call.ear.utterance_ms > after_ms)
        else:
            await self._wait(self._may_press if step.kind == "keys" else self._may_speak)
        start = len(call.mouth.said)
        if step.kind == "keys":
            await self._caller.press(step.text)
            self._phone.parts.append(Part(step, start, start))
        else:
            await self._caller.say(sound)
            self._phone.parts.append(Part(step, start, len(call.mouth.said)))

    async def _wait(self, condition: Callable[[], bool]) -> None:
        with contextlib.suppress(TimeoutError):  # An impatient caller: what was not right shows in the outcome.
            await self._caller.call.until(condition, "the caller's turn", PATIENCE)

    def _may_speak(self) -> bool:
        return self._watch.agent_is_done and not self._watch.waits_for_consent and self._is_quiet()

    def _may_press(self) -> bool:
        return self._watch.agent_is_done and self._watch.waits_for_consent and self._is_quiet()

    def _is_quiet(self) -> bool:
        """Whether something was heard since the caller's last turn, and is over."""
        ear, parts = self._caller.call.ear, self._phone.parts
        return ear.last_word > (parts[-1].end if parts else 0) and ear.quiet_ms >= QUIET_MS


def _outcome(order: Order, model: Model, watch: Watch, phone: Phone) -> Outcome:
    reason = watch.reason or EndReason("gateway", "record-not-closed")
    outcome = Outcome(
        model=model.kind,
        call_id=watch.call_id,
        seconds=len(phone.call.ear.heard) / SAMPLES_PER_MS / 1000,
        result=reason.result,
        reason=reason.reason,
        exchanged=phone.exchanged(),
        transcript=transcript(watch.turns),
        tools=[beat.tool for beat in watch.beats if isinstance(beat, ToolRun)],
        handoffs=[
            f"{beat.before} -> {beat.after}" for beat in watch.beats if isinstance(beat, Handoff) and beat.before
        ],
        barge_ins=len(phone.call.log.clears),
        wav=str(order.folder / "call.wav"),
        log=str(order.folder / "calls" / f"{watch.call_id}.jsonl"),
        carrier_errors=phone.call.log.codes(),
    )
    if len(phone.parts) < len(order.story):
        outcome.failures.append(f"the call ended before the caller's turn: {order.story[len(phone.parts)].text}")
    outcome.failures += failures(outcome, watch)
    return outcome
