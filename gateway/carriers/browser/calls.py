"""Calls from a browser: begun by the page, and what a carrier does to them on request."""

from __future__ import annotations

import secrets
from typing import Final

from gateway.call.commands import StreamCommand
from gateway.call.events import ContinuationAsked, Event, StopCause, StreamStopped
from gateway.call.incoming import IncomingCall
from gateway.call.plan import Connect, Dial, Enqueue, Plan, Refer, Return
from gateway.carriers.carrier import Emit, EmitAudio, Exchange, StreamSide

ACCOUNT: Final = "browser"
"""Stands for Twilio's AccountSid in calls from a browser."""
CALLER: Final = "client:softphone"


def incoming(line: str, call_sid: str = "") -> IncomingCall:
    """Describe a call from the softphone to a line; a new one where no sid is given."""
    sid = call_sid or f"BR{secrets.token_hex(16)}"
    called = f"client:{line}"
    said = {"CallSid": sid, "AccountSid": ACCOUNT, "From": CALLER, "To": called, "Direction": "inbound"}
    return IncomingCall(sid, ACCOUNT, CALLER, called, line=line, parameters=said)


class BrowserStream:
    """A media stream that remembers how it ended, which decides what follows.

    Args:
        call_sid: the call that it claims to belong to.
        stream: the stream of messages.
        calls: is told of it once the exchange has let it in.
    """

    def __init__(self, call_sid: str, stream: StreamSide, calls: BrowserCalls) -> None:
        self.call_sid = call_sid
        self.cause: StopCause | None = None
        """Why it ended; None while it runs, and where it never ran."""
        self.plan: Plan | None = None
        """What the call is to follow instead of asking; set by a redirect."""
        self._stream = stream
        self._calls = calls

    @property
    def number(self) -> int:
        return self._stream.number

    @number.setter
    def number(self, number: int) -> None:
        self._stream.number = number

    @property
    def unsent_ms(self) -> float:
        """Milliseconds of audio that have not left for the browser."""
        return self._stream.unsent_ms

    async def run(self, emit: Emit, emit_audio: EmitAudio) -> None:
        """Run the stream below."""
        self._calls.begin(self)

        def told(event: Event) -> None:
            if type(event) is StreamStopped:
                self.cause = event.cause
            emit(event)

        await self._stream.run(told, emit_audio)

    def perform(self, command: StreamCommand) -> None:
        """Queue a command for the browser."""
        self._stream.perform(command)

    def end(self, cause: StopCause) -> None:
        """End the stream now."""
        self._stream.end(cause)


class BrowserCalls:
    """The carrier's part of calls from browsers: what Twilio does around a stream and on REST requests."""

    def __init__(self) -> None:
        self._streams: dict[str, BrowserStream] = {}

    def begin(self, stream: BrowserStream) -> None:
        """Take note of a stream, so that the call can be ended through it."""
        self._streams[stream.call_sid] = stream

    async def end(self, call_sid: str) -> None:
        """End a call by its stream; one that is over is fine."""
        await self.redirect(call_sid, ())

    async def redirect(self, call_sid: str, plan: Plan) -> None:
        """Stop the stream and have the call follow a plan."""
        stream = self._streams.get(call_sid)
        if stream is not None:
            stream.plan = plan
            stream.end("stop")

    def ended(self, exchange: Exchange, stream: BrowserStream) -> None:
        """Go on behind a stream as a carrier would: ask what is next where we closed it, else report the hang-up.

        A browser has words and a stream and nothing else: nobody is dialled, so a call that should have moved on ends
        as one whose transfer was canceled.
        """
        call_sid = stream.call_sid
        if self._streams.get(call_sid) is stream:
            del self._streams[call_sid]
        plan = stream.plan
        if plan is None and stream.cause == "closed":
            plan = exchange.continuation(incoming("", call_sid), ContinuationAsked(status="in-progress"))
        if stream.cause is None or stream.cause == "superseded":
            return
        if any(isinstance(verb, Dial | Enqueue | Refer | Return) for verb in plan or ()):
            exchange.report(call_sid, "canceled")
        elif stream.cause == "malformed" or any(isinstance(verb, Connect) for verb in plan or ()):
            exchange.report(call_sid, "failed")
        else:
            exchange.report(call_sid, "completed")
