"""Structured logs: for people on a console, or one JSON object a line."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from typing import Any, Literal

import structlog

PERSONAL = "pii_"
"""Keys that begin so hold a number, words or digits of a person, and are masked."""
_SHOWN_AT_THE_END = 2
_WARNINGS = frozenset({"warning", "error", "critical"})


class Tally:
    """Counts what the log warns of, for the metrics; a part of the chain that each line goes through.

    Attributes:
        counts: warnings and errors since the start, by event.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, _logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Count a line."""
        if event["level"] in _WARNINGS:
            self.counts[event["event"]] += 1
        return event


def configure(level: str, style: Literal["json", "console"]) -> Tally:
    """Set up the logs of this process: everything goes to standard output's neighbour, stderr. Returns their tally."""
    tally = Tally()
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            tally,
            structlog.processors.TimeStamper(fmt="iso"),
            redact,
            structlog.processors.format_exc_info if style == "json" else _as_it_is,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    return tally


def redact(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Mask personal values: ``+14155550100`` becomes ``***00``."""
    for key, value in event.items():
        if key.startswith(PERSONAL):
            text = str(value)
            event[key] = "***" + text[-_SHOWN_AT_THE_END:] if text.startswith("+") else "***"
    return event


def _as_it_is(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
