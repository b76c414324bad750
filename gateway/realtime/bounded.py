"""The SDK's session, kept from growing with the call.

Left alone, it queues every event of the model, read or not (2 MB for a minute of speech), and copies the whole history
of the conversation for every word of it (hazards H14 to H16).
"""

from __future__ import annotations

from typing import Final

from agents.realtime import (
    RealtimeAgentEndEvent,
    RealtimeAgentStartEvent,
    RealtimeAudio,
    RealtimeAudioEnd,
    RealtimeHistoryAdded,
    RealtimeHistoryUpdated,
    RealtimeRawModelEvent,
    RealtimeSession,
    RealtimeSessionEvent,
)
from agents.realtime.items import RealtimeItem

KEPT: Final = 32
"""Items of the history that are kept; older ones are not touched any more by what comes."""
UNREAD: Final = frozenset(
    {
        RealtimeRawModelEvent,  # heard at arrival, by a listener of the model
        RealtimeAudio,
        RealtimeAudioEnd,
        RealtimeAgentStartEvent,
        RealtimeAgentEndEvent,
        RealtimeHistoryAdded,  # the call has its own transcript
        RealtimeHistoryUpdated,
    }
)
"""Events that nobody reads, and that are not queued."""


class BoundedSession(RealtimeSession):
    """A session of the SDK's that holds the end of its history, and queues only what is read."""

    @property
    def _history(self) -> list[RealtimeItem]:
        return self._newest

    @_history.setter
    def _history(self, items: list[RealtimeItem]) -> None:
        self._newest = items if len(items) <= KEPT else items[-KEPT:]

    async def _put_event(self, event: RealtimeSessionEvent) -> bool:
        if type(event) in UNREAD:
            return not (self._closing or self._closed)
        return await super()._put_event(event)
