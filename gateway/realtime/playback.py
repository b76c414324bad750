"""What the SDK is told about the caller's ear."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.realtime import RealtimePlaybackState, RealtimePlaybackTracker

if TYPE_CHECKING:
    from agents.realtime import RealtimeAudioFormat

    from gateway.call.playout import PlaybackState


class LedgerTracker(RealtimePlaybackTracker):
    """A playback tracker that asks the call's ledger each time and remembers nothing itself.

    The SDK also reports to its tracker what it believes was played or interrupted; the ledger, which knows it from the
    carrier's marks, does not need to hear it (design rule 3).
    """

    def __init__(self, playback: Callable[[], PlaybackState]) -> None:
        super().__init__()
        self._playback = playback

    def get_state(self) -> RealtimePlaybackState:
        """The item at the ear, or the next unheard one at 0 ms; nothing where there is none."""
        state = self._playback()
        if state.item_id is None:
            return {"current_item_id": None, "current_item_content_index": None, "elapsed_ms": None}
        return {
            "current_item_id": state.item_id,
            "current_item_content_index": state.content_index,
            "elapsed_ms": state.heard_ms,
        }

    def on_play_bytes(self, item_id: str, item_content_index: int, bytes: bytes) -> None:  # noqa: A002 - the SDK's name
        """Nothing: only the ledger knows what was played."""

    def on_play_ms(self, item_id: str, item_content_index: int, ms: float) -> None:
        """Nothing: only the ledger knows what was played."""

    def on_interrupted(self) -> None:
        """Nothing: after a cut the ledger goes on naming the cut until the truncation has left."""

    def set_audio_format(self, format: RealtimeAudioFormat) -> None:  # noqa: A002 - the SDK's name
        """Nothing: the ledger counts in milliseconds."""
