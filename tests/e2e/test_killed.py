"""A few of the kills that ``python -m tests.bench.kills`` does a hundred of."""

from statistics import median

import pytest

from tests.bench import kills

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]
KILLS = 3


async def test_a_gateway_that_is_killed_loses_no_call_and_less_than_a_second_of_its_recording():
    """How much is lost depends on how busy the machine is: here half of the recordings say it, in the series each."""
    found = await kills.run(KILLS, gateways=1, seed=12, longest=4.0)
    kills.report(found)
    assert (found.kills, found.sound) == (KILLS, KILLS)
    assert found.told_there == found.told
    assert found.accepted > KILLS
    assert found.faults == []
    assert found.lost_caller
    assert found.lost_agent
    assert median(found.lost_caller) <= 1000
    assert median(found.lost_agent) <= 1000
    assert found.rows > 50
    assert found.differing == []
