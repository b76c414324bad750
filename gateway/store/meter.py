"""Meters one call: the lines of its log, on the thread that writes them, become metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from gateway.audio.frames import SAMPLE_RATE
from gateway.call import events as e
from gateway.call.commands import Command, EndCall, Redirect
from gateway.call.reason import EndReason
from gateway.store.log_lines import Header
from gateway.store.story import Story, Wait, names_of, outcome
from gateway.telemetry.metrics import Metrics, bounded

FRAME_MS = 20
_OWN_REASONS = frozenset(
    {"silence", "max-duration", "drained", "caller-hung-up", "hung-up-early", "transferred", "operator-hung-up"}
)
log = structlog.get_logger()


class Meter:
    """One call's share in the metrics (:class:`gateway.store.log.Tap`)."""

    wants_audio = False

    def __init__(self, metrics: Metrics, header: Header) -> None:
        self._metrics = metrics
        self._header = header
        self._line = header.line
        self._story = Story(header)
        self._fastest = float("inf")
        self._latest = 0.0
        self._answered = False

    def take(self, lines: Sequence[tuple[Any, ...]]) -> None:
        """Count what the lines say; never raises, since a metric is worth no record."""
        try:
            for line in lines:
                self._take(line)
            self._metrics.barge_ins.labels(self._line).inc(len(self._story.barge_ins))
            self._story.forget()
            if self._latest:
                self._metrics.frame_lag_seconds.observe(self._latest)
                self._latest = 0.0
        except Exception:
            log.exception("call-not-metered", call_id=self._header.call_id)

    def _take(self, line: tuple[Any, ...]) -> None:
        match line[0]:
            case "frames":
                _, _, timestamp_ms, size, moments, _ = line
                step, first = size / SAMPLE_RATE, timestamp_ms / 1000
                self._arrived([at - first - number * step for number, at in enumerate(moments)])
            case "event":
                _, _, at, event, commands, _ = line
                if type(event) is e.CallerAudio:
                    self._arrived([at - event.timestamp_ms / 1000])
                else:
                    self._story.feed(at, event, names_of(commands))
                    self._event(at, event, commands)
            case "settled":
                self._settled(line[2])
            case "note" if line[2] == "cost":
                self._metrics.cost_usd.labels(self._line).inc(line[3]["total"])
            case "closed":
                _, at, reason, summary = line
                for turn in summary["turns"]:
                    self._settled(turn)
                self._closed(at, reason)

    def _arrived(self, offsets: list[float]) -> None:
        """Take frames that follow each other: by how many seconds our clock was ahead of the carrier's at each."""
        self._fastest = min(self._fastest, *offsets)
        self._latest = max(self._latest, max(offsets) - self._fastest)

    def _event(self, at: float, event: e.Event, commands: Sequence[Command]) -> None:
        metrics = self._metrics
        if commands:
            self._commands(commands)
        if not self._answered and self._story.first_audio is not None:
            self._answered = True
            metrics.answer_seconds.labels(self._line).observe(self._story.first_audio)
        match event:
            case e.AgentReady(1):
                metrics.model_connect_seconds.observe(at)
            case e.StreamStarted():
                self._fastest = float("inf")
            case e.ToolEnded():
                if ended := [tool for tool in self._story.tools if tool.ended == at]:
                    metrics.tool_seconds.labels(ended[-1].tool, outcome(ended[-1])).observe(at - ended[-1].began)
            case e.AudioDropped(side, milliseconds):
                metrics.frames_dropped.labels(side).inc(milliseconds / FRAME_MS)
            case e.AgentErred(code) | e.AgentLost(_, code) | e.ResponseDone(_, "failed", code):
                metrics.model_errors.labels(bounded(code or "unknown")).inc()
            case e.CarrierFailed(operation):
                metrics.carrier_requests.labels(bounded(operation), "failed").inc()
            case e.AgentChanged(before) if before:
                metrics.handoffs.labels(self._line).inc()
            case e.GuardrailTripped():
                metrics.guardrail_trips.labels(self._line).inc()
            case e.CallerTranscribed(failed=True):
                metrics.transcriptions_failed.labels(self._line).inc()
            case _:
                pass
        if isinstance(event, e.ResponseDone):
            for kind, amount in event.usage.items():
                metrics.tokens.labels(bounded(kind)).inc(amount)

    def _commands(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, EndCall | Redirect):
                op = "hang-up" if isinstance(command, EndCall) else "redirect"
                self._metrics.carrier_requests.labels(op, "asked").inc()

    def _settled(self, turn: Any) -> None:
        if (wait := self._story.settle(turn)) is None:
            return
        # Late echoes may still correct this one; those before it are as they were.
        waits = self._story.waits
        while waits[0] is not wait:
            self._observe(waits.pop(0))

    def _observe(self, wait: Wait) -> None:
        self._metrics.first_audio_seconds.labels(self._line).observe(wait.sent)
        for part, seconds in wait.parts().items():
            self._metrics.turn_seconds.labels(self._line, part).observe(seconds)

    def _closed(self, at: float, reason: EndReason) -> None:
        for wait in self._story.waits:
            self._observe(wait)
        self._metrics.call_seconds.labels(self._line).observe(at)
        labels = (self._line, bounded(self._header.direction), reason.result, known(reason))
        self._metrics.calls.labels(*labels).inc()


def known(reason: EndReason) -> str:
    """Return a reason as a label. Agents give reasons of their own for hanging up: those are one."""
    if reason.result == "success" and reason.reason not in _OWN_REASONS:
        return "hung-up-by-us"
    return bounded(reason.reason)
