"""``gateway doctor`` beside a running gateway, the carrier's double and a scripted model; and with each thing wrong."""

import json
import socket

import anyio
import anyio.from_thread
import pytest

from gateway.cli import main
from gateway.testing import FakeTwilio, GatewayProcess, ScriptedModel, process
from gateway.testing.twilio import Number

pytestmark = pytest.mark.slow

LINE = 'number: "+14155550100"\ninstructions: Be brief.\n'


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class World:
    def __init__(self, capsys, twilio, url):
        self.capsys, self.twilio, self.url = capsys, twilio, url

    def doctor(self):
        with pytest.raises(SystemExit) as left:
            main(["doctor", "--json"])
        rows = [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]
        return left.value.code, {each["subject"]: each for each in rows}


@pytest.fixture
def world(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    port = free_port()
    monkeypatch.setattr(process, "_free_port", lambda: port)
    (tmp_path / "agents_config").mkdir()
    (tmp_path / "agents_config" / "desk.yaml").write_text(LINE)
    url = f"http://127.0.0.1:{port}"
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(ScriptedModel()) as model,
        portal.wrap_async_context_manager(FakeTwilio()) as twilio,
    ):
        double = GatewayProcess(
            tmp_path / "agents_config", twilio=twilio, model_url=model.url, environment={"GATEWAY_PUBLIC_URL": url}
        )
        with portal.wrap_async_context_manager(double):
            for name, value in {
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "OPENAI_API_KEY": "sk-test",
                "OPENAI_REALTIME_URL": model.url,
                "TWILIO_ACCOUNT_SID": twilio.account.sid,
                "TWILIO_AUTH_TOKEN": twilio.account.auth_token,
                "TWILIO_API_BASE_URL": twilio.api_base_url,
                "GATEWAY_PUBLIC_URL": url,
                "GATEWAY_SECRET_KEY": "x" * 32,
            }.items():
                monkeypatch.setenv(name, value)
            yield World(capsys, twilio, url)


def test_a_gateway_that_works_and_then_everything_that_can_be_wrong_with_it(world, monkeypatch):
    other = "https://elsewhere.example/fallback"
    world.twilio.add_number(
        "+14155550100",
        f"{world.url}/twilio/voice",
        status_callback=f"{world.url}/twilio/status",
        voice_fallback_url=other,
    )
    status, found = world.doctor()
    assert [each for each in found.values() if each["state"] not in {"ok", "left-out"}] == []
    assert [name for name, each in found.items() if each["state"] == "left-out"] == ["TLS"]
    assert status == 0
    assert "was taken" in found["signed request"]["found"]
    assert "was opened" in found["media socket"]["found"]

    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "f" * 32)
    status, found = world.doctor()
    assert status == 1
    assert found["signed request"]["state"] == found["media socket"]["state"] == "fault"
    assert "403" in found["media socket"]["found"]
    assert "20003" in found[f"account {world.twilio.account.sid}"]["found"]
    assert all(each["remedy"] for each in found.values() if each["state"] in {"warning", "fault"})
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", world.twilio.account.auth_token)

    world.twilio.account.numbers.clear()
    world.twilio.account.add(Number(phone_number="+14155550100", voice_url=f"{world.url}/twilio/voice"))
    world.twilio.account.number("+14155550100").status_callback = f"{world.url}/twilio/status"
    world.twilio.account.type = "Trial"
    world.twilio.account.number("+14155550100").voice_fallback_url = f"{world.url}/twilio/fallback"
    monkeypatch.setenv("OPENAI_REALTIME_URL", f"ws://127.0.0.1:{free_port()}/v1/realtime")
    status, found = world.doctor()
    assert status == 1
    assert found["account Acme"]["found"] == "is a trial account"
    assert "own host" in str(found["+14155550100, fallback"]["found"])
    assert "can't be reached" in found["model of desk"]["found"]

    monkeypatch.setenv("GATEWAY_PUBLIC_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PORT", world.twilio.api_base_url.rpartition(":")[2])
    monkeypatch.delenv("OPENAI_REALTIME_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("GATEWAY_DATA_DIR", "/dev/null/data")
    _, found = world.doctor()
    assert found["OPENAI_API_KEY"]["state"] == "fault"
    assert "another program" in found[f"port {world.twilio.api_base_url.rpartition(':')[2]}"]["found"]
    assert "can't be reached" in found["public URL"]["found"]
    assert found["data folder"]["state"] == "fault"
    assert "does not come here" in found["+14155550100"]["found"]
