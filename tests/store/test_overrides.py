"""What is set at one node counts at every node, and ends by itself there; a database that goes away changes nothing."""

from contextlib import asynccontextmanager

import anyio
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from gateway.call.outcome import AgentAnswers, Refused, TargetRings, WordsHeard
from gateway.store.database import Database
from gateway.store.overrides import LineOverride, Overrides, clear_override, parse_answer, set_override

pytestmark = pytest.mark.anyio


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def nodes(url, clock):
    """Two nodes with one database, and the command's own connection to it."""
    databases = [Database(url) for _ in range(3)]
    try:
        yield *(Overrides(each, clock) for each in databases[:2]), databases[2]
    finally:
        for each in databases:
            await each.close()


async def test_every_node_sees_it_and_it_is_over_everywhere(url):
    clock = Clock()
    async with nodes(url, clock) as (one, other, operator):
        await set_override(operator, LineOverride("desk", "transfer:night", "ada", 1000.0, 1060.0))
        await set_override(operator, LineOverride("uk", "busy", "ada", 1000.0, 9000.0))
        with capture_logs() as logged:
            for node in (one, other):
                await node.look()
                assert node.of("desk") == TargetRings("night")
                assert [each.line for each in node.current] == ["desk", "uk"]
        assert [(each["event"], each["line"]) for each in logged].count(("line-override", "desk")) == 2
        clock.now = 1060.0
        assert one.of("desk") is None  # by the clock alone, whatever the database says
        assert [each.line for each in other.current] == ["uk"]

        await set_override(operator, LineOverride("uk", "say:Back at nine.", "bob", 1060.0, 9000.0))
        await other.look()
        assert other.of("uk") == WordsHeard("Back at nine.")
        assert await clear_override(operator, "uk", "bob")
        assert not await clear_override(operator, "uk", "bob")
        await other.look()
        assert other.of("uk") is None
        async with operator.read() as connection:
            rows = await connection.execute(text("SELECT actor, action, line FROM audit ORDER BY number"))
            assert [tuple(row) for row in rows] == [
                ("ada", "line-override-set", "desk"),
                ("ada", "line-override-set", "uk"),
                ("bob", "line-override-set", "uk"),
                ("bob", "line-override-cleared", "uk"),
            ]


async def test_a_database_that_is_away_leaves_what_was_until_its_time_is_over(url):
    clock = Clock()
    async with nodes(url, clock) as (node, _, operator):
        await set_override(operator, LineOverride("desk", "busy", "ada", 1000.0, 1060.0))
        await node.look()
        async with operator.write() as connection:
            await connection.execute(text("ALTER TABLE line_overrides RENAME TO gone"))
        with capture_logs() as logged:
            await node.look()
            await node.look()
        assert [each["event"] for each in logged] == ["overrides-unread"]
        assert node.of("desk") == Refused("busy")
        clock.now = 1061.0
        assert node.of("desk") is None
        with anyio.move_on_after(0.2):
            await node.run()  # goes on looking


@pytest.mark.parametrize(
    ("answer", "meant"), [("agent", AgentAnswers()), ("busy", Refused("busy")), ("say: Hello. ", WordsHeard("Hello."))]
)
def test_answers(answer, meant):
    assert parse_answer(answer) == meant


@pytest.mark.parametrize("answer", ["", "bsy", "agent:x", "transfer:", "say:  ", "transfer"])
def test_nonsense(answer):
    with pytest.raises(ValueError, match="is none of agent, transfer:NAME, say:TEXT and busy"):
        parse_answer(answer)
