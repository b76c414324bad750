"""The list of what is to be told to whom: kept until it was delivered, in order for each call and address."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import and_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Database
from gateway.store.tables import hooks

Kind: TypeAlias = Literal["webhook", "email", "slack"]

_EARLIER = hooks.alias()
# Built once, as it is asked for again and again: a statement leaves garbage, not collected while there are calls.
_DUE = (
    select(hooks)
    .where(
        hooks.c.state == "waiting",
        hooks.c.due <= bindparam("now"),
        ~(
            select(_EARLIER.c.id)
            .where(
                _EARLIER.c.call_id == hooks.c.call_id,
                _EARLIER.c.address == hooks.c.address,
                _EARLIER.c.state == "waiting",
                _EARLIER.c.number < hooks.c.number,
            )
            .exists()
        ),
    )
    .order_by(hooks.c.due)
)

PAUSES = (5.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0, 12 * 3600.0)
"""Seconds between two tries; after as many and one, a delivery is dead."""
CLAIM = 120.0
"""Seconds for which a delivery that is being tried is left alone by other nodes."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One delivery."""

    id: str
    call_id: str
    line: str
    kind: Kind
    address: str
    event: str
    body: str
    attempts: int


async def add(
    connection: AsyncConnection, call_id: str, line: str, kind: Kind, address: str, event: str, body: dict[str, Any]
) -> None:
    """Have something told; what was added for a call and an address before is told before."""
    before = select(func.count()).where(hooks.c.call_id == call_id, hooks.c.address == address)
    now = time.time()
    await connection.execute(
        insert(hooks).values(
            id=str(uuid.uuid4()),
            call_id=call_id,
            line=line,
            number=(await connection.execute(before)).scalar_one() + 1,
            kind=kind,
            address=address,
            event=event,
            body=json.dumps(body, ensure_ascii=False),
            state="waiting",
            attempts=0,
            created=now,
            due=now,
            error="",
        )
    )


async def has_any(connection: AsyncConnection, call_id: str) -> bool:
    """Say whether anything of a call was told, or is to be told."""
    found = await connection.execute(select(hooks.c.id).where(hooks.c.call_id == call_id).limit(1))
    return found.first() is not None


async def claim(database: Database, limit: int) -> list[Hook]:
    """Return deliveries that are due, which no other node tries meanwhile."""
    now = time.time()
    async with database.read() as connection:
        rows = (await connection.execute(_DUE.limit(limit), {"now": now})).mappings().all()
    claimed = []
    for row in rows:
        async with database.write() as connection:
            same = and_(hooks.c.id == row["id"], hooks.c.due == row["due"], hooks.c.state == "waiting")
            done = await connection.execute(update(hooks).where(same).values(due=now + CLAIM))
        if done.rowcount:
            claimed.append(Hook(**{name: row[name] for name in Hook.__slots__}))
    return claimed


async def delivered(database: Database, hook: Hook) -> None:
    await _change(database, hook.id, state="delivered", attempts=hook.attempts + 1, delivered=time.time(), error="")


async def failed(database: Database, hook: Hook, error: str, *, hopeless: bool = False) -> bool:
    """Note a try that failed; return whether the delivery is dead now. What comes behind it then goes on."""
    dead = hopeless or hook.attempts >= len(PAUSES)
    due = time.time() + PAUSES[min(hook.attempts, len(PAUSES) - 1)]
    state = "dead" if dead else "waiting"
    await _change(database, hook.id, state=state, attempts=hook.attempts + 1, due=due, error=error)
    return dead


async def retry(database: Database, hook_id: str = "") -> int:
    """Have dead deliveries tried again from now on, one or all; return how many."""
    which = hooks.c.state == "dead"
    if hook_id:
        which = hooks.c.id == hook_id
    async with database.write() as connection:
        again = update(hooks).where(which).values(state="waiting", attempts=0, due=time.time())
        return (await connection.execute(again)).rowcount


async def listed(database: Database, *, state: str = "", limit: int = 100) -> Sequence[dict[str, Any]]:
    """Return deliveries without what they say, the newest first."""
    columns = [column for column in hooks.columns if column.name != "body"]
    asked = select(*columns).order_by(hooks.c.created.desc()).limit(limit)
    if state:
        asked = asked.where(hooks.c.state == state)
    async with database.read() as connection:
        return [dict(row) for row in (await connection.execute(asked)).mappings()]


async def _change(database: Database, hook_id: str, **values: Any) -> None:
    async with database.write() as connection:
        await connection.execute(update(hooks).where(hooks.c.id == hook_id).values(**values))
