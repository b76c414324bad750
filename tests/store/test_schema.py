"""The tables on both databases."""

import pytest
from sqlalchemy import text

from gateway.store.database import Database
from gateway.store.schema import check, upgrade

pytestmark = pytest.mark.anyio


async def test_an_empty_database_is_brought_up_to_this_version_and_is_as_the_code_says(empty_url):
    database = Database(empty_url)
    before = await check(database)
    assert before.version == ""
    assert "gateway db upgrade" in before.faults[0]
    assert await upgrade(database) == ("", before.newest)
    assert await upgrade(database) == (before.newest, before.newest)
    after = await check(database)
    assert after.faults == ()
    assert after.version == before.newest
    await database.close()


async def test_a_table_that_differs_is_found(url):
    database = Database(url)
    async with database.write() as connection:
        await connection.execute(text("ALTER TABLE calls ADD COLUMN surprise TEXT"))
    assert "surprise" in (await check(database)).faults[0]
    await database.close()
