"""What the doctor says of accounts and numbers: each thing that keeps a call from coming, with its remedy."""

from typing import Any

import httpx2
import pytest

from gateway.carriers.twilio.numbers import Numbers, accounts_of
from gateway.checkup import carrier
from gateway.config.loader import load
from gateway.config.numbers import Account
from gateway.testing import FakeTwilio
from gateway.testing.twilio import Application, Number

pytestmark = pytest.mark.anyio

NUMBER = "+14155550100"
OURS: dict[str, Any] = {
    "voice_url": "https://gw.example/twilio/voice",
    "status_callback": "https://gw.example/twilio/status",
}
APP = Application(sid="AP" + "0" * 32, voice_url="https://old.example/voice")


@pytest.fixture
async def world(tmp_path):
    """Ask the doctor about an account with one line's number; gives the account, and a function that asks."""
    (tmp_path / "agents_config").mkdir()
    (tmp_path / "agents_config" / "desk.yaml").write_text(f'number: "{NUMBER}"\ninstructions: Be brief.\n')
    directory = load(tmp_path / "agents_config")
    async with FakeTwilio() as twilio, httpx2.AsyncClient(trust_env=False) as client:

        async def ask(token: str = "") -> dict[str, tuple[str, str, str]]:
            own = Account("", twilio.account.sid, (token or twilio.account.auth_token,))
            accounts = accounts_of(own, directory, twilio.api_base_url, client)
            numbers = Numbers(accounts, directory, "https://gw.example", tmp_path / "numbers.json")
            return {each.subject: (each.state, each.found, each.remedy) async for each in carrier.accounts(numbers)}

        yield twilio.account, ask


def fallback(**more):
    return {"voice_fallback_url": "https://handler.twilio.com/twiml/EH0", **more}


@pytest.mark.parametrize(
    ("fields", "subject", "state", "found", "remedy"),
    [
        (OURS | fallback(), "", "ok", "comes here, to desk", ""),
        (OURS | fallback(trunk_sid="TK0"), "", "fault", "is on an Elastic SIP trunk", "take the number off the trunk"),
        (OURS | fallback(voice_application_sid=APP.sid), "", "warning", "under a TwiML App", "point the App here"),
        (fallback(voice_url="https://old.example/v"), "", "warning", "does not come here", "numbers sync --apply"),
        (
            fallback(voice_url=OURS["voice_url"]),
            "",
            "warning",
            "comes here, to desk, but StatusCallback is empty",
            "sets the rest",
        ),
        (OURS, ", fallback", "warning", "has no fallback URL", "gateway fallback export"),
        (
            OURS | {"voice_fallback_url": "https://gw.example/twilio/fallback"},
            ", fallback",
            "warning",
            "on the gateway's own host",
            "gateway fallback export",
        ),
        (OURS | fallback(voice_region="ie1"), ", region", "warning", "processed in ie1", "name region and edge"),
    ],
    ids=["right", "trunk", "app", "elsewhere", "half", "no-fallback", "own-fallback", "region"],
)
async def test_a_number(world, fields, subject, state, found, remedy):
    account, ask = world
    account.add(APP)
    account.add(Number(phone_number=NUMBER, **fields))
    said = await ask()
    assert said["account Acme"] == ("ok", "is active", "")
    assert said[NUMBER + subject][0] == state
    assert found in said[NUMBER + subject][1]
    assert remedy in said[NUMBER + subject][2]
    assert all(each[2] for each in said.values() if each[0] != "ok")


async def test_numbers_that_are_nobody_s(world):
    """A line's number that no account has; another that comes here and has no line; one that is none of our business."""
    account, ask = world
    account.add(Number(phone_number="+14155550101", **OURS))
    account.add(Number(phone_number="+14155550102", voice_url="https://crm.example/voice"))
    said = await ask()
    assert said[NUMBER][:2] == ("fault", "is named by the line desk, and no account has it")
    assert said["+14155550101"][:2] == ("warning", "comes here, and no line answers it")
    assert "+14155550102" not in said


async def test_an_account(world):
    account, ask = world
    account.type = "Trial"
    state, found, remedy = (await ask())["account Acme"]
    assert (state, found) == ("warning", "is a trial account")
    assert "upgrade it" in remedy
    account.status = "suspended"
    assert (await ask())["account Acme"][:2] == ("fault", "is suspended")
    [(state, found, remedy)] = (await ask("f" * 32)).values()
    assert state == "fault"
    assert "20003" in found
    assert "token" in remedy
