"""Some of the calls of ``python -m tests.bench.endings``, at once on a gateway that is killed amid them."""

import pytest

from tests.bench import endings
from tests.bench.books import was_accepted

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(300)]
CALLS = 3 * len(endings.WAYS)


async def test_each_call_has_one_closed_record_that_says_how_it_ended():
    series = await endings.run(CALLS, ("kill",), seed=5, at_once=CALLS)
    endings.report(series)
    assert len(series.ended) == CALLS
    assert sum(was_accepted(ended.phone) for ended in series.ended) > CALLS * 0.6
    assert [f"{ended.way}, {ended.status}: {ended.fault}" for ended in series.ended if ended.fault] == []
    reasons = {ended.said for ended in series.ended if ended.rows}
    assert {endings.HUNG_UP, endings.GONE, ("gateway", "process-lost", "gateway")} <= reasons
    assert len(reasons) >= 5
    assert series.rows > 300
    assert series.differing == []
