"""What happens in a live call, told as it happens: entries of its log, but for audio, to whoever watches.

The call pays for it with a look at each entry's type; everything else happens when a watcher gets its turn. A watcher
who is too slow misses the oldest entries and is told how many, so a stalled browser can't hold on to memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from gateway.call.commands import Command
from gateway.call.events import (
    AgentAudio,
    AgentAudioDone,
    AgentTranscribed,
    CallerAudio,
    CallerTranscribed,
    Event,
    MarkReached,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
)
from gateway.call.reason import EndReason

STORY: Final = 50
"""Entries that a late watcher is still told of."""
BACKLOG: Final = 1000
"""Entries that may wait for one watcher."""

AUDIO: Final = frozenset({CallerAudio, AgentAudio})
_MOVING: Final = frozenset({AgentTranscribed, CallerTranscribed, AgentAudioDone, MarkReached})
"""What changes the call's turns and is told as such: the turns themselves say it all."""


@dataclass(frozen=True, slots=True)
class Told:
    """An entry of the log: its number, seconds since the call began, the event and what was done because of it."""

    number: int
    at: float
    event: Event
    commands: tuple[Command, ...]


class Watch:
    """One watcher's view of a call, from :meth:`Feed.watch`; for one task."""

    def __init__(self, feed: Feed, story: list[Told]) -> None:
        self.missed = 0
        """Entries that were thrown away because they waited for too long."""
        self._feed = feed
        self._entries = deque(story)
        self._news = asyncio.Event()
        self._news.set()

    async def next(self) -> list[Told]:
        """Wait for news and return them; an empty list says that turns have changed, or that the call is over."""
        await self._news.wait()
        self._news.clear()
        entries = [*self._entries]
        self._entries.clear()
        return entries

    @property
    def over(self) -> EndReason | None:
        """Why the call ended, once it has and everything was told."""
        return None if self._entries else self._feed.ended

    def take(self, told: Told | None) -> None:
        """Note an entry, or with None that something has changed."""
        if told is not None:
            if len(self._entries) >= BACKLOG:
                self._entries.popleft()
                self.missed += 1
            self._entries.append(told)
        self._news.set()

    def close(self) -> None:
        """Stop watching."""
        self._feed.forget(self)


class Feed:
    """The entries of one call's log, for watchers on the event loop's thread."""

    __slots__ = ("_story", "_watches", "ended")

    def __init__(self) -> None:
        self.ended: EndReason | None = None
        self._story: deque[Told] = deque(maxlen=STORY)
        self._watches: tuple[Watch, ...] = ()

    def take(self, number: int, at: float, event: Event, commands: list[Command]) -> None:
        """Tell of an entry; the caller has left out what is ``AUDIO``."""
        told = None
        if type(event) not in _MOVING:
            told = Told(number, at, event, tuple(commands))
            if commands or not _is_passing(event):
                self._story.append(told)
        for watch in self._watches:
            watch.take(told)

    def close(self, reason: EndReason) -> None:
        """Say that the call is over. The story goes: who comes now reads the record."""
        self.ended = reason
        self._story.clear()
        for watch in self._watches:
            watch.take(None)

    def watch(self, after: int = 0) -> Watch:
        """Watch from the entry behind number ``after`` on, as far as it is still known; close it in the end."""
        watch = Watch(self, [told for told in self._story if told.number > after])
        self._watches = (*self._watches, watch)
        return watch

    def forget(self, watch: Watch) -> None:
        """Tell this watcher nothing more."""
        self._watches = tuple(other for other in self._watches if other is not watch)


def _is_passing(event: Event) -> bool:
    """Say whether an event is of interest only at its moment, and so not to who comes late."""
    match event:
        case SpeechStarted() | SpeechStopped() | ResponseStarted():
            return True
        case ResponseDone(status=status):
            return status not in {"failed", "incomplete"}
    return False
