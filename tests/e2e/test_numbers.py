"""Forty numbers in three countries on two accounts, four lines, two environments: a running gateway, from the outside."""

import os
import re
import time
from functools import partial
from xml.etree import ElementTree as ET

import anyio
import anyio.to_thread
import httpx2
import pytest
from twilio.request_validator import RequestValidator

from gateway.cli import main
from gateway.testing import PUBLIC_URL, VOICE_URL, FakeTwilio, GatewayProcess, ScriptedModel
from gateway.testing.model import say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

US, EU = "AC" + "1" * 32, "AC" + "2" * 32
TOKENS = {US: "a" * 32, EU: "b" * 32}
NEVER = '{open: {2020-01-01: "00:00-00:01"}, closed: {say: %s}}'
LINES = {
    "_defaults.yaml": "instructions: Be brief.\n",
    "_swiss.yaml": "timezone: Europe/Zurich\nlanguage: de-CH\nvars: {site: Zürich}\n",
    "desk.yaml": f'hours: {NEVER % "Desk {{label}}."}\ntransfer: {{night: {{to: "+14155550111"}}}}\n'.replace(
        "Desk {{label}}.", '"Desk {{label}}."'
    ),
    "uk.yaml": f"language: en-GB\nhours: {NEVER % 'UK.'}\n",
    "uk_next.yaml": f"language: en-GB\nhours: {NEVER % 'UK next.'}\n",
    "clinic.yaml": "extends: _swiss\nhours: "
    + NEVER % '{de-CH: "Praxis {{site}}.", fr-CH: "Cabinet {{site}}.", it-CH: "Studio {{site}}."}'
    + "\n",
    "open.yaml": "number: '+15005550001'\ngreeting: Hello.\n",
}
PLACES = {"de-CH": ("Zürich", "Praxis"), "fr-CH": ("Genève", "Cabinet"), "it-CH": ("Lugano", "Studio")}


def table(environment):
    """Return a table of forty numbers, and what a caller of each hears there: account, language, words."""
    rows, heard = [], {}
    for at in range(16):  # the United States: one line, a label for each
        number = f"+1415555{at:04d}"
        rows.append(f'  "{number}": {{line: desk, account: us, label: {environment}-{at}}}')
        heard[number] = (US, "en-US", f"Desk {environment}-{at}.")
    for at in range(15):  # Switzerland: one line in three languages
        number, language = f"+4144555{at:04d}", [*PLACES][at % 3]
        site, what = PLACES[language]
        rows.append(f'  "{number}": {{line: clinic, account: eu, language: {language}, vars: {{site: {site}}}}}')
        heard[number] = (EU, language, f"{what} {site}.")
    for at in range(8):  # the United Kingdom
        number = f"+4420755{at:05d}"
        rows.append(f'  "{number}": {{line: uk, account: us}}')
        heard[number] = (US, "en-GB", "UK.")
    rows += ['  "+4420756*": {line: uk, account: us, canary: {line: uk_next, percent: 50}}']
    accounts = f'accounts:\n  us: {{sid: {US}, token: "${{US}}"}}\n  eu: {{sid: {EU}, token: "${{EU}}", region: ie1, edge: dublin}}\n'
    return accounts + "numbers:\n" + "\n".join(rows) + "\n", heard


class World:
    """A carrier's account each side of the sea, and the gateway between them."""

    def __init__(self, us, eu, gateway, model, folder):
        self.us, self.eu, self.gateway, self.model, self.folder = us, eu, gateway, model, folder

    async def ask(self, called, account, caller="+14155559999", *, token="", path="/twilio/voice"):
        """Deliver a signed webhook of a new call; return status and TwiML."""
        form = {"CallSid": f"CA{time.monotonic_ns():032d}", "AccountSid": account, "To": called, "From": caller}
        signature = RequestValidator(token or TOKENS[account]).compute_signature(PUBLIC_URL + path, form)
        async with httpx2.AsyncClient(trust_env=False) as client:
            url, headers = self.gateway.base_url + path, {"X-Twilio-Signature": signature}
            response = await client.post(url, data=form, headers=headers)
        return response.status_code, response.text

    async def said(self, called, account, caller="+14155559999"):
        _, text = await self.ask(called, account, caller)
        [verb] = ET.fromstring(text).findall("Say")
        return verb.get("language"), verb.text

    async def ready(self):
        return (await self.gateway.get("/readyz")).json()

    async def command(self, *arguments):
        """Run a command against the same folder and database, as on another node; return its status."""
        variables = {
            "GATEWAY_CONFIG_DIR": str(self.folder),
            "GATEWAY_DATA_DIR": str(self.gateway.data),
            "GATEWAY_ENV": "staging",
        }

        def run():
            before = dict(os.environ)
            os.environ.update(variables)
            try:
                main(arguments)
            except SystemExit as left:
                return left.code
            finally:
                os.environ.clear()
                os.environ.update(before)

        return await anyio.to_thread.run_sync(run)


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents_config")
    for name, text in LINES.items():
        (folder / name).write_text(text)
    (folder / "_numbers.yaml").write_text(table("production")[0])
    (folder / "_numbers.staging.yaml").write_text(table("staging")[0])
    accounts = {"US": TOKENS[US], "EU": TOKENS[EU], "GATEWAY_ENV": "staging"}
    async with (
        ScriptedModel() as model,
        FakeTwilio(voice_url=VOICE_URL, account_sid=US, auth_token=TOKENS[US], seed=1) as us,
        FakeTwilio(voice_url=VOICE_URL, account_sid=EU, auth_token=TOKENS[EU], seed=2) as eu,
        GatewayProcess(folder, twilio=us, model_url=model.url, environment=accounts) as gateway,
    ):
        eu.connect_to = gateway.base_url
        yield World(us, eu, gateway, model, folder)


