"""The SDK's session, kept from growing with the call.

Left alone, it queues every event of the model, read or not (2 MB for a minute of speech), copies the whole history of
the conversation for every word of it (hazards H14 to H16), and keeps what each response has used, every call of a tool,
and how long each item was.
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
from agents.realtime._default_tracker import ModelAudioTracker
from agents.realtime.items import RealtimeItem
from agents.realtime.model_events import RealtimeModelEvent, RealtimeModelTranscriptDeltaEvent

KEPT: Final = 8
"""Items and calls of tools that are kept; older ones are not touched any more by what comes."""
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


_ONLY_QUEUED: Final = frozenset({"raw_server_event", "audio", "audio_done"})
"""Kinds of the model's events of which the SDK makes events that are not read, and nothing else."""


class BoundedSession(RealtimeSession):
    """A session of the SDK's that holds the end of its history, and queues only what is read.

    The words of an item enter its history when they are complete, not one by one; guardrails get each as it comes.
    """

    async def on_event(self, event: RealtimeModelEvent) -> None:
        """Take an event of the model, as the SDK does."""
        if event.type in _ONLY_QUEUED:
            return
        if isinstance(event, RealtimeModelTranscriptDeltaEvent):
            self._take_words(event)
        else:
            await super().on_event(event)

    def _take_words(self, event: RealtimeModelTranscriptDeltaEvent) -> None:
        if self._closing or self._closed:
            return
        self._reconcile_output_response(event.response_id)
        self._record_output_guardrail_delta(
            event.item_id,
            event.delta,
            event.response_id,
            agent_snapshot=self._active_output_response_agent,
            output_response_generation=self._active_output_response_generation,
        )

    @property
    def _history(self) -> list[RealtimeItem]:
        return self._newest

    @_history.setter
    def _history(self, items: list[RealtimeItem]) -> None:
        self._newest = items if len(items) <= KEPT else items[-KEPT:]

    async def _put_event(self, event: RealtimeSessionEvent) -> bool:
        if type(event) is RealtimeAgentEndEvent:
            self._context_wrapper.usage.request_usage_entries.clear()  # they are summed up beside
            self._forget_tool_calls()
        if type(event) in UNREAD:
            return not (self._closing or self._closed)
        return await super()._put_event(event)

    def _forget_tool_calls(self) -> None:
        """Let go of calls of tools that are over; of these it is only known that their ids were used."""
        known, invocations = self._tool_invocation_routes, self._context_wrapper._tool_invocations
        for call_id in [*known][:-KEPT]:
            if call_id not in self._active_tool_invocations and call_id not in self._pending_tool_calls:
                del known[call_id]
                invocations.pop(call_id, None)


def forget_items(tracker: ModelAudioTracker) -> None:
    """Let go of how long items were that nobody can cut any more."""
    states = tracker._states  # the SDK offers no other way
    for key in [*states][:-KEPT]:
        del states[key]
