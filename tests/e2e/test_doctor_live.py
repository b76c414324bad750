"""``gateway doctor --live`` finds out how a carrier behaves that behaves otherwise than the documents let one think."""

import json
import socket

import anyio
import anyio.from_thread
import pytest

from gateway.cli import main
from gateway.testing import Behaviour, FakeTwilio
from gateway.testing.twilio import Marks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
NUMBER = "+14155550100"
OLD = "https://old.example/voice"


async def call(twilio):
    """What the user does: call once the number is pointed at the probe, press a key at the beep, listen."""
    number = twilio.account.number(NUMBER)
    while "/doctor/" not in number.voice_url:
        await anyio.sleep(0.05)
    caller = await twilio.dial(NUMBER)
    await caller.wait_for_speech()
    await caller.press("5")
    await caller.wait_for_end(60)


def measure(capsys, monkeypatch, tmp_path, behaviour):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agents_config").mkdir()
    (tmp_path / "agents_config" / "desk.yaml").write_text(f'number: "{NUMBER}"\ninstructions: Be brief.\n')
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(FakeTwilio(behaviour=behaviour)) as twilio,
    ):
        number = twilio.add_number(NUMBER, OLD, voice_method="GET")
        twilio.connect_to = f"http://127.0.0.1:{port}"
        for name, value in {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "TWILIO_ACCOUNT_SID": twilio.account.sid,
            "TWILIO_AUTH_TOKEN": twilio.account.auth_token,
            "TWILIO_API_BASE_URL": twilio.api_base_url,
            "GATEWAY_PUBLIC_URL": "https://gw.example",
            "GATEWAY_SECRET_KEY": "x" * 32,
        }.items():
            monkeypatch.setenv(name, value)
        calling = portal.start_task_soon(call, twilio)
        with pytest.raises(SystemExit) as left:
            main(["doctor", "--live", "--json"])
        calling.result(5)
        assert (number.voice_url, number.voice_method, number.voice_fallback_url) == (OLD, "GET", "")
    printed = capsys.readouterr()
    assert f"Call {NUMBER} now" in printed.err
    rows = [json.loads(line) for line in printed.out.splitlines()]
    return left.value.code, {row["subject"]: row["found"] for row in rows}


def test_a_carrier_as_one_would_think(capsys, monkeypatch, tmp_path):
    status, found = measure(capsys, monkeypatch, tmp_path, Behaviour.plain())
    assert status == 0
    assert found["signature of streams"] == "is over the URL as in the TwiML"
    assert found["parameters of <Stream>"] == "40 of 40 arrived"
    assert found["marks"] == "all of 200 came back"
    assert found["keys"].startswith("are not heard")
    assert found["<Connect action> at a REST redirect"] == "is not asked"
    assert found["close with 1000"] == "logs no error"
    assert "ErrorCode, ErrorUrl" in found["fallback"]
    assert found["frames"].startswith("160 bytes every 20.0 ms")


def test_a_carrier_that_does_it_otherwise(capsys, monkeypatch, tmp_path):
    behaviour = Behaviour.plain().but(
        stream_signature_slash=True,
        stream_signature_port=True,
        action_on_redirect=True,
        normal_close_is_error=True,
        tones_leak=True,
        marks=Marks("never"),
    )
    status, found = measure(capsys, monkeypatch, tmp_path, behaviour)
    assert status == 0
    assert found["signature of streams"] == "is over the URL with its port and a slash"
    assert found["marks"] == "0 of 200 came back"
    assert found["keys"].startswith("are in the audio too")
    assert found["<Connect action> at a REST redirect"] == "is asked"
    assert found["close with 1000"] == "logs 31921"
