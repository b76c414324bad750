"""The SDK's playback tracker asks the ledger, and nobody else."""

import inspect

from agents.realtime import RealtimePlaybackTracker

from gateway.call.playout import PlaybackState
from gateway.realtime.playback import LedgerTracker


def test_it_says_what_the_ledger_says_each_time() -> None:
    states = [PlaybackState("item_1", 0, 20.0), PlaybackState("item_1", 0, 40.0), PlaybackState("item_2", 1, 0.0)]
    answers = iter(states)
    tracker = LedgerTracker(lambda: next(answers))
    for state in states:
        assert tracker.get_state() == {
            "current_item_id": state.item_id,
            "current_item_content_index": state.content_index,
            "elapsed_ms": state.heard_ms,
        }


def test_nothing_at_the_ear_is_nothing() -> None:
    tracker = LedgerTracker(lambda: PlaybackState(None, 0, 0.0))
    assert set(tracker.get_state().values()) == {None}


def test_nobody_else_can_change_its_mind() -> None:
    tracker = LedgerTracker(lambda: PlaybackState("item", 0, 500.0))
    before = tracker.get_state()
    tracker.set_audio_format("pcm16")
    tracker.on_play_bytes("other", 3, b"12345")
    tracker.on_play_ms("other", 3, 700)
    tracker.on_interrupted()
    assert tracker.get_state() == before


def test_every_method_of_the_sdks_tracker_is_answered_for() -> None:
    theirs = {name for name, _ in inspect.getmembers(RealtimePlaybackTracker, inspect.isfunction)}
    assert {name for name in theirs if not name.startswith("_")} <= set(vars(LedgerTracker))
