"""One call's I/O: carries what either side says into the call, and what the call decides out to the sides.

Everything runs on one event loop's thread. A side pushes an event with :meth:`Bridge.emit`; the call decides at once,
and the commands go into the sides' outboxes before ``emit`` returns. Nothing here waits, so there is no queue between a
frame and its decision, and commands leave in the order in which the call gave them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVarTuple, Unpack

import anyio
import anyio.abc
import structlog

from gateway.call.call import Call
from gateway.call.commands import (
    AgentCommand,
    Clear,
    CloseAgent,
    CloseStream,
    Command,
    Continue,
    EndCall,
    Finish,
    Mark,
    OpenAgent,
    Play,
    Redirect,
)
from gateway.call.events import (
    AgentLost,
    CallerAudio,
    CarrierFailed,
    ContinuationAsked,
    Event,
    StreamStarted,
    TimePassed,
)
from gateway.call.plan import HangUp, Plan
from gateway.call.playout import Placed, PlaybackState
from gateway.call.reason import EndReason
from gateway.carriers.carrier import Emit, StreamSide
from gateway.errors import CarrierError
from gateway.store.log import CallLog

CLOSING_TIME = 3.0
"""Seconds that a model's session gets to close after the call is over."""

log = structlog.get_logger()
Args = TypeVarTuple("Args")


class AgentSide(Protocol):
    """One model session, as a side of a call."""

    async def run(self, emit: Emit) -> None:
        """Connect, and run until closed or lost."""
        ...

    def perform(self, command: AgentCommand) -> None:
        """Queue a command for the model without waiting."""
        ...

    def hear(self, payload: str, size: int) -> None:
        """Queue a frame of the caller's audio: what a ``Hear`` holds, without making one."""
        ...


OpenSide: TypeAlias = Callable[[int], AgentSide]
"""Makes the agent's side for a call's model session of this number."""


class CarrierApi(Protocol):
    """What a carrier does to a call on request."""

    async def end(self, call_sid: str) -> None:
        """End a call; one that is already over is fine."""
        ...

    async def redirect(self, call_sid: str, plan: Plan) -> None:
        """Have a live call follow another plan."""
        ...


