"""The calls of this node: offered by carriers, found by their ids, drained before the process goes."""

from __future__ import annotations

import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from gateway.call.admission import Admission, Load
from gateway.call.events import ContinuationAsked, HangUpAsked, StatusChanged
from gateway.call.incoming import IncomingCall
from gateway.call.moving import apology
from gateway.call.outcome import Outcome
from gateway.call.plan import Announce, Connect, HangUp, Markup, Plan, Reject, Say
from gateway.call.policy import OnFailure
from gateway.call.reason import EndReason
from gateway.call.state import FINAL_STATUSES
from gateway.carriers.carrier import StreamSide, StreamStart
from gateway.carriers.token import Claims, StreamTokens
from gateway.config.directory import Directory
from gateway.config.reception import answer
from gateway.config.resolved import LineConfig
from gateway.config.returns import may_return
from gateway.config.schema import NOT_NEEDED
from gateway.errors import TokenError
from gateway.livecall import CallMaker, LiveCall, new_call_id

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


class Exchange:
    """Every call of this node, and whether new ones may begin.

    Args:
        directory: returns the current snapshot; a call keeps the one that it began with.
        tokens: signs what streams must bring.
        admission: decides whether a call may begin.
        maker: makes calls.
        overrides: returns how a line answers for now, where an operator said so.
        clock: monotonic seconds.
        wall: Unix seconds; for expiry and display only.
    """

    def __init__(
        self,
        *,
        directory: Callable[[], Directory],
        tokens: StreamTokens,
        admission: Admission,
        maker: CallMaker,
        overrides: Callable[[str], Outcome | None] = lambda _line: None,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.draining = False
        self.admission = admission
        self._directory = directory
        self._tokens = tokens
        self._overrides = overrides
        self._maker = maker
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
            await stream.run(live.bridge.emit, live.bridge.hear)
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
        if self._tasks is None:
            raise RuntimeError("the exchange does not run")
        live = self._maker.make(
            incoming,
            line,
            directory,
            call_id=call_id,
            return_to=self._way_back(incoming, line),
            on_finish=partial(self._finished, incoming.call_sid),
        )
        self._calls[incoming.call_sid] = live
        self._empty = anyio.Event()
        self._tasks.start_soon(self._run_bridge, live)
        return live

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
