"""One call of this node, and how it is made: its policy, its log, its bridge between carrier and agent."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

from gateway import __version__
from gateway.bridge import AgentSide, Bridge, CarrierApi
from gateway.call.call import Call
from gateway.call.events import Event
from gateway.call.incoming import IncomingCall
from gateway.call.plan import Plan
from gateway.call.playout import PlaybackState
from gateway.call.policy import Policy
from gateway.call.reason import EndReason
from gateway.config.directory import Directory
from gateway.config.resolved import LineConfig
from gateway.config.units import in_seconds
from gateway.store.joined import recording_began
from gateway.store.log import CallLog, LogWriter, Tap
from gateway.store.log_lines import Header, path_of
from gateway.store.recording.recorder import MASKED, PAUSED, RESUMED
from gateway.store.recording.shelf import Recordings
from gateway.tools.context import ToolContext


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


class CallMaker:
    """Makes the calls of a node.

    Args:
        logs: writes the calls' logs.
        agents: opens model sessions.
        carrier: returns the API of the carrier that an account belongs to; None where there is none to be had.
        recordings: records the calls of lines that want it; None records none.
        follow: says who else follows the log of a call that begins.
        price: says what a call cost that is over.
        clock: monotonic seconds.
        wall: Unix seconds; for expiry and display only.
    """

    def __init__(
        self,
        *,
        logs: LogWriter,
        agents: Agents,
        carrier: Callable[[str], CarrierApi | None],
        recordings: Recordings | None = None,
        follow: Follow = nobody,
        price: Price = unpriced,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._logs = logs
        self._agents = agents
        self._carrier = carrier
        self._recordings = recordings
        self._follow = follow
        self._price = price
        self._clock = clock
        self._wall = wall

    def make(
        self,
        incoming: IncomingCall,
        line: LineConfig,
        directory: Directory,
        *,
        call_id: str,
        return_to: str,
        on_finish: Callable[[EndReason], None],
    ) -> LiveCall:
        """Make a call, whose log begins now; its bridge is not run yet.

        Args:
            incoming: what the carrier said of it.
            line: answers it.
            directory: the snapshot that the call keeps.
            call_id: names it.
            return_to: where it goes in place of its end; empty: nowhere.
            on_finish: told once, when its record is closed.
        """
        policy = _policy(incoming, line, return_to)
        clock = self._clock
        zero = clock()
        header = self._header(incoming, line, policy, snapshot=directory.hash, call_id=call_id, zero=zero)

        def open_side(session: int) -> AgentSide:
            context = _context(live, bridge)
            return self._agents.open(directory, line, context, session=session, playback=bridge.playback)

        bridge = Bridge(
            call=Call(policy, 0.0),
            log=self._open_log(header, line),
            call_sid=incoming.call_sid,
            # Whole microseconds since the call began: what the log holds is exactly what the call was told.
            clock=lambda: int((clock() - zero) * 1e6) / 1e6,
            open_side=open_side,
            carrier=self._carrier(incoming.account_sid),
            on_finish=on_finish,
            price=partial(self._price, directory, line),
        )
        recorded = line.recording.mode != "off" and self._recordings is not None
        live = LiveCall(call_id, incoming, line, directory, bridge, recorded=recorded)
        return live

    def _header(
        self, incoming: IncomingCall, line: LineConfig, policy: Policy, *, snapshot: str, call_id: str, zero: float
    ) -> Header:
        return Header(
            call_id=call_id,
            call_sid=incoming.call_sid,
            line=line.id,
            snapshot=snapshot,
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

    def _open_log(self, header: Header, line: LineConfig) -> CallLog:
        recording = line.recording
        taps = tuple(self._follow(header))
        if recording.mode == "off" or self._recordings is None:
            return self._logs.open(header, taps)
        began = partial(recording_began, path_of(self._logs.folder, header.call_id), header)
        call_log = self._logs.open(header, (self._recordings.record(header.call_id, began), *taps))
        consent = {"consent": recording.consent, "sha256": sha256(recording.consent.encode()).hexdigest()}
        call_log.note(0.0, "recorded", {**consent, "notice": recording.notice, "reason": recording.reason})
        return call_log


def _policy(incoming: IncomingCall, line: LineConfig, return_to: str) -> Policy:
    policy = replace(line.policy(line.variables(incoming.vars)), return_to=return_to)
    if incoming.over_sip:
        return policy
    # Nobody else's telephone system can be asked to make the call.
    return replace(policy, transfers={name: replace(to, refer=False) for name, to in policy.transfers.items()})


def _context(live: LiveCall, bridge: Bridge) -> ToolContext:
    """Return what the tools of a call may know of it, and how they ask something of it from their thread."""
    loop = asyncio.get_running_loop()

    def ask(event: Event) -> None:
        loop.call_soon_threadsafe(bridge.emit, event)

    line, incoming = live.line, live.incoming
    return ToolContext(
        call_id=live.call_id,
        line=line.id,
        ask=ask,
        caller=incoming.caller,
        called=incoming.called,
        language=line.language,
        timezone=line.timezone,
        targets=tuple(line.transfer),
        vars=line.variables(incoming.vars),
        notes=tuple(line.notes),
    )


def new_call_id(wall: float) -> str:
    """Return a UUID of version 7 (RFC 9562): sortable by the time at which the call began."""
    value = (int(wall * 1000) & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
