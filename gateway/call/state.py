"""The states of a call, and the one table of how they follow each other.

Everything that moves a call from one state to another stands in :data:`TRANSITIONS`; an event that has no entry leaves
the state as it is. Where an entry names several states, the call's circumstances choose (was the last word heard, does
the model live), never anything outside the table: :meth:`gateway.call.call.Call.handle` refuses a move that the table
lacks. ``docs/call.md`` shows the same table as a diagram, generated from here.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.call.events import (
    AgentLost,
    CallerAudio,
    ContinuationAsked,
    Event,
    HangUpAsked,
    MarkReached,
    ResponseDone,
    StatusChanged,
    StreamStarted,
    StreamStopped,
    TimePassed,
    ToolStarted,
    TransferAsked,
)


class State(StrEnum):
    """Where a call is between its first webhook and its closed record."""

    RINGING = "ringing"
    """Accepted: the carrier was told to open a stream, and the model is being connected."""
    TALKING = "talking"
    """A stream is open; caller and agent talk."""
    CLOSING = "closing"
    """The call is to end once the agent's last word was heard."""
    LEAVING = "leaving"
    """The caller is to be transferred once the agent's last word was heard."""
    FAILING = "failing"
    """The agent can't speak any more; the carrier is being told to say so."""
    DETACHED = "detached"
    """The stream is gone, the call may live: the carrier will ask what is next, or bring the call back, or end it."""
    MOVED = "moved"
    """The carrier is ringing, or has joined the caller to, somebody else; or their instructions are followed."""
    ENDED = "ended"
    """Over. The record is closed."""


_R, _T, _C, _L, _F, _D, _M, _E = State

TRANSITIONS: dict[State, dict[type[Event], tuple[State, ...]]] = {
    _R: {
        # A model that was lost while the phone rang is found out here.
        StreamStarted: (_T, _F),
        # <Connect> is over and no stream ever came.
        ContinuationAsked: (_M, _E),
        HangUpAsked: (_E,),
        StatusChanged: (_E,),
        TimePassed: (_E,),
    },
    _T: {
        StreamStarted: (_T,),
        # The carrier's question can overtake the news that the stream is gone.
        ContinuationAsked: (_D, _M, _E),
        StreamStopped: (_D,),
        HangUpAsked: (_C,),
        TransferAsked: (_L,),
        AgentLost: (_F,),
        ResponseDone: (_F,),
        ToolStarted: (_F,),
        TimePassed: (_C, _F),
        StatusChanged: (_E,),
    },
    _C: {
        StreamStarted: (_C,),
        # A call that was sent here by somebody goes back to them instead of ending.
        ContinuationAsked: (_M, _E),
        HangUpAsked: (_C,),
        CallerAudio: (_M,),
        MarkReached: (_M,),
        ResponseDone: (_M,),
        AgentLost: (_M,),
        TimePassed: (_C, _M, _E),
        StatusChanged: (_E,),
    },
    _L: {
        StreamStarted: (_L,),
        ContinuationAsked: (_M, _E),
        HangUpAsked: (_C,),
        # By REST the move is made at once; by the stream it is made when the carrier asks.
        CallerAudio: (_M,),
        MarkReached: (_M,),
        ResponseDone: (_M,),
        TransferAsked: (_M,),
        AgentLost: (_M,),
        TimePassed: (_M, _E),
        StatusChanged: (_E,),
    },
    _F: {
        StreamStarted: (_F,),
        ContinuationAsked: (_M, _E),
        TimePassed: (_E,),
        StatusChanged: (_E,),
    },
    _D: {
        StreamStarted: (_T, _F),
        ContinuationAsked: (_D, _M, _E),
        HangUpAsked: (_E,),
        TransferAsked: (_M,),
        TimePassed: (_E,),
        StatusChanged: (_E,),
    },
    _M: {
        # The carrier brought the caller back (a second visit, a transfer that failed).
        StreamStarted: (_T, _F),
        ContinuationAsked: (_M, _D, _E),
        HangUpAsked: (_E,),
        TimePassed: (_E,),
        StatusChanged: (_E,),
    },
    _E: {},
}

FINAL_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""Twilio's words for a call that is over."""


def diagram() -> str:
    """Return the table as a Mermaid state diagram, one arrow for each pair of states."""
    lines = ["stateDiagram-v2", "    [*] --> ringing"]
    for state, row in TRANSITIONS.items():
        arrows: dict[State, list[str]] = {}
        for event, targets in row.items():
            for target in targets:
                arrows.setdefault(target, []).append(event.__name__)
        lines += [
            f"    {state} --> {target}: {', '.join(names)}" for target, names in arrows.items() if target != state
        ]
    return "\n".join([*lines, "    ended --> [*]", ""])