@dataclass(slots=True)
class Bridge:
    """Joins a call to its two sides until it is over.

    Attributes:
        call_sid: the carrier's id of the call.
        open_side: makes the agent's side.
        carrier: the carrier's API; None where there is none to be had.
        on_finish: told once, when the record is closed.
        price: says what the call cost, for the record.
    """

    call: Call
    log: CallLog
    call_sid: str
    clock: Callable[[], float]
    open_side: OpenSide
    carrier: CarrierApi | None
    on_finish: Callable[[EndReason], None]
    price: Callable[[Mapping[str, int], float], Mapping[str, Any] | None] | None = None
    _stream: StreamSide | None = None
    _agent: AgentSide | None = None
    _jobs: asyncio.Queue[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=asyncio.Queue)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _agent_gone: anyio.Event = field(default_factory=anyio.Event)
    _pending: deque[Event] = field(default_factory=deque)
    _busy: bool = False
    _answer: Plan = ()
    _timer: asyncio.TimerHandle | None = None
    _timer_at: float = float("inf")
    _placed: deque[Placed] = field(init=False)

    def __post_init__(self) -> None:
        self._placed = self.call.playout.placed

    async def run(self) -> None:
        """Connect the model, and keep the call's deadlines, until the call is over."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._start_jobs, tasks)
            self._open_agent(1)
            self._arm()
            try:
                await self._over.wait()
                with anyio.move_on_after(CLOSING_TIME):
                    await self._agent_gone.wait()
            finally:
                if self._timer is not None:
                    self._timer.cancel()
                tasks.cancel_scope.cancel()
        self._agent = None  # who keeps the call does not keep the model's session too

    # ---- Events in --------------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Take one event, on the loop's thread; one that comes while commands are performed waits its turn."""
        if self._busy:
            self._pending.append(event)
            return
        self._busy = True
        try:
            self._take(event)
            while self._pending:
                self._take(self._pending.popleft())
        finally:
            self._busy = False

    def hear(self, payload: str, size: int, timestamp_ms: int) -> None:
        """Take a frame of the caller: as a ``CallerAudio``, but by the short way that fifty of them a second need.

        No turn, no deadline and no other command hangs on a frame.
        """
        if self._busy or self._over.is_set():
            self.emit(CallerAudio(payload, size, timestamp_ms))
            return
        now = self.clock()
        try:
            heard = self.call.hear(size, timestamp_ms, now)
            self.log.frame(now, payload, size, timestamp_ms, heard=heard)
            if heard and self._agent is not None:
                self._agent.hear(payload, size)
        except Exception:
            log.exception("call-failed", line=self.call.policy.line, on="CallerAudio")
            self._give_up(now)

    def ask(self, question: ContinuationAsked) -> Plan:
        """Return what the carrier is to do next."""
        self._answer = (HangUp(),)
        self.emit(question)
        return self._answer

    def attach(self, stream: StreamSide, stream_sid: str) -> None:
        """Put a media stream in place of the one before, if there was one."""
        before, self._stream = self._stream, stream
        self.emit(StreamStarted(stream_sid, stream.number))
        if before is not None:
            before.end("superseded")

    def detach(self, stream: StreamSide) -> None:
        if self._stream is stream:
            self._stream = None

    def playback(self) -> PlaybackState:
        """Say what the ear is at: the SDK's question, which goes on the record."""
        now = self.clock()
        state = self.call.playback(now)
        if not self._over.is_set():
            self.log.tracker_read(now, state)
        return state

    def note(self, what: str, details: Mapping[str, Any]) -> bool:
        """Put something on the record that is no event of the call; false where the record is closed."""
        if self._over.is_set():
            return False
        self.log.note(self.clock(), what, details)
        return True

    def _take(self, event: Event) -> None:
        if self._over.is_set():
            return  # the record is closed; what a side still says belongs to nothing
        now = self.clock()
        try:
            self._decide(event, now)
        except Exception:
            log.exception("call-failed", line=self.call.policy.line, on=type(event).__name__)
            self._give_up(now)
            return
        deadline = self.call.deadline
        if deadline is not None and deadline < self._timer_at:
            self._arm()

    def _decide(self, event: Event, now: float) -> None:
        commands = self.call.handle(event, now)
        placed: tuple[Placed, ...] = ()
        if self._placed:
            placed = tuple(self._placed)
            self._placed.clear()
        # Whoever wants to have all of a call, its audio too, taps it here, off the path: see gateway.store.log.Tap.
        self.log.append(now, event, commands, placed)
        if self.call.turns.settled:
            self.log.settled(now, self.call.turns.take_settled())
        for command in commands:
            self._perform(command, now)

    # ---- Commands out -----------------------------------------------------------------------------------------------

    def _perform(self, command: Command, now: float) -> None:
        match command:
            case Play() | Mark() | Clear() | CloseStream():
                if self._stream is not None:
                    self._stream.perform(command)
            case Continue(plan):
                self._answer = plan
            case EndCall() | Redirect():
                self._start(self._call_carrier, command)
            case OpenAgent():
                self._open_agent(self.call.session)
            case Finish(reason):
                self._finish(reason, now)
            case _:
                if self._agent is not None:
                    self._agent.perform(command)

    def _finish(self, reason: EndReason, now: float) -> None:
        if self._over.is_set():
            return
        if self.price is not None and (cost := self.price(self.call.usage, now)) is not None:
            self.log.note(now, "cost", cost)
        self.log.close(now, reason, {"usage": self.call.usage, "turns": self.call.turns.held})
        self._over.set()
        self.on_finish(reason)

    def _give_up(self, now: float) -> None:
        """End the call at its edge: a fault of ours must not leave the caller in silence, nor the record open."""
        if self._stream is not None:
            self._stream.end("closed")
        self._finish(EndReason("gateway", "internal-error"), now)
        if self._agent is not None:
            self._agent.perform(CloseAgent())

    def _open_agent(self, session: int) -> None:
        side = self.open_side(session)
        self._agent = side
        self._start(self._run_agent, side, session)

    async def _run_agent(self, side: AgentSide, session: int) -> None:
        gone = self._agent_gone = anyio.Event()
        try:
            await side.run(self.emit)
        except Exception:
            # As above: whatever the side did not foresee is a lost model, and the line's on_failure speaks.
            log.exception("agent-side-failed", line=self.call.policy.line)
            self.emit(AgentLost(session, "agent-side-failed"))
        finally:
            gone.set()

    async def _call_carrier(self, command: EndCall | Redirect) -> None:
        operation = "hang-up" if isinstance(command, EndCall) else "redirect"
        if self.carrier is None:
            self.emit(CarrierFailed(operation, "no-carrier-account"))
            return
        try:
            if isinstance(command, Redirect):
                await self.carrier.redirect(self.call_sid, command.plan)
            else:
                await self.carrier.end(self.call_sid)
        except CarrierError as error:
            log.warning("carrier-request-failed", operation=operation, error=str(error))
            self.emit(CarrierFailed(operation, str(error)))

    def _start(self, function: Callable[[Unpack[Args]], Coroutine[Any, Any, None]], *args: *Args) -> None:
        self._jobs.put_nowait(partial(function, *args))

    async def _start_jobs(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start what events led to: they come from sockets and timers too, where no task runs that could."""
        while True:
            tasks.start_soon(await self._jobs.get())

    # ---- Time -------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Wait for the call's deadline. One that was put off is found out when the timer fires, not on every frame."""
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.call.deadline
        if deadline is None or self._over.is_set():
            self._timer, self._timer_at = None, float("inf")
            return
        self._timer_at = deadline
        self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline - self.clock()), self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        deadline = self.call.deadline
        if deadline is not None and deadline <= self.clock():
            self.emit(TimePassed())
        self._arm()
