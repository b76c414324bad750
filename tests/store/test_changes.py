"""Which lines came into effect is audited, also where that happened while no gateway ran."""

import anyio
import pytest

from gateway.store import audit
from gateway.store.changes import Changes
from gateway.store.database import Database

pytestmark = pytest.mark.anyio


async def test_a_start_with_other_lines_is_a_change_of_lines(url):
    database = Database(url)
    for snapshot in ("one", "one", "two", "one"):
        changes = Changes(database)
        await changes.starting(snapshot, ["desk"])
        with anyio.move_on_after(0.3):
            await changes.run()
    async with database.read() as connection:
        found = [entry async for entry in audit.entries(connection)]
    assert {(entry["actor"], entry["action"]) for entry in found} == {("gateway", "lines-changed")}
    details = [(entry["detail"]["before"], entry["detail"]["after"]) for entry in found]
    assert details == [("", "one"), ("one", "two"), ("two", "one")]
    assert found[0]["detail"]["lines"] == ["desk"]
    await database.close()
