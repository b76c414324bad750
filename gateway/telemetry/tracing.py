"""Spans for OpenTelemetry, over OTLP/HTTP. No span ever holds a number, words, digits or arguments of people.

The SDK is the extra ``otel``, imported where spans are wanted alone. It has its own thread for sending and a bounded
queue before that: a collector that is away costs spans and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import structlog

from gateway import __version__
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

Value: TypeAlias = str | bool | int | float | Sequence[str]
Kind: TypeAlias = Literal["SERVER", "CLIENT", "INTERNAL"]
TRACES_PATH = "/v1/traces"
_NANO = 1_000_000_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """One span of a trace; ``began`` and ``ended`` are Unix seconds, ``parent`` 0 for the root.

    ``events`` are moments with names and attributes, ``error`` is what kind of error the span ended in, or empty.
    """

    trace: int
    span: int
    parent: int
    name: str
    kind: Kind
    began: float
    ended: float
    attributes: Mapping[str, Value]
    events: tuple[tuple[float, str, Mapping[str, Value]], ...] = field(default=())
    error: str = ""


class Traces:
    """Sends spans to a collector.

    Args:
        endpoint: the URL that takes traces, with its path.
        headers: what each request brings, as ``name=value,name=value``.
        service: the name of this service.
        node: the name of this node.

    Raises:
        SettingsError: the extra ``otel`` is not installed.
    """

    def __init__(self, endpoint: str, headers: str = "", *, service: str = "gateway", node: str = "") -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter  # noqa: PLC0415
            from opentelemetry.util.re import parse_env_headers  # noqa: PLC0415
        except ImportError:
            raise SettingsError(
                "OTEL_EXPORTER_OTLP_ENDPOINT: install the extra otel: pip install telephony-voice-gateway[otel]"
            ) from None

        class Telling(SpanExporter):
            """Says in our own logs when spans could not be sent."""

            def export(self, spans: Sequence[ReadableSpan]) -> Any:
                result = exporter.export(spans)
                if result.name != "SUCCESS":
                    log.warning("traces-not-exported", spans=len(spans), remedy="see OTEL_EXPORTER_OTLP_ENDPOINT")
                return result

            def shutdown(self) -> None:
                exporter.shutdown()  # type: ignore[no-untyped-call]

        _quiet("opentelemetry")
        exporter = OTLPSpanExporter(endpoint, headers=parse_env_headers(headers, liberal=True))
        self._processor: SpanProcessor = BatchSpanProcessor(Telling())
        self._resource = Resource.create(
            {"service.name": service, "service.version": __version__, "service.instance.id": node}
        )

    def send(self, spans: Iterable[Span]) -> None:
        """Queue spans; what does not fit is lost."""
        for span in spans:
            self._processor.on_end(self._readable(span))

    def stop(self) -> None:
        """Send what is queued, and end the thread. May wait for the network."""
        self._processor.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        from opentelemetry.sdk.trace import Event, ReadableSpan  # noqa: PLC0415
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415

        def context(number: int) -> SpanContext:
            return SpanContext(span.trace, number, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

        return ReadableSpan(
            name=span.name,
            context=context(span.span),
            parent=context(span.parent) if span.parent else None,
            resource=self._resource,
            attributes={**span.attributes, **({"error.type": span.error} if span.error else {})},
            events=[Event(name, fields, _nano(at)) for at, name, fields in span.events],
            kind=SpanKind[span.kind],
            status=Status(StatusCode.ERROR if span.error else StatusCode.UNSET),
            start_time=_nano(span.began),
            end_time=_nano(span.ended),
            instrumentation_scope=InstrumentationScope("gateway", __version__),
        )


def traces_url(base: str, whole: str) -> str:
    """Return where traces go, as OpenTelemetry's environment has it; empty where they go nowhere.

    Args:
        base: OTEL_EXPORTER_OTLP_ENDPOINT, for all signals.
        whole: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, which is taken as it stands.
    """
    return whole or (base.rstrip("/") + TRACES_PATH if base else "")


def _quiet(name: str) -> None:
    """Have a library not write past our logs."""
    logger = logging.getLogger(name)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _nano(seconds: float) -> int:
    return round(seconds * _NANO)
