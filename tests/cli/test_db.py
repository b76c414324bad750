import sqlite3

import pytest

from gateway.store.log import LogWriter


@pytest.fixture(autouse=True)
def here(monkeypatch):
    for name in ("DATABASE_URL", "GATEWAY_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_a_database_is_made_checked_and_rebuilt(gateway, tmp_path):
    before = gateway("db", "check")
    assert before.status == 1
    assert "gateway db upgrade" in before.out
    assert "now (none before)" in gateway("db", "upgrade").out
    assert "already" in gateway("db", "upgrade").out
    assert gateway("db", "check").status == 0
    logs = LogWriter(tmp_path / "data" / "calls")
    logs.start()
    logs.stop()
    assert gateway("db", "rebuild", "--json").objects == [{"calls": 0, "live": 0, "unreadable": []}]


def test_a_damaged_table_is_told(gateway, tmp_path):
    gateway("db", "upgrade")
    with sqlite3.connect(tmp_path / "data" / "gateway.db") as connection:
        connection.execute("DROP TABLE legs")
    connection.close()
    found = gateway("db", "check", "--json")
    assert found.status == 1
    assert "legs" in found.objects[0]["faults"][0]


@pytest.mark.parametrize("url", ["mysql://here/db", "postgresql://gateway@127.0.0.1:1/none"])
def test_a_database_that_can_not_be_used_is_one_line(gateway, monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)
    ran = gateway("db", "rebuild")
    assert ran.status == 78
    assert "DATABASE_URL" in ran.err
    assert len(ran.err.splitlines()) == 1
