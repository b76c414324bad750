"""Several accounts: each call's requests go to its account, in its region, with its token."""

import base64

import httpx2
import pytest

from gateway.call.plan import HangUp
from gateway.carriers.twilio.accounts import TwilioAccounts, regional
from gateway.carriers.twilio.twiml import Links
from gateway.config.numbers import Account

pytestmark = pytest.mark.anyio

OWN = Account("", "AC1", ("own", "old"))
EU = Account("eu", "AC2", ("eu-token",), "ie1", "dublin")
CALL = "CA" + "0" * 32


@pytest.fixture
def asked():
    return []


@pytest.fixture
async def client(asked):
    def answer(request):
        asked.append(request)
        return httpx2.Response(200, json={})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        yield client


@pytest.mark.parametrize(
    ("account_sid", "host", "account", "token"),
    [
        ("AC1", "api.twilio.com", "AC1", "own"),
        ("AC2", "api.dublin.ie1.twilio.com", "AC2", "eu-token"),
        ("AC3", "api.twilio.com", "AC1", "own"),
    ],
)
async def test_requests_go_to_the_account_of_the_call(client, asked, account_sid, host, account, token):
    accounts = TwilioAccounts(OWN, lambda: [EU], "https://api.twilio.com", client, Links("https://gw.example"))
    calls = accounts.calls(account_sid)
    assert calls
    await calls.end(CALL)
    await calls.redirect(CALL, (HangUp(),))
    for request in asked:
        assert (request.url.host, request.url.path) == (host, f"/2010-04-01/Accounts/{account}/Calls/{CALL}.json")
        assert base64.b64decode(request.headers["authorization"].split()[1]).decode() == f"{account}:{token}"


async def test_the_table_is_that_of_now(client):
    table = [EU]
    accounts = TwilioAccounts(Account("", "", ()), lambda: table, "https://api.twilio.com", client, Links("https://x"))
    assert accounts.calls("AC2") is not None
    assert accounts.tokens() == {"AC2": ("eu-token",)}
    table.clear()
    assert accounts.calls("AC2") is None
    assert accounts.tokens() == {}


@pytest.mark.parametrize(
    ("base", "region", "edge", "url"),
    [
        ("https://api.twilio.com", "au1", "sydney", "https://api.sydney.au1.twilio.com"),
        ("https://api.twilio.com", "", "", "https://api.twilio.com"),
        ("https://api.twilio.com", "ie1", "", "https://api.twilio.com"),
        ("http://127.0.0.1:8080", "ie1", "dublin", "http://127.0.0.1:8080"),
        ("https://api.carrier.example:8443/v1", "ie1", "dublin", "https://api.dublin.ie1.carrier.example:8443/v1"),
    ],
)
async def test_where_a_region_is_entered_through_an_edge(base, region, edge, url):
    assert regional(base, region, edge) == url
