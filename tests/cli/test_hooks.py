import anyio
import pytest

from gateway.store import hooks
from gateway.store.database import Database


@pytest.fixture
def told(gateway, tmp_path, monkeypatch):
    """Two deliveries: one that waits, and one that is dead."""
    for name in ("DATABASE_URL", "GATEWAY_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    gateway("db", "upgrade")

    async def fill():
        database = Database(f"sqlite:///{tmp_path}/data/gateway.db")
        for number in range(2):
            async with database.write() as connection:
                await hooks.add(connection, f"call-{number}", "desk", "webhook", "https://crm.example", "test", {})
        [first, _] = await hooks.claim(database, 2)
        await hooks.failed(database, first, "status 410", hopeless=True)
        await database.close()
        return first

    return anyio.run(fill)


def test_deliveries_are_listed_and_tried_again(gateway, told):
    shown = gateway("hooks", "list", "--state", "dead")
    assert all(each in shown.out for each in (told.id, told.call_id, "dead", "status 410"))
    assert len(gateway("hooks", "list", "--json").objects) == 2
    assert "next 20" in gateway("hooks", "list", "--state", "waiting").out
    assert gateway("hooks", "list", "--state", "delivered").out == "No deliveries.\n"
    assert "lost is none of waiting, delivered, dead" in gateway("hooks", "list", "--state", "lost").err
    assert "There is no delivery nowhere" in gateway("hooks", "retry", "nowhere").err
    assert gateway("hooks", "retry").out == "1 deliveries are tried again.\n"
    assert gateway("hooks", "list", "--state", "dead", "--json").objects == []
