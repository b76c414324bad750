"""The feed of a call: what watchers are told, and what a slow one misses."""

import anyio
import pytest

from gateway.call.commands import Clear
from gateway.call.events import AgentChanged, DigitPressed, MarkReached, ToolStarted
from gateway.call.reason import EndReason
from gateway.store.feed import BACKLOG, STORY, Feed

pytestmark = pytest.mark.anyio


async def test_a_watcher_is_told_in_order_and_a_mark_only_says_that_turns_have_moved():
    feed = Feed()
    watch = feed.watch()
    assert await watch.next() == []
    feed.take(1, 0.5, AgentChanged("", "triage"), [])
    feed.take(2, 0.6, MarkReached("1.0:1"), [])
    feed.take(3, 0.7, ToolStarted("look", "{}"), [Clear()])
    told = await watch.next()
    assert [(one.number, one.at) for one in told] == [(1, 0.5), (3, 0.7)]
    assert told[1].commands == (Clear(),)
    feed.take(4, 0.8, MarkReached("1.0:2"), [])
    assert await watch.next() == []
    with anyio.move_on_after(0.01) as waited:
        await watch.next()
    assert waited.cancelled_caught


async def test_who_comes_late_is_told_the_story_from_where_they_were():
    feed = Feed()
    for number in range(1, 6):
        feed.take(number, float(number), DigitPressed("1"), [])
    assert [told.number for told in await feed.watch().next()] == [1, 2, 3, 4, 5]
    assert [told.number for told in await feed.watch(after=3).next()] == [4, 5]


async def test_a_slow_watcher_misses_the_oldest_and_knows_how_many():
    feed = Feed()
    slow = feed.watch()
    for number in range(BACKLOG + 10):
        feed.take(number, 0.0, DigitPressed("1"), [])
    told = await slow.next()
    assert len(told) == BACKLOG
    assert told[0].number == slow.missed == 10
    assert len(await feed.watch().next()) == STORY


async def test_the_end_wakes_everybody_and_a_closed_watch_hears_nothing():
    feed = Feed()
    watch, gone = feed.watch(), feed.watch()
    await gone.next()
    gone.close()
    feed.take(1, 0.0, DigitPressed("1"), [])
    feed.close(EndReason("success", "caller-hung-up"))
    told, over = [], watch.over
    while over is None:  # something is still to be told
        told += await watch.next()
        over = watch.over
    assert (len(told), over) == (1, EndReason("success", "caller-hung-up"))
    with anyio.move_on_after(0.01) as waited:
        await gone.next()
    assert waited.cancelled_caught
    late = feed.watch()
    assert await late.next() == []
    assert late.over is not None
