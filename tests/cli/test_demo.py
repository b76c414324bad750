"""gateway demo: its status and what it prints for programs; tests/e2e makes the call itself."""

import pytest

from gateway.demo import perform as performing
from gateway.demo.outcome import Outcome


def outcome_of(failures):
    return Outcome("local", "c1", 1.0, "success", "done", [], [], [], [], 0, "call.wav", "c1.jsonl", [], failures)


@pytest.mark.parametrize(("failures", "status"), [([], 0), (["the barge-in did not cut the agent"], 1)])
def test_status_and_json_say_whether_all_happened(gateway, monkeypatch, failures, status):
    async def perform(_order, _show):
        return outcome_of(failures)

    monkeypatch.setattr(performing, "perform", perform)
    ran = gateway("demo", "--json")
    assert ran.status == status
    [told] = ran.objects
    assert told["ok"] is (status == 0)
    assert told["failures"] == failures


def test_openai_needs_a_key(gateway, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ran = gateway("demo", "--openai")
    assert ran.status == 2
    assert "OPENAI_API_KEY" in ran.err
