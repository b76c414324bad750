"""``gateway why`` on logs of the data folder."""

from pathlib import Path

import anyio.from_thread
import pytest

from gateway.diagnosis.finding import Code
from gateway.testing import FakeTwilio
from tests.diagnosis.scenes import file_of, start, talk


def test_a_finding_has_evidence_and_a_remedy(gateway, tmp_path):
    scene = talk(start(), 1)
    scene.caller("Where is my order?")
    scene.tool("find_order", 4.0)
    scene.agent("It was shipped.", 1.2)
    scene.hang_up()
    file_of(scene, tmp_path / "data" / "calls")
    ran = gateway("why", "0193", "--json")
    [finding] = ran.objects
    assert ran.status == 1
    assert (finding["code"], finding["turn"]) == ("slow-tool", 5)
    assert "tool 4.0" in finding["seen"]
    ran = gateway("why", "CA1")
    assert ran.status == 1
    assert "slow-tool  at 10.4 s, turn 5" in ran.out
    assert "find_order 4.0 s" in ran.out


def test_nothing_is_said_of_a_healthy_call(gateway, tmp_path):
    scene = talk(start())
    scene.hang_up()
    path = file_of(scene, tmp_path / "data" / "calls")
    assert gateway("why", str(path), "--json").out == ""
    ran = gateway("why", str(path))
    assert (ran.status, ran.out) == (0, "Nothing was wrong with 0193-call.\n")


def test_a_call_that_is_not_there(gateway, tmp_path, monkeypatch):
    assert gateway("why", "nothing").status == 2
    monkeypatch.delenv("TWILIO_ACCOUNT_SID", raising=False)
    ran = gateway("why", "CA" + "0" * 32)
    assert ran.status == 78
    assert "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN" in ran.err


@pytest.fixture
def twilio(monkeypatch):
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(FakeTwilio()) as fake:
        monkeypatch.setenv("TWILIO_ACCOUNT_SID", fake.account.sid)
        monkeypatch.setenv("TWILIO_AUTH_TOKEN", fake.account.auth_token)
        monkeypatch.setenv("TWILIO_API_BASE_URL", fake.api_base_url)
        yield fake


def test_a_call_that_never_came_is_explained_by_twilios_alerts(gateway, twilio):
    never, other = "CA" + "1" * 32, "CA" + "2" * 32
    twilio.account.alert(
        11217, "error", "Msg=Forbidden&httpResponse=403&url=https%3A%2F%2Fgw.example%2Fvoice%3Fa", never
    )
    twilio.account.alert(99999, "warning", "Msg=Something+new", never)
    for _ in range(250):  # the older ones stand on a second page
        twilio.account.alert(31920, "error", "", other)
    ran = gateway("why", never, "--json")
    assert ran.status == 1
    assert [alert["code"] for alert in ran.objects] == ["11217", "99999"]
    assert "4xx or 5xx" in ran.objects[0]["seen"]
    assert "(status 403, https://gw.example/voice)" in ran.objects[0]["seen"]
    assert "signature" in ran.objects[0]["change"]
    assert ran.objects[1]["seen"] == "Something new"
    ran = gateway("why", "CA" + "3" * 32)
    assert ran.status == 0
    assert "Twilio has no alert of CA333" in ran.out


@pytest.mark.parametrize("code", Code)
def test_every_finding_is_in_the_docs(code):
    page = Path(__file__).parents[2] / "docs" / "why.md"
    assert f"| `{code}` |" in page.read_text(encoding="utf-8")
