"""``gateway try`` where it can't be done: what to do is said before anything is started."""

import pytest

from gateway.cli import UNREACHABLE, USAGE


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dsek"], "did you mean desk?"),
        (["desk", "--real"], "OPENAI_API_KEY"),
        (["desk", "question.wav"], "there is no file question.wav"),
        (["desk", "--junit", "/dev/null/report.xml"], "can't write /dev/null/report.xml"),
        (["desk", "script.yaml", "--expect", "says: hello"], "a script says itself what it expects"),
    ],
)
def test_a_mistake_is_told_with_the_remedy(gateway, lines, monkeypatch, arguments, says):
    for name in ("OPENAI_API_KEY", "OPENAI_REALTIME_URL"):
        monkeypatch.delenv(name, raising=False)
    (lines / "desk.yaml").write_text('number: "+14155550100"\nagent: host\n')
    ran = gateway("try", *arguments)
    assert ran.status == USAGE
    assert says in ran.err


def test_a_real_model_that_is_not_there_is_told_at_once(gateway, lines, monkeypatch):
    monkeypatch.setenv("KEY", "k")
    monkeypatch.setenv("OPENAI_REALTIME_URL", "ws://127.0.0.1:9/v1/realtime")
    ran = gateway("try", "desk", "hello", "--real")
    assert ran.status == UNREACHABLE
    assert "ws://127.0.0.1:9/v1/realtime can't be reached" in ran.err
    assert "is the address right" in ran.err
