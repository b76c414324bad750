"""``gateway numbers`` against the carrier's double; and its requests against Twilio's own description."""

import re

import anyio
import anyio.from_thread
import pytest

from gateway.testing import FakeTwilio
from gateway.testing.twilio import Application, Number

LINE = 'number: "+14155550100"\ninstructions: Be brief.\n'
OTHER = "https://old.example/voice"


@pytest.fixture
def twilio():
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(FakeTwilio()) as fake:
        yield fake


@pytest.fixture
def world(gateway, twilio, monkeypatch, tmp_path):
    (tmp_path / "agents_config").mkdir()
    (tmp_path / "agents_config" / "desk.yaml").write_text(LINE)
    for name, value in {
        "TWILIO_ACCOUNT_SID": twilio.account.sid,
        "TWILIO_AUTH_TOKEN": twilio.account.auth_token,
        "TWILIO_API_BASE_URL": twilio.api_base_url,
        "GATEWAY_PUBLIC_URL": "https://gw.example",
        "GATEWAY_SECRET_KEY": "x" * 32,
    }.items():
        monkeypatch.setenv(name, value)
    return gateway


def test_each_number_is_shown_with_what_is_wrong(world, twilio):
    twilio.add_number("+14155550100", OTHER)
    twilio.add_number("+14155550101", "https://gw.example/twilio/voice")
    shown = {row["number"]: row for row in world("numbers", "list", "--json").objects}
    assert (shown["+14155550100"]["state"], shown["+14155550100"]["line"]) == ("differs", "desk")
    assert shown["+14155550100"]["VoiceUrl"] == OTHER
    assert (shown["+14155550101"]["state"], shown["+14155550101"]["line"]) == ("no-line", "")
    assert all(row["remedy"] for row in shown.values())
    table = world("numbers", "list")
    assert "goes elsewhere" in table.out
    assert "gateway numbers sync --apply" in table.err


def test_a_narrow_terminal_shows_everything_too(world, twilio, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    url = "https://gw.example/twilio/voice/desk?campaign=spring"
    twilio.add_number("+14155550100", url, voice_fallback_url="https://handler.twilio.com/twiml/EH0")
    shown = world("numbers", "list").out.splitlines()
    assert shown[0] == "+14155550100"
    assert {line.split()[0]: line.split(maxsplit=1)[1] for line in shown[1:3]} == {
        "line": "desk",
        "state": "comes here, not all set",
    }
    assert shown[3].endswith(url)
    assert shown[4].endswith("https://handler.twilio.com/twiml/EH0")


def test_numbers_are_pointed_here_and_put_back(world, twilio):
    number = twilio.add_number("+14155550100", OTHER, voice_method="GET", status_callback="https://old.example/s")
    dry = world("numbers", "sync", "--json")
    assert {row["field"]: row["after"] for row in dry.objects} == {
        "VoiceUrl": "https://gw.example/twilio/voice",
        "VoiceMethod": "POST",
        "StatusCallback": "https://gw.example/twilio/status",
    }
    assert number.voice_url == OTHER
    world("numbers", "sync", "--apply", "--fallback", "https://handler.twilio.com/twiml/EH0")
    assert (number.voice_url, number.voice_method) == ("https://gw.example/twilio/voice", "POST")
    assert number.voice_fallback_url == "https://handler.twilio.com/twiml/EH0"
    assert world("numbers", "sync", "--apply").out == "Nothing to change.\n"
    world("numbers", "sync", "--restore")
    assert (number.voice_url, number.voice_method, number.voice_fallback_url) == (OTHER, "GET", "")
    assert number.status_callback == "https://old.example/s"
    assert world("numbers", "sync", "--restore").out == "Nothing to change.\n"


def test_a_url_of_ours_that_names_the_line_is_left_alone(world, twilio):
    twilio.add_number(
        "+14155550100", "https://gw.example/twilio/voice/desk?x=1", status_callback="https://gw.example/twilio/status"
    )
    assert world("numbers", "sync").out == "Nothing to change.\n"


def test_numbers_of_an_app_and_those_that_are_not_there_are_said_and_not_touched(world, twilio):
    application = Application(voice_url=OTHER)
    twilio.account.add(application)
    twilio.account.add(Number(phone_number="+14155550100", voice_url=OTHER, voice_application_sid=application.sid))
    [row] = world("numbers", "list", "--json").objects
    assert row["state"] == "app"
    assert world("numbers", "sync", "--apply").out == "Nothing to change.\n"
    twilio.account.numbers.clear()
    [row] = world("numbers", "list", "--json").objects
    assert row["state"] == "not-there"


def test_what_is_in_the_way_is_one_line(world, twilio, monkeypatch):
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "wrong")
    ran = world("numbers", "list")
    assert (ran.status, ran.out) == (3, "")
    assert re.fullmatch(r"Twilio refused \(401, code 20003\).*\n", ran.err)
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    ran = world("numbers", "list")
    assert ran.status == 2
    assert "TWILIO_AUTH_TOKEN" in ran.err


def test_requests_are_what_twilio_describes(world, twilio, twilio_api):
    twilio.add_number("+14155550100", OTHER)
    world("numbers", "sync", "--apply", "--fallback", "https://handler.twilio.com/twiml/EH0")
    world("numbers", "sync", "--restore")
    assert twilio_api.judge(twilio.rest.requests) == {
        "GET IncomingPhoneNumbers.json": 2,
        "POST IncomingPhoneNumbers/{Sid}.json": 2,
    }


def test_numbers_of_the_table_are_asked_of_their_accounts(world, twilio, monkeypatch, tmp_path):
    monkeypatch.delenv("TWILIO_ACCOUNT_SID")
    (tmp_path / "agents_config" / "desk.yaml").write_text("instructions: Be brief.\n")
    table = f'accounts: {{us: {{sid: {twilio.account.sid}, token: "${{TWILIO_AUTH_TOKEN}}"}}}}\n'
    table += 'numbers: {"+14155550100": {line: desk}, "+1415555*": {line: desk}}\n'
    (tmp_path / "agents_config" / "_numbers.yaml").write_text(table)
    twilio.add_number("+14155550199", OTHER)
    states = {row["number"]: (row["line"], row["state"]) for row in world("numbers", "list", "--json").objects}
    assert states == {"+14155550100": ("desk", "not-there"), "+14155550199": ("desk", "differs")}
