"""Traces of calls, as a collector gets them."""

import sys
import uuid
from dataclasses import replace
from itertools import pairwise

import pytest
import structlog.testing

from gateway.call import events as e
from gateway.errors import SettingsError
from gateway.store.trace import Trace
from gateway.telemetry.tracing import Traces, traces_url
from tests.collector import Collector, Got
from tests.store.drama import Drama, healthy

CALL = "019abc12-0000-7000-8000-00000000002a"


def traced(drama: Drama, collector: Collector) -> list[Got]:
    """The spans that a collector has of a call, those that begin first first."""
    header = replace(drama.header, call_id=CALL)
    traces = Traces(collector.url + "/v1/traces", "api-key=secret,x=y", service="phones", node="node1")
    trace = Trace(header, "gpt-realtime", traces.send)
    for start in range(0, len(drama.raw), 13):
        trace.take(drama.raw[start : start + 13])
    traces.stop()
    return sorted(collector.spans, key=lambda span: span.began)


def eventful() -> Drama:
    drama = healthy(1)
    drama.caller("My number is 555.")
    drama.tool("find_order", 0.8)
    drama.tool("book", 0.2, "The tool book failed. Tell the caller that this did not work, and offer another way.")
    drama.do(e.AgentChanged("reception", "billing"))
    drama.agent("It was shipped.", 6.0, heard_out=False)
    drama.run(0.5)
    drama.caller("Stop.", 0.8)
    drama.agent("", 0, audio=False, status="failed", code="rate_limit_exceeded")
    drama.agent("All right.", 1.0)
    drama.note("cost", total=0.25, usage={})
    drama.hang_up()
    return drama


def test_call_turn_model_and_tool() -> None:
    with Collector() as collector:
        spans = traced(eventful(), collector)
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.headers[0]["api-key"] == "secret"
    assert {span.trace for span in spans} == {uuid.UUID(CALL).hex}
    assert spans[0].resource["service.name"] == "phones"
    assert spans[0].resource["service.instance.id"] == "node1"

    by_id = {span.span: span for span in spans}
    assert len(by_id) == len(spans)
    [root] = [span for span in spans if not span.parent]
    assert root.name == "call desk"
    assert root.attributes["gen_ai.conversation.id"] == CALL
    assert root.attributes["gateway.reason"] == "caller-hung-up"
    assert root.attributes["gateway.cost_usd"] == 0.25
    assert root.attributes["gen_ai.usage.input_tokens"] > 0
    assert {"barge-in", "handoff", "model-ready", "stream-started", "stream-stopped"} <= {*root.events}
    assert not root.failed

    turns = [span for span in spans if span.name.startswith("turn ")]
    assert all(turn.parent == root.span for turn in turns)
    assert [turn.name for turn in turns] == [
        "turn agent", "turn caller", "turn agent", "turn caller", "turn agent", "turn caller", "turn agent",
        "turn agent",
    ]  # fmt: skip
    assert [turn.attributes.get("gateway.turn.cut", False) for turn in turns] == [False] * 4 + [True] + [False] * 3
    assert sum("gateway.turn.model_seconds" in turn.attributes for turn in turns) == 3

    tools = [span for span in spans if span.name.startswith("execute_tool ")]
    assert [(tool.attributes["gen_ai.tool.name"], tool.failed) for tool in tools] == [
        ("find_order", False), ("book", True),
    ]  # fmt: skip
    assert {tool.parent for tool in tools} == {turns[4].span}
    responses = [span for span in spans if span.name == "chat gpt-realtime"]
    assert len(responses) == 7
    assert [by_id[response.parent].name for response in responses] == ["turn agent"] * 7
    assert [each.attributes["error.type"] for each in responses if each.failed] == ["rate_limit_exceeded"]
    for span in spans:
        assert span.began <= span.ended
        if span.parent:
            assert by_id[span.parent].began <= span.began
    assert all(before.began <= after.began for before, after in pairwise(turns))


def test_a_lost_model_is_a_failed_call() -> None:
    drama = Drama().begin()
    drama.do(e.ResponseStarted("resp1"))
    drama.do(e.AgentLost(1, "model-lost"))
    drama.do(e.StreamStopped(1, "closed"))
    drama.do(e.ContinuationAsked("in-progress"))
    with Collector() as collector:
        spans = traced(drama, collector)
    [root] = [span for span in spans if not span.parent]
    assert root.failed
    assert root.attributes["error.type"] == "model-lost"
    [response] = [span for span in spans if span.parent]
    assert response.parent == root.span
    assert response.attributes["gen_ai.response.finish_reasons"] == ["unended"]


def test_no_words_arguments_or_numbers_of_people() -> None:
    drama = Drama().begin()
    drama.agent("A zebra for you.", 1.0)
    drama.caller("My number is 4155550123.")
    drama.do(e.DigitPressed("7"))
    drama.do(e.ToolStarted("zebra for +14155550123", '{"zebra": 1}', "call1"))
    drama.do(e.ToolEnded("zebra for +14155550123", "zebra found", "call1"))
    drama.agent("", 0, audio=False, status="failed", code="the zebra failed")
    drama.do(e.HangUpAsked("agent", "zebra done"))
    drama.run(20)
    drama.hang_up()
    with Collector() as collector:
        spans = traced(drama, collector)
    sent = b"".join(collector.raw)
    assert len(spans) >= 5
    assert b"zebra" not in sent
    assert b"4155550123" not in sent


def test_a_collector_that_refuses_is_told_of_in_our_logs() -> None:
    drama = healthy(0)
    drama.hang_up()
    with Collector(status=400) as collector, structlog.testing.capture_logs() as logs:
        assert traced(drama, collector)
    assert [entry["event"] for entry in logs] == ["traces-not-exported"]


def test_a_fault_in_a_trace_is_no_fault_of_the_call() -> None:
    sent: list[object] = []
    with structlog.testing.capture_logs() as logs:
        Trace(healthy(0).header, "m", sent.extend).take([("event", 1, 0.0, None, None, ())])
    assert [entry["event"] for entry in logs] == ["call-not-traced"]
    assert not sent


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(SettingsError, match=r"install the extra otel: pip install telephony-voice-gateway\[otel\]"):
        Traces("http://127.0.0.1:4318/v1/traces")


@pytest.mark.parametrize(
    ("base", "whole", "url"),
    [
        ("", "", ""),
        ("http://c:4318", "", "http://c:4318/v1/traces"),
        ("http://c/otlp/", "", "http://c/otlp/v1/traces"),
        ("http://c:4318", "http://d/in", "http://d/in"),
    ],
)
def test_where_traces_go(base: str, whole: str, url: str) -> None:
    assert traces_url(base, whole) == url
