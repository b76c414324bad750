"""Metrics of calls, as Prometheus reads them."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from gateway.call import events as e
from gateway.call.policy import BargeIn, Policy
from gateway.store.meter import Meter
from gateway.telemetry.metrics import Load, Metrics
from tests.store.drama import Drama, healthy


def metered(*dramas: Drama) -> dict[str, float]:
    """The samples that a scrape gives after these calls."""
    metrics = Metrics("node1", lambda: Load({"desk": 2}, 100, draining=False))
    for drama in dramas:
        meter = Meter(metrics, drama.header)
        for start in range(0, len(drama.raw), 13):
            meter.take(drama.raw[start : start + 13])
    return samples(metrics)


def samples(metrics: Metrics) -> dict[str, float]:
    text, _ = metrics.exposition()
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def eventful() -> Drama:
    drama = healthy(1)
    drama.caller()
    drama.tool("find_order", 0.8)
    drama.tool("book", 0.2, "The tool book failed. Tell the caller that this did not work, and offer another way.")
    drama.do(e.AgentChanged("reception", "billing"))
    drama.agent("It was shipped.", 6.0, heard_out=False)
    drama.run(0.5)
    drama.caller("Stop.", 0.8)
    drama.do(e.AudioDropped("agent", 100))
    drama.agent("", 0, audio=False, status="failed", code="rate_limit_exceeded")
    drama.agent("All right.", 1.0)
    drama.do(e.AgentErred("+14155550123 said something", "secret"))
    drama.note("cost", total=0.25, usage={})
    drama.hang_up()
    return drama


def test_an_eventful_call() -> None:
    found = metered(eventful(), healthy())
    expected: dict[str, Any] = {
        "gateway_calls_total{direction=inbound,line=desk,reason=caller-hung-up,result=success}": 1,
        "gateway_calls_live{line=desk,node=node1}": 2,
        "gateway_calls_capacity{node=node1}": 100,
        "gateway_draining{node=node1}": 0,
        "gateway_barge_ins_total{line=desk}": 1,
        "gateway_handoffs_total{line=desk}": 1,
        "gateway_frames_dropped_total{side=agent}": 5,
        "gateway_tool_seconds_count{outcome=ok,tool=find_order}": 1,
        "gateway_tool_seconds_count{outcome=failed,tool=book}": 1,
        "gateway_model_errors_total{code=rate_limit_exceeded}": 1,
        "gateway_model_errors_total{code=other}": 1,
        "gateway_cost_usd_total{line=desk}": 0.25,
        "gateway_model_connect_seconds_count{}": 2,
        "gateway_answer_seconds_count{line=desk}": 2,
        "gateway_call_seconds_count{line=desk}": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["gateway_tokens_total{kind=output_audio_tokens}"] == 80 * sum(
        isinstance(line[3], e.ResponseDone)
        for drama in (eventful(), healthy())
        for line in drama.raw
        if line[0] == "event"
    )
    assert 0.7 < found["gateway_tool_seconds_sum{outcome=ok,tool=find_order}"] < 0.9
    assert found["gateway_frame_lag_seconds_sum{}"] < 0.5


def test_a_turn_is_split_into_what_took_its_time() -> None:
    drama = Drama().begin()
    drama.agent("Hello.", 1.0)
    drama.caller(detection=0.7)
    drama.tool("find", 1.5)
    drama.agent("Here.", 1.0, think=0.3)
    drama.hang_up()
    found = metered(drama)
    parts = {
        part: found[f"gateway_turn_seconds_sum{{line=desk,part={part}}}"]
        for part in ("detection", "gateway", "tool", "model", "playout")
    }
    assert abs(parts["detection"] - 0.7) < 0.03
    assert parts["gateway"] == 0
    assert abs(parts["tool"] - 1.5) < 0.01
    assert abs(parts["model"] - 0.3) < 0.01
    assert 0.03 < parts["playout"] < 0.2
    whole = found["gateway_first_audio_seconds_sum{line=desk}"]
    assert abs(whole - sum(parts.values()) + parts["playout"]) < 0.001


def test_what_we_keep_a_caller_waiting_for_is_ours() -> None:
    policy = Policy("desk", greeting="Hello.", barge_in=BargeIn(allowed=False))
    drama = Drama(policy).begin()
    drama.agent("A long greeting that nobody may cut.", 4.0, heard_out=False)
    drama.caller("Hm.", 0.5)
    drama.run(5)
    drama.agent("Yes.", 1.0, think=0.2)
    drama.hang_up()
    found = metered(drama)
    assert found["gateway_turn_seconds_sum{line=desk,part=gateway}"] > 1


def test_a_reason_that_an_agent_made_up_is_no_label() -> None:
    drama = healthy(1)
    drama.do(e.HangUpAsked("agent", "john-smith-of-acme-is-content"))
    drama.run(3)
    drama.do(e.ContinuationAsked("in-progress"))
    found = metered(drama)
    assert found["gateway_calls_total{direction=inbound,line=desk,reason=hung-up-by-us,result=success}"] == 1
    assert not any("john" in name for name in found)


def test_a_fault_in_a_meter_is_no_fault_of_the_call() -> None:
    metrics = Metrics("node1", lambda: Load({}, 1, draining=True))
    Meter(metrics, healthy().header).take([("event", "not a line")])
    assert samples(metrics)["gateway_draining{node=node1}"] == 1