async def test_every_number_is_answered_by_its_line_in_its_language_on_its_account(world):
    _, heard = table("staging")
    assert len(heard) + 1 == 40
    found = {}
    for number, (account, _, _) in heard.items():
        found[number] = (account, *await world.said(number, account))
    assert found == heard


async def test_a_webhook_signed_by_another_account_is_refused(world):
    assert (await world.ask("+14155550000", US, token=TOKENS[EU]))[0] == 403
    assert (await world.ask("+14155550000", EU, token=TOKENS[US]))[0] == 403
    status, text = await world.ask("+14155550000", EU)  # rightly signed, and not this account's number
    assert (status, "<Reject" in text) == (200, True)


async def test_a_canary_gets_its_share_and_each_caller_one_side(world):
    sides = {}
    for at in range(40):
        caller = f"+1415555{at:04d}"
        sides[caller] = {(await world.said("+442075600001", US, caller))[1] for _ in range(2)}
    assert all(len(side) == 1 for side in sides.values())
    assert 8 <= sum(side == {"UK next."} for side in sides.values()) <= 32


@pytest.mark.parametrize("side", ["us", "eu"])
async def test_a_whole_call_on_either_account(world, side):
    world.model.script = [say("Hello.", 0.5)]
    with anyio.fail_after(20):
        caller = await getattr(world, side).dial("+15005550001")
        await caller.wait_for_speech()
        caller.hang_up()
        await caller.wait_for_end()
    assert caller.call.log.codes() == []


async def wait_for(test):
    with anyio.fail_after(15):
        while True:
            found = await test()
            if found:
                return found
            await anyio.sleep(0.1)


@pytest.mark.parametrize(
    ("answer", "twiml", "shown"),
    [
        ("say:We call <you> back.", '<Say language="en-US">We call &lt;you&gt; back.</Say><Hangup/>', "say"),
        ("transfer:night", "<Dial [^>]*><Number>[+]14155550111</Number></Dial>", "transfer:night"),
    ],
)
async def test_a_line_answers_otherwise_for_a_while_without_an_edit(world, answer, twiml, shown):
    before = await world.ready()
    assert await world.command("lines", "set", "desk", "--answer", answer, "--for", "1h") == 0

    async def seen():
        return [each for each in (await world.ready())["overrides"] if each["answer"] == shown]

    [override] = await wait_for(seen)
    assert (override["line"], override["by"].partition(":")[0]) == ("desk", "cli")
    assert re.search(twiml, (await world.ask("+14155550003", US))[1])
    assert await world.said("+442075500001", US) == ("en-GB", "UK.")  # other lines as before
    assert (await world.ready())["snapshot"] == before["snapshot"]

    assert await world.command("lines", "clear", "desk") == 0
    await wait_for(partial(ended, world))
    assert await world.said("+14155550003", US) == ("en-US", "Desk staging-3.")


async def ended(world):
    return (await world.ready())["overrides"] == []


async def test_an_override_ends_by_itself(world):
    assert await world.command("lines", "set", "desk", "--answer", "busy", "--for", "3s") == 0

    async def refused():
        return "<Reject" in (await world.ask("+14155550003", US))[1]

    await wait_for(refused)
    await wait_for(partial(ended, world))
    assert await world.said("+14155550003", US) == ("en-US", "Desk staging-3.")


async def test_an_edit_that_is_wrong_leaves_the_snapshot_in_place(world):
    before = await world.ready()
    path = world.folder / "_numbers.staging.yaml"
    text = path.read_text()
    path.write_text(text.replace("line: desk", "line: dsek"))
    try:
        faults = await wait_for(partial(faults_of, world))
        assert "there is no line dsek (did you mean desk?)" in faults[0]
        after = await world.ready()
        assert (after["ready"], after["snapshot"]) == (True, before["snapshot"])
        assert await world.said("+14155550003", US) == ("en-US", "Desk staging-3.")
    finally:
        path.write_text(text)

    async def mended():
        return not await faults_of(world)

    await wait_for(mended)


async def faults_of(world):
    return (await world.ready())["config_faults"]
