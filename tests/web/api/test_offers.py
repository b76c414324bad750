"""Offers of streams to applications: who gets them, and what is in them."""

import pytest

pytestmark = pytest.mark.anyio

CALL = {"call_sid": "CA" + "0" * 32, "account_sid": "AC" + "0" * 32, "caller": "+14155550199"}


async def test_an_offer_holds_what_a_stream_needs(node):
    async with await node.client("operate") as client:
        made = await client.post("/offers", json=CALL | {"called": "+14155550100"})
        offer = made.json()
        assert made.status_code == 201
        assert offer["stream_url"] == "wss://gw.example/twilio/media"
        assert offer["action_url"] == "https://gw.example/twilio/stream-ended"
        assert offer["token"] in offer["twiml"]
        assert node.exchange.find(offer["call_id"]) is not None


async def test_a_line_that_is_not_there_gets_no_stream(node):
    async with await node.client("operate") as client:
        offer = (await client.post("/offers", json=CALL | {"line": "nobody"})).json()
        assert (offer["call_id"], offer["token"]) == (None, None)
        assert "<Reject" in offer["twiml"]


async def test_reading_is_not_enough(node):
    async with await node.client("read", "listen") as client:
        assert (await client.post("/offers", json=CALL)).status_code == 403
