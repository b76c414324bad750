"""What a call on a line cost, for its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from gateway.config.directory import Directory
from gateway.config.resolved import LineConfig

OPENAI_HOST = "openai.com"


def price(
    realtime_url: str, directory: Directory, line: LineConfig, usage: Mapping[str, int], seconds: float
) -> Mapping[str, Any] | None:
    """Return the note of what a call cost by the table of its snapshot, in US dollars.

    None where that can't be said: the table lacks the model, or the model runs on another server than OpenAI's and the
    table is the one that was shipped, which knows none but those.

    Args:
        realtime_url: the model's server where the line names none; empty is OpenAI's.
        directory: the snapshot that the call began with.
        line: its line.
        usage: tokens by kind.
        seconds: how long it was.
    """
    server = urlsplit(line.model.url or realtime_url).hostname or OPENAI_HOST
    if directory.prices.shipped and not f".{server}".endswith(f".{OPENAI_HOST}"):
        return None
    cost = directory.prices.cost(line.model.name, usage, seconds)
    return None if cost is None else {"total": cost.total, **asdict(cost)}


def price_afterwards(
    realtime_url: str, directory: Directory, line: str, usage: Mapping[str, int], seconds: float
) -> Mapping[str, Any] | None:
    """Do the same for a call of which only the line's id is known; None too where there is no such line any more."""
    if line not in directory.lines:
        return None
    return price(realtime_url, directory, directory.lines[line], usage, seconds)
