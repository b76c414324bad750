"""What a carrier needs of the rest of the gateway, and what it gives: the media stream of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from gateway.call.commands import StreamCommand
from gateway.call.events import ContinuationAsked, Event, StopCause
from gateway.call.incoming import IncomingCall
from gateway.call.plan import Plan

Emit: TypeAlias = Callable[[Event], None]
"""Where a side puts what happened: synchronous, on the event loop's thread; the call has decided when it returns."""
EmitAudio: TypeAlias = Callable[[str, int, int], None]
"""Where a stream puts the caller's frames: what a ``CallerAudio`` holds, without making one."""


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The carrier's first words on a new media stream; nothing in it is to be believed before its token was checked."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class StreamSide(Protocol):
    """One media stream, as a side of a call.

    ``number`` is the stream's number within its call (1 is the first); the exchange sets it before ``run``.
    """

    number: int

    @property
    def unsent_ms(self) -> float:
        """Milliseconds of audio that were played to this stream and have not left for the carrier."""
        ...

    async def run(self, emit: Emit, emit_audio: EmitAudio) -> None:
        """Read until the stream is over; the last event is always ``StreamStopped`` (unless ``run`` is cancelled)."""
        ...

    def perform(self, command: StreamCommand) -> None:
        """Queue a command for the carrier, in order, without waiting."""
        ...

    def end(self, cause: StopCause) -> None:
        """End the stream now, from our side: ``run`` emits ``StreamStopped`` with this cause and returns."""
        ...


class Exchange(Protocol):
    """The calls of this node, as a carrier sees them. Nothing here waits for a model."""

    draining: bool

    def offer(self, incoming: IncomingCall) -> Plan:
        """Decide what happens to a call; a repeated delivery of one visit gets the same plan."""
        ...

    async def on_record(self, call_sid: str) -> None:
        """Wait until a call that was taken is on its record, so that no crash makes it forgotten; not for long."""
        ...

    def continuation(self, incoming: IncomingCall, asked: ContinuationAsked) -> Plan:
        """Say what is next after a ``Connect`` or a ``Dial``."""
        ...

    def report(self, call_sid: str, status: str) -> None:
        """Take note of the carrier's status of a call; they come late, doubled and out of order."""
        ...

    def apology(self, incoming: IncomingCall, error: str) -> Plan:
        """What a caller hears when nothing else works; ``error`` is the carrier's code or our kebab-case reason."""
        ...

    async def carry(self, start: StreamStart, stream: StreamSide) -> None:
        """Run a stream as part of its call until it is over.

        Raises:
            TokenError: before anything else has happened, when the stream may not be part of that call.
        """
        ...
