"""The metrics of a node, for Prometheus. No label ever holds a number, an id of a call or words of people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from gateway import __version__

_WAITS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)
_LAGS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 2.0)
_TOOLS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
_CALLS = (5, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600)
_CODE = re.compile(r"[a-z0-9_.-]{1,48}")


@dataclass(frozen=True, slots=True)
class Load:
    """What a node does right now.

    Attributes:
        live: calls that are not over, by line.
        capacity: how many it can carry.
        draining: whether it takes no new ones.
        unwritten: how often something could not be written since the start: ``logs``, ``recordings``.
        refused: requests without a signature of the carrier's, by kind: ``webhook``, ``websocket``.
        warnings: what the log warned of since the start, by event.
        tasks: asyncio's tasks; they return to where they were when calls are over.
    """

    live: Mapping[str, int]
    capacity: int
    draining: bool
    unwritten: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    tasks: int = 0


class Metrics:
    """Every metric of a node; names end as Prometheus wants them.

    Args:
        node: this node's name, a label of what is counted right now.
        load: asked at each scrape.
    """

    def __init__(self, node: str, load: Callable[[], Load]) -> None:
        registry = self._registry = CollectorRegistry()
        registry.register(_Now(node, load))
        ProcessCollector(registry=registry)  # memory, open files and CPU, where the system has /proc

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"gateway_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: Iterable[float] = _WAITS) -> Histogram:
            return Histogram(f"gateway_{name}", text, labels, buckets=tuple(buckets), registry=registry)

        self.calls = counter("calls", "Calls that ended.", "line", "direction", "result", "reason")
        self.call_seconds = histogram("call_seconds", "How long calls were.", "line", buckets=_CALLS)
        self.answer_seconds = histogram("answer_seconds", "From the webhook to the agent's first frame.", "line")
        self.first_audio_seconds = histogram(
            "first_audio_seconds", "From the caller's last sound to the first frame of the answer sent.", "line"
        )
        self.turn_seconds = histogram(
            "turn_seconds", "What callers wait for: detection, gateway, tool, model, playout.", "line", "part"
        )
        self.barge_ins = counter("barge_ins", "Callers who cut the agent short.", "line")
        self.frames_dropped = counter("frames_dropped", "Frames of 20 ms that a side could not take.", "side")
        self.frame_lag_seconds = histogram(
            "frame_lag_seconds",
            "The latest of a caller's frames within half a second, against the call's fastest.",
            buckets=_LAGS,
        )
        self.tool_seconds = histogram("tool_seconds", "How long tools ran.", "tool", "outcome", buckets=_TOOLS)
        self.model_connect_seconds = histogram("model_connect_seconds", "From the webhook to a model that is ready.")
        self.model_errors = counter("model_errors", "Errors of the model, failed responses, lost sessions.", "code")
        self.carrier_requests = counter("carrier_requests", "Requests to the carrier's API.", "op", "status")
        self.handoffs = counter("handoffs", "Handoffs between agents.", "line")
        self.guardrail_trips = counter("guardrail_trips", "Guardrails that tripped.", "line")
        self.transcriptions_failed = counter("transcriptions_failed", "Turns of callers without words.", "line")
        self.tokens = counter("tokens", "Tokens of the model.", "kind")
        self.cost_usd = counter("cost_usd", "What calls cost, by the table of prices.", "line")
        self.config_reloads = counter("config_reloads", "Edits of the folder of lines.", "outcome")
        self.config_seconds = Gauge(
            "gateway_config_swapped_timestamp_seconds", "When the snapshot in effect was taken.", registry=registry
        )
        self._config = Info("gateway_config", "The snapshot in effect.", registry=registry)
        Info("gateway_build", "This program.", registry=registry).info({"version": __version__})

    def snapshot(self, name: str, at: float) -> None:
        """Say which snapshot of the lines is in effect since a moment (Unix time)."""
        self._config.info({"snapshot": name})
        self.config_seconds.set(at)

    def exposition(self) -> tuple[bytes, str]:
        """Return all of it in Prometheus' text format, and the type of that."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Now(Collector):
    """What is so at the moment of the scrape."""

    def __init__(self, node: str, load: Callable[[], Load]) -> None:
        self._node = node
        self._load = load

    def describe(self) -> Iterator[Metric]:
        yield from ()  # nothing is asked before the node is complete

    def collect(self) -> Iterator[Metric]:
        load = self._load()
        live = GaugeMetricFamily("gateway_calls_live", "Calls that are not over.", labels=["line", "node"])
        for line, count in load.live.items():
            live.add_metric([line, self._node], count)
        yield live
        for name, text, value in (
            ("gateway_calls_capacity", "Calls that this node can carry.", load.capacity),
            ("gateway_draining", "Whether this node takes no new calls.", int(load.draining)),
            ("gateway_tasks", "Tasks of the event loop.", load.tasks),
        ):
            family = GaugeMetricFamily(name, text, labels=["node"])
            family.add_metric([self._node], value)
            yield family
        for name, text, label, counts in (
            ("gateway_unwritten", "What could not be written, or moved.", "what", load.unwritten),
            ("gateway_signatures_refused", "Requests that the carrier did not sign.", "kind", load.refused),
            ("gateway_warnings", "What the log warned of.", "event", load.warnings),
        ):
            counter = CounterMetricFamily(name, text, labels=[label])
            for what, count in counts.items():
                counter.add_metric([what], count)
            yield counter


def bounded(code: str) -> str:
    """Return a code of somebody else's as a label: ``other`` where it is no code but a text."""
    return code if _CODE.fullmatch(code) else "other"
