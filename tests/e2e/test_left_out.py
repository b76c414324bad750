"""A gateway that leaves out records and metrics, so that what they cost can be measured: its logs have it all."""

import pytest

from gateway.testing.model import say
from tests.e2e.conftest import DESK

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]


async def test_what_is_left_out_is_in_the_logs(begin):
    async with begin([say("Hello.", 0.5)], environment={"GATEWAY_WITHOUT": "metrics,records"}) as world:
        assert world.gateway.logged("left-out")[0]["what"] == ["metrics", "records"]
        caller = await world.dial(DESK)
        await caller.wait_for_speech()
        caller.hang_up()
        await world.record(caller.call)
        assert (await world.gateway.get("/metrics")).status_code == 404
        assert await world.gateway.command("calls", "list", "--json") == (0, "")
        status, said = await world.gateway.command("db", "rebuild")
        assert (status, said) == (0, "1 calls were made again from their logs.\n")
        status, said = await world.gateway.command("calls", "list", "--json")
        assert (status, said.count("caller-hung-up")) == (0, 1)
