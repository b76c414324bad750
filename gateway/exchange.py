"""The calls of this node: offered by carriers, found by their ids, drained before the process goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from gateway import __version__
from gateway.bridge import AgentSide, Bridge, CarrierApi
from gateway.call.admission import Admission, Load
from gateway.call.call import Call
from gateway.call.events import ContinuationAsked, Event, HangUpAsked, StatusChanged
from gateway.call.incoming import IncomingCall
from gateway.call.moving import apology
from gateway.call.outcome import Outcome
from gateway.call.plan import Announce, Connect, HangUp, Markup, Plan, Reject, Say
from gateway.call.playout import PlaybackState
from gateway.call.policy import OnFailure
from gateway.call.reason import EndReason
from gateway.call.state import FINAL_STATUSES
from gateway.carriers.carrier import StreamSide, StreamStart
from gateway.carriers.token import Claims, StreamTokens
from gateway.config.directory import Directory
from gateway.config.reception import answer
from gateway.config.returns import may_return
from gateway.config.schema import NOT_NEEDED, LineConfig
from gateway.config.units import in_seconds
from gateway.errors import TokenError
from gateway.store.log import CallLog, LogWriter, Tap
from gateway.store.logfile import Header
from gateway.store.recording.recorder import MASKED, PAUSED, RESUMED
from gateway.store.recording.shelf import Recordings
from gateway.tools.context import ToolContext

TOKEN_GOOD_FOR = 60
"""Seconds in which a stream must come after its webhook."""
REMEMBERED = 4096
"""Calls that are over and of which it is still known how they ended, by their sid: for late webhooks."""
KEPT = 64
"""Calls that are over and still there whole: for who just watched them."""
BEGIN_WITHIN = 1.0
"""Seconds that a call's log gets to begin before the call is answered."""
LAST_WORDS = 15.0
"""Seconds that calls get to end by themselves once the drain's time is up."""

log = structlog.get_logger()


class Agents(Protocol):
    """Opens the model sessions of calls."""

    def open(
        self,
        directory: Directory,
        line: LineConfig,
        context: ToolContext,
        *,
        session: int,
        playback: Callable[[], PlaybackState],
    ) -> AgentSide:
        """Make the agent's side of one model session."""
        ...


Follow: TypeAlias = Callable[[Header], Iterable[Tap]]
Price: TypeAlias = Callable[[Directory, LineConfig, Mapping[str, int], float], Mapping[str, Any] | None]
"""Returns what a call cost (its note in the log) from tokens and seconds; None where that can't be said."""


def nobody(_header: Header) -> Iterable[Tap]:
    """Follow no call."""
    return ()


def unpriced(
    _directory: Directory, _line: LineConfig, _usage: Mapping[str, int], _seconds: float
) -> Mapping[str, Any] | None:
    """Know no price."""
    return None


@dataclass(slots=True)
class LiveCall:
    """A call of this node, with what its carrier may ask again."""

    call_id: str
    incoming: IncomingCall
    line: LineConfig
    directory: Directory
    bridge: Bridge
    visit: int = 1
    """The number of the stream that the last plan offered."""
    offered: Plan = ()
    started: int = 0
    """The number of the newest stream that came."""
    streams: set[int] = field(default_factory=set)
    reason: EndReason | None = None
    """Why it ended; None while it lives."""
    recorded: bool = False
    """Whether the call is recorded, paused or not."""

    def pause_recording(self, by: str) -> bool:
        """Leave out what is said from now on, until resumed; false where nothing is recorded (any more)."""
        return self.recorded and self.bridge.note(PAUSED, {"by": by})

    def resume_recording(self, by: str) -> bool:
        return self.recorded and self.bridge.note(RESUMED, {"by": by})

    def mask_recording(self, seconds: float, by: str) -> bool:
        """Take the last seconds out of the recording; what is said from now on stays in."""
        return self.recorded and self.bridge.note(MASKED, {"by": by, "seconds": seconds})


