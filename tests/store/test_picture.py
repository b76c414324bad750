"""The picture of a call."""

from pathlib import Path
from xml.etree import ElementTree as ET

from gateway.call import events as e
from gateway.store.picture import draw, longest_step
from gateway.store.recording.shelf import Recordings
from gateway.store.story import Story, tell
from gateway.store.waveform import measure
from tests.store.drama import Drama, healthy

SVG = "{http://www.w3.org/2000/svg}"


def eventful() -> Drama:
    drama = healthy(1)
    drama.caller("Where is my <order> & co?")
    drama.tool("find_order", 0.8)
    drama.do(e.AgentChanged("reception", "billing"))
    drama.agent("It was shipped on Monday \x00 and will arrive soon.", 6.0, heard_out=False)
    drama.run(0.5)
    drama.caller("Stop.", 0.8)
    drama.agent("All right.", 1.0)
    drama.hang_up()
    return drama


def test_the_recording_begins_where_the_fastest_frame_says() -> None:
    """On a busy machine the stream's start is taken late, and the first frames with it."""
    story = Story(Drama().header)
    assert story.zero == 0.0
    story.feed(0.54, e.StreamStarted("MZ", 1), [])
    assert story.zero == 0.54
    for at, timestamp_ms in ((0.55, 66), (0.55, 86), (0.61, 326), (0.9, 346)):
        story.feed(at, e.CallerAudio("", 160, timestamp_ms), ["Hear"])
    assert round(story.zero, 3) == 0.284


def test_everything_is_on_it() -> None:
    story = tell(eventful().lines)
    root = ET.fromstring(draw(story))
    classes = [each.get("class") for each in root.iter() if each.get("class")]
    titles = [each.text or "" for each in root.iter(f"{SVG}title")]
    assert classes.count("turn caller") == 3
    assert classes.count("turn agent") == 4
    assert {"unheard", "barge-in", "handoff", "tool", "stream"} <= {*classes}
    assert "find_order: 800 ms" in titles
    assert "handoff from reception to billing" in titles
    assert any("Where is my <order> & co?" in title for title in titles)
    [slow] = [title for title in titles if "tool 8" in title]
    assert slow.startswith("waited 17")
    assert "detection 500" in slow


def test_without_words_nobody_is_quoted() -> None:
    drawn = draw(tell(eventful().lines), words=False)
    assert "order" not in drawn.replace("find_order", "").replace("paint-order", "")
    assert "shipped" not in drawn


def test_a_recorded_call_has_waveforms(tmp_path: Path) -> None:
    drama = eventful()
    recordings = Recordings(tmp_path)
    recorder = recordings.record("0193-call")
    recorder.take(drama.raw)
    kept = recordings.find("0193-call")
    assert kept is not None
    story = tell(drama.lines)
    waveform = measure(kept, longest_step(story))
    assert abs(waveform.seconds - (kept.size - 58) / 16000) <= waveform.step
    assert max(waveform.caller) == 0
    spoken = sum(peak > 0.1 for peak in waveform.agent) * waveform.step
    assert abs(spoken - sum(turn.heard_ms for turn in story.turns) / 1000) < 0.15
    waves = [
        each.get("d")
        for each in ET.fromstring(draw(story, waveform)).iter(f"{SVG}path")
        if "wave" in (each.get("class") or "")
    ]
    assert [bool(wave) for wave in waves] == [False, True]


def test_a_long_call_is_no_wider_than_a_screenful_of_screens() -> None:
    drama = healthy(0)
    drama.frames = False
    drama.call.policy = drama.policy
    for _ in range(30):
        drama.run(50)
        drama.caller("Hm.", 1.0)
        drama.agent("Yes.", 1.0)
    drama.hang_up()
    assert int(ET.fromstring(draw(tell(drama.lines))).get("width") or 0) <= 24200


def test_a_call_that_was_never_closed_has_a_picture_too() -> None:
    assert "not closed" in draw(tell(healthy().lines))
