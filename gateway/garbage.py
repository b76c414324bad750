"""When garbage is collected: never while it would stall calls, if that can be helped.

Most of what a call leaves behind is cyclic (the SDK's session, its model and their listeners know each other), so only
a full collection frees it. That looks at everything alive, 700 objects for each live call, and stops the event loop for
half a millisecond for each of them. So there are none by themselves: they wait for a moment without calls, or until so
much has ended that memory matters more than one stall.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final

import anyio
import structlog

LOOK_EVERY: Final = 5.0
MUST: Final = 1000
"""Calls that ended since the last full collection (some 30 MB) after which it is due, live calls or not."""
YOUNG: Final = 10_000
"""New objects that survive before the young ones are looked at: 0.3 ms."""
NEVER: Final = 1_000_000

log = structlog.get_logger()


def spare_the_calls() -> None:
    """Take what lives as long as the process, the half million objects of its modules, out of what is collected."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, NEVER)


async def collect(live: Callable[[], int], ended: Callable[[], int]) -> None:
    """Collect what ended calls leave behind, until cancelled.

    Args:
        live: how many calls there are now.
        ended: how many have ended since the process began.
    """
    done = 0
    while True:
        await anyio.sleep(LOOK_EVERY)
        waiting = ended() - done
        if waiting and (not live() or waiting >= MUST):
            done = ended()
            found = gc.collect()
            log.debug("garbage-collected", objects=found, calls=waiting)