class Exchange:
    """Every call of this node, and whether new ones may begin.

    Args:
        directory: returns the current snapshot; a call keeps the one that it began with.
        tokens: signs what streams must bring.
        admission: decides whether a call may begin.
        logs: writes the calls' logs.
        agents: opens model sessions.
        carrier: returns the API of the carrier that an account belongs to; None where there is none to be had.
        recordings: records the calls of lines that want it; None records none.
        overrides: returns how a line answers for now, where an operator said so.
        follow: says who else follows the log of a call that begins.
        price: says what a call cost that is over.
        clock: monotonic seconds.
        wall: Unix seconds; for expiry and display only.
    """

    def __init__(
        self,
        *,
        directory: Callable[[], Directory],
        tokens: StreamTokens,
        admission: Admission,
        logs: LogWriter,
        agents: Agents,
        carrier: Callable[[str], CarrierApi | None],
        recordings: Recordings | None = None,
        overrides: Callable[[str], Outcome | None] = lambda _line: None,
        follow: Follow = nobody,
        price: Price = unpriced,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.draining = False
        self.admission = admission
        self._directory = directory
        self._tokens = tokens
        self._logs = logs
        self._agents = agents
        self._carrier = carrier
        self._recordings = recordings
        self._overrides = overrides
        self._follow = follow
        self._price = price
        self._clock = clock
        self._wall = wall
        self._calls: dict[str, LiveCall] = {}
        self._past: OrderedDict[str, EndReason] = OrderedDict()
        self.ended = 0
        """How many calls have ended here."""
        self._kept: deque[LiveCall] = deque(maxlen=KEPT)
        self._tasks: anyio.abc.TaskGroup | None = None
        self._empty = anyio.Event()
        self._empty.set()

    @property
    def calls(self) -> Sequence[LiveCall]:
        """The calls that are not over."""
        return tuple(self._calls.values())

    def find(self, call_id: str) -> LiveCall | None:
        """Return a call of this node by our own id, one that is just over too."""
        known = (*self._calls.values(), *reversed(self._kept))
        return next((live for live in known if live.call_id == call_id), None)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the tasks of all calls until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            await anyio.sleep_forever()

    # ---- What carriers ask ------------------------------------------------------------------------------------------

    def offer(self, incoming: IncomingCall) -> Plan:
        """Decide what happens to a call; a repeated delivery gets the same plan, a later visit a new stream."""
        directory = self._directory()
        live = self._calls.get(incoming.call_sid)
        if live is not None and not self._is_another(live, incoming, directory):
            if live.started >= live.visit:
                live.visit += 1
                live.incoming = incoming
                live.offered = self._first(live)
            return live.offered
        line = _line_of(incoming, directory)
        if line is None:
            log.warning(
                "no-line", pii_called=incoming.called, line=incoming.line, remedy="gateway check lists the lines"
            )
            return (Reject("rejected"),)
        answered = answer(line, self._overrides(line.id), self._wall())
        if answered.why:
            log.info("line-not-as-usual", line=line.id, why=answered.why, call_sid=incoming.call_sid)
        if answered.plan is not None:
            return answered.plan
        line = answered.line
        refusal = self.admission.refuse(
            incoming.caller,
            Load(len(self._calls), sum(call.line.id == line.id for call in self._calls.values()), self.draining),
            self._clock(),
            per_caller=line.limits.calls_per_caller,
            per_line=line.limits.concurrent_calls,
        )
        if refusal is not None:
            log.warning("call-refused", line=line.id, why=refusal)
            return (Reject("busy"),)
        live = self._begin(incoming, line, directory, call_id=new_call_id(self._wall()))
        live.offered = (*notice(line), *self._first(live))
        return live.offered

    async def on_record(self, call_sid: str) -> None:
        """Wait until the log of a call has begun: whoever is told that it was taken can rely on its record.

        A disk that hangs or is full must not keep callers waiting: the writer tries again, and tells.
        """
        live = self._calls.get(call_sid)
        if live is not None and not live.bridge.log.begun:
            with anyio.move_on_after(BEGIN_WITHIN), contextlib.suppress(OSError):
                await anyio.to_thread.run_sync(live.bridge.log.begin, abandon_on_cancel=True)

    @staticmethod
    def _let_go(live: LiveCall) -> None:
        """Close the record of a call that was given back to its sender: a node that goes does not wait for it."""
        if live.bridge.call.given_back:
            live.bridge.emit(HangUpAsked("gateway", "drained"))

    def _is_another(self, live: LiveCall, incoming: IncomingCall, directory: Directory) -> bool:
        """Whether a call that was given back to its sender comes to another line, or with another way back.

        What the call was to this line is then over; nothing of it is known to the next.
        """
        if not live.bridge.call.given_back:
            return False
        line = _line_of(incoming, directory)
        if (
            line is not None
            and line.id == live.line.id
            and self._way_back(incoming, line) == live.bridge.call.policy.return_to
        ):
            return False
        live.bridge.emit(HangUpAsked("gateway", "another-line"))
        return True

    @staticmethod
    def _way_back(incoming: IncomingCall, line: LineConfig) -> str:
        """Return where a call goes in place of its end; an address that nobody allowed counts for nothing."""
        if not incoming.return_to:
            return line.return_to
        if may_return(incoming.return_to, line.return_hosts):
            return incoming.return_to
        log.warning("return-refused", line=line.id, pii_url=incoming.return_to, remedy="add its host to return_hosts")
        return line.return_to

    def continuation(self, incoming: IncomingCall, asked: ContinuationAsked) -> Plan:
        """Say what is next after a ``Connect`` or a ``Dial``."""
        live = self._calls.get(incoming.call_sid)
        if live is None:
            return self._epilogue(incoming, asked)
        plan = live.bridge.ask(asked)
        if self.draining:
            self._let_go(live)
        if any(isinstance(verb, Connect) for verb in plan):
            live.visit = max(live.visit, live.started) + 1
            live.offered = self._connect(live)
            return tuple(live.offered[-1] if isinstance(verb, Connect) else verb for verb in plan)
        return plan

    def report(self, call_sid: str, status: str) -> None:
        """Take note of a status; only what is final changes anything, and only once."""
        live = self._calls.get(call_sid)
        if live is not None:
            live.bridge.emit(StatusChanged(status))

    def apology(self, incoming: IncomingCall, error: str) -> Plan:
        """What the caller hears when nothing else works: the line's on_failure."""
        log.error("call-failed-over", error=error, line=incoming.line)
        return _on_failure(_line_of(incoming, self._directory()))

    async def carry(self, start: StreamStart, stream: StreamSide) -> None:
        """Run a stream as part of its call until it is over.

        Raises:
            TokenError: the stream may not be part of that call, or was there before.
        """
        token = start.parameters.get("token", "")
        claims = self._tokens.verify(token, call_sid=start.call_sid, now=self._wall(), account_sid=start.account_sid)
        live = self._find_or_adopt(claims)
        if claims.stream in live.streams:
            raise TokenError("the stream's token was spent before")
        if claims.stream < live.started:
            raise TokenError("a newer stream of this call has begun")
        live.streams.add(claims.stream)
        live.started = stream.number = claims.stream
        live.visit = max(live.visit, claims.stream)
        live.bridge.attach(stream, start.stream_sid)
        try:
            await stream.run(live.bridge.emit)
        finally:
            live.bridge.detach(stream)

    # ---- The end of the node ----------------------------------------------------------------------------------------

    async def drain(self, timeout: float) -> None:
        """Take no new calls, and wait until the live ones are over; after ``timeout`` seconds they are ended."""
        self.draining = True
        log.info("draining", calls=len(self._calls), timeout=timeout)
        for live in tuple(self._calls.values()):
            self._let_go(live)
        with anyio.move_on_after(timeout):
            await self._wait_until_empty()
        if self._calls:
            log.warning("drain-time-over", calls=len(self._calls))
            self.end_all("drained")
            with anyio.move_on_after(LAST_WORDS):
                await self._wait_until_empty()

    def end_all(self, reason: str) -> None:
        """Have every call end after its agent's last word."""
        for live in tuple(self._calls.values()):
            live.bridge.emit(HangUpAsked("gateway", reason))

    async def _wait_until_empty(self) -> None:
        while self._calls:
            await self._empty.wait()

    # ---- One call ---------------------------------------------------------------------------------------------------

    def _begin(self, incoming: IncomingCall, line: LineConfig, directory: Directory, *, call_id: str) -> LiveCall:
        now = self._clock
        zero = now()
        policy = replace(line.policy(line.variables(incoming.vars)), return_to=self._way_back(incoming, line))
        if not incoming.over_sip:  # nobody else's telephone system can be asked to make the call
            policy = replace(
                policy, transfers={name: replace(to, refer=False) for name, to in policy.transfers.items()}
            )
        header = Header(
            call_id=call_id,
            call_sid=incoming.call_sid,
            line=line.id,
            snapshot=directory.hash,
            version=__version__,
            wall=self._wall(),
            zero=zero,
            policy=policy,
            incoming=dict(incoming.parameters),
            account_sid=incoming.account_sid,
            caller=incoming.caller,
            called=incoming.called,
            direction=incoming.direction,
            keep_transcript=in_seconds(line.keep_transcript),
            keep_recording=in_seconds(line.recording.keep),
        )
        loop = asyncio.get_running_loop()

        def ask(event: Event) -> None:
            loop.call_soon_threadsafe(bridge.emit, event)

        def open_side(session: int) -> AgentSide:
            context = ToolContext(
                call_id=call_id,
                line=line.id,
                ask=ask,
                caller=live.incoming.caller,
                called=live.incoming.called,
                language=line.language,
                timezone=line.timezone,
                targets=tuple(line.transfer),
                vars=line.variables(live.incoming.vars),
                notes=tuple(line.notes),
            )
            return self._agents.open(directory, line, context, session=session, playback=bridge.playback)

        bridge = Bridge(
            call=Call(policy, 0.0),
            log=self._open_log(header, line),
            call_sid=incoming.call_sid,
            # Whole microseconds since the call began: what the log holds is exactly what the call was told.
            clock=lambda: int((now() - zero) * 1e6) / 1e6,
            open_side=open_side,
            carrier=self._carrier(incoming.account_sid),
            on_finish=partial(self._finished, incoming.call_sid),
            price=partial(self._price, directory, line),
        )
        recorded = line.recording.mode != "off" and self._recordings is not None
        live = LiveCall(call_id, incoming, line, directory, bridge, recorded=recorded)
        self._calls[incoming.call_sid] = live
        self._empty = anyio.Event()
        self._start(live)
        return live

    def _open_log(self, header: Header, line: LineConfig) -> CallLog:
        recording = line.recording
        taps = tuple(self._follow(header))
        if recording.mode == "off" or self._recordings is None:
            return self._logs.open(header, taps)
        call_log = self._logs.open(header, (self._recordings.record(header.call_id), *taps))
        consent = {"consent": recording.consent, "sha256": sha256(recording.consent.encode()).hexdigest()}
        call_log.note(0.0, "recorded", {**consent, "notice": recording.notice, "reason": recording.reason})
        return call_log

    def _start(self, live: LiveCall) -> None:
        if self._tasks is None:
            raise RuntimeError("the exchange does not run")
        self._tasks.start_soon(self._run_bridge, live)

    async def _run_bridge(self, live: LiveCall) -> None:
        with structlog.contextvars.bound_contextvars(call_id=live.call_id):
            log.info("call-began", line=live.line.id, call_sid=live.incoming.call_sid)
            await live.bridge.run()

    def _finished(self, call_sid: str, reason: EndReason) -> None:
        live = self._calls.pop(call_sid)
        live.reason = reason
        self.ended += 1
        self._kept.append(live)
        self._past[call_sid] = reason
        if len(self._past) > REMEMBERED:
            self._past.popitem(last=False)
        log.info("call-ended", call_id=live.call_id, line=live.line.id, result=reason.result, reason=reason.reason)
        if not self._calls:
            self._empty.set()

    def _first(self, live: LiveCall) -> Plan:
        """Return what a visit begins with: the operator's own TwiML, if the line has any, and our stream."""
        markup = live.line.before_connect(live.line.variables(live.incoming.vars))
        return (*((Markup(markup),) if markup else ()), *self._connect(live))

    def _connect(self, live: LiveCall) -> Plan:
        claims = Claims(
            call_id=live.call_id,
            call_sid=live.incoming.call_sid,
            account_sid=live.incoming.account_sid,
            line=live.line.key,
            snapshot=live.directory.hash,
            stream=live.visit,
            expires=int(self._wall()) + TOKEN_GOOD_FOR,
        )
        return (Connect({"token": self._tokens.issue(claims)}),)

    def _find_or_adopt(self, claims: Claims) -> LiveCall:
        """Return the call of a stream; one whose webhook another process answered begins here, only colder (rule 8)."""
        live = self._calls.get(claims.call_sid)
        if live is not None:
            return live
        if claims.call_sid in self._past:
            raise TokenError("the stream's call is over")
        directory = self._directory()
        line = directory.keyed(claims.line)
        if line is None or self.draining:
            raise TokenError("the stream's line is not answered here")
        incoming = IncomingCall(claims.call_sid, claims.account_sid, caller="", called="", line=line.id)
        return self._begin(incoming, line, directory, call_id=claims.call_id)

    def _epilogue(self, incoming: IncomingCall, asked: ContinuationAsked) -> Plan:
        """Answer for a call that is over, or that this process never knew (it was restarted in the middle)."""
        past = self._past.get(incoming.call_sid)
        if asked.status in FINAL_STATUSES or asked.dial_status in {"completed", "answered"}:
            return (HangUp(),)
        if past is not None and past != EndReason("gateway", "internal-error"):
            return (HangUp(),)
        sorry = self.apology(incoming, "call-unknown" if past is None else "internal-error")
        # Whom the apology leads to was just tried: once more would go on for ever.
        return (sorry[0], HangUp()) if asked.dial_status else sorry


def _line_of(incoming: IncomingCall, directory: Directory) -> LineConfig | None:
    # A caller who hides their number has none to stay on one side of a canary by; this call stays on its own.
    caller = incoming.caller if incoming.caller.startswith(("+", "sip:", "client:")) else incoming.call_sid
    return directory.find(incoming.called, incoming.line, account=incoming.account_sid, caller=caller)


def _on_failure(line: LineConfig | None) -> Plan:
    if line is None:
        return (Say(OnFailure().say), HangUp())
    return apology(line.policy())


def notice(line: LineConfig) -> Plan:
    """Say what callers of a line hear before they are recorded; nothing where nothing has to be said."""
    recording = line.recording
    if recording.mode == "off" or recording.consent == NOT_NEEDED:
        return ()
    if recording.notice:
        return (Announce(recording.notice, recording.consent),)
    return (Say(recording.consent, line.language),)


def new_call_id(wall: float) -> str:
    """Return a UUID of version 7 (RFC 9562): sortable by the time at which the call began."""
    value = (int(wall * 1000) & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
