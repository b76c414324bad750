"""Full collections wait for a moment without calls, or until too much has ended."""

import gc

import anyio
import pytest

from gateway import garbage

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("live", "ended", "collected"), [(0, 0, 0), (0, 1, 1), (3, 1, 0), (3, 999, 0), (3, 1000, 1), (0, 5000, 1)]
)
async def test_when_it_is_done(monkeypatch, live, ended, collected):
    times = 0

    def noted():
        nonlocal times
        times += 1
        return 0

    monkeypatch.setattr(garbage, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(gc, "collect", noted)
    with anyio.move_on_after(0.05):
        await garbage.collect(lambda: live, lambda: ended)
    assert times == collected
