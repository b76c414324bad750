"""Runs a call's log through the call core again and says where the core now decides differently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.call.call import Call
from gateway.call.policy import Policy
from gateway.errors import LogError
from gateway.store.log import Entry, Header, Line, TrackerRead, named_commands


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that came out otherwise: event ``number``, ``at`` seconds into the call."""

    number: int
    at: float
    event: str
    logged: Any
    replayed: Any


def replay(log: Iterable[Line], policy: Policy | None = None) -> Iterator[Difference]:
    """Yield every difference between what was decided and what this code (and ``policy``, if given) decides.

    Raises:
        LogError: the log does not begin with a header.
    """
    lines = iter(log)
    header = next(lines, None)
    if not isinstance(header, Header):
        raise LogError("the log does not begin with a header")
    call = Call(policy or header.policy, 0.0)
    for line in lines:
        match line:
            case Entry(number, at, event, logged, _):
                replayed = named_commands(call.handle(event, at))
                if replayed != logged:
                    yield Difference(number, at, type(event).__name__, logged, replayed)
            case TrackerRead(number, at, state):
                if (now := call.playback(at)) != state:
                    yield Difference(number, at, "TrackerRead", state, now)
            case _:
                pass
