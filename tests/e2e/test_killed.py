"""A few of the kills that ``python -m tests.bench.kills`` does a hundred of."""

import pytest

from tests.bench import kills

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(300)]
KILLS = 3


async def test_a_gateway_that_is_killed_loses_no_call_and_less_than_a_second_of_its_recording():
    found = await kills.run(KILLS, gateways=1, seed=12, longest=4.0)
    kills.report(found)
    assert (found.kills, found.sound) == (KILLS, KILLS)
    assert found.told_there == found.told
    assert found.accepted > KILLS
    assert found.faults == []
    assert len(found.lost_caller) == found.recordable > 0
    assert found.lost_agent
    assert found.rows > 50
    assert found.differing == []
    assert max(found.lost_caller + found.lost_agent) <= 1000
