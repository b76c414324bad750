"""Where speech begins and ends, from the probabilities of windows of 32 ms; no network is loaded."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

vad = pytest.importorskip("gateway.local.vad", reason="the extra 'local' is not installed", exc_type=ImportError)
Heard, TurnDetector = vad.Heard, vad.TurnDetector


def changes(probabilities: Iterable[float], **rules: float) -> list[tuple[Any, float, float]]:
    detector = TurnDetector(**rules)
    found = [(detector.push(one), detector.position_ms, detector.onset_ms) for one in probabilities]
    return [one for one in found if one[0] is not None]


def test_speech_begins_after_three_windows_and_ends_after_the_silence():
    found = changes([0.1] * 10 + [0.9] * 30 + [0.05] * 30)
    assert [one[0] for one in found] == [Heard.STARTED, Heard.MAYBE_STOPPED, Heard.STOPPED]
    started, maybe, stopped = found
    assert started[1:] == (13 * 32, 10 * 32)
    assert maybe[1] == (40 + 7) * 32  # 224 ms: the first window at or after 200
    assert stopped[1] == (40 + 16) * 32  # 512 ms


def test_click_is_no_speech():
    assert changes([0.1] * 5 + [0.9] * 2 + [0.1] * 20) == []


def test_hysteresis_keeps_speech_together_and_a_pause_is_resumed():
    assert [one[0] for one in changes([0.9] * 5 + [0.4] * 40)] == [Heard.STARTED]
    found = changes([0.9] * 5 + [0.1] * 10 + [0.9] * 5 + [0.1] * 10)
    assert [one[0] for one in found] == [Heard.STARTED, Heard.MAYBE_STOPPED, Heard.RESUMED, Heard.MAYBE_STOPPED]


def test_threshold_and_silence_are_honoured():
    assert changes([0.6] * 20, threshold=0.7) == []
    assert changes([0.6] * 20, threshold=0.5)[0][0] is Heard.STARTED
    found = changes([0.9] * 5 + [0.0] * 10, silence_ms=100)
    assert [one[0] for one in found] == [Heard.STARTED, Heard.STOPPED]


@given(st.lists(st.floats(0, 1), max_size=300), st.floats(0.1, 0.9), st.integers(0, 1500))
def test_starts_and_stops_alternate(probabilities, threshold, silence_ms):
    found = changes(probabilities, threshold=threshold, silence_ms=silence_ms)
    ends = [one[0] for one in found if one[0] in {Heard.STARTED, Heard.STOPPED}]
    assert ends == [Heard.STARTED, Heard.STOPPED] * (len(ends) // 2) + [Heard.STARTED] * (len(ends) % 2)
    for change, position, onset in found:
        assert onset < position or change is Heard.STOPPED
