"""Tokens of the API: what a program shows to be let in. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from sqlalchemy import insert, select, update

from gateway.store import audit
from gateway.store.database import Database
from gateway.store.tables import tokens

Scope: TypeAlias = Literal["read", "listen", "operate", "erase"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""To read calls and their transcripts; to listen to recordings; to act on live calls; to erase calls."""

_SHOWN = re.compile(r"gw_(?P<id>[0-9a-f]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
_USED_EVERY = 60.0
"""Seconds between two notes of a token's use."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is known; moments are Unix seconds."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created: float
    expires: float | None
    revoked: float | None
    used: float | None


async def create(
    database: Database, name: str, scopes: Iterable[Scope], *, by: str, expires: float | None = None
) -> tuple[Token, str]:
    """Make a token; return it and the text that its holder shows, which is kept nowhere."""
    secret = secrets.token_urlsafe(32)
    made = Token(secrets.token_hex(6), name, tuple(dict.fromkeys(scopes)), time.time(), expires, None, None)
    async with database.write() as connection:
        await connection.execute(
            insert(tokens).values(
                id=made.id,
                name=name,
                hash=_hash(secret),
                scopes=list(made.scopes),
                created=made.created,
                expires=expires,
            )
        )
        await audit.note(connection, by, "token-created", subject=made.id, detail={"scopes": list(made.scopes)})
    return made, f"gw_{made.id}_{secret}"


async def verify(database: Database, shown: str) -> Token | None:
    """Return the token that this text is of; None where it is none, or not valid any more."""
    match = _SHOWN.fullmatch(shown)
    if match is None:
        return None
    async with database.read() as connection:
        asked = select(tokens).where(tokens.c.id == match["id"])
        row = (await connection.execute(asked)).mappings().one_or_none()
    if row is None or not hmac.compare_digest(row["hash"], _hash(match["secret"])):
        return None
    now = time.time()
    if row["revoked"] is not None or (row["expires"] is not None and row["expires"] <= now):
        return None
    if row["used"] is None or row["used"] < now - _USED_EVERY:
        async with database.write() as connection:
            await connection.execute(update(tokens).where(tokens.c.id == row["id"]).values(used=now))
    return _token(row)


async def revoke(database: Database, token_id: str, *, by: str) -> bool:
    """Make a token invalid from now on; false where there is no such valid token."""
    async with database.write() as connection:
        valid = (tokens.c.id == token_id) & tokens.c.revoked.is_(None)
        done = await connection.execute(update(tokens).where(valid).values(revoked=time.time()))
        if done.rowcount:
            await audit.note(connection, by, "token-revoked", subject=token_id)
    return bool(done.rowcount)


async def known(database: Database) -> Sequence[Token]:
    """Return all tokens, the newest last."""
    async with database.read() as connection:
        rows = (await connection.execute(select(tokens).order_by(tokens.c.created))).mappings()
        return [_token(row) for row in rows]


def _token(row: object) -> Token:
    fields = dict(row)  # type: ignore[call-overload]  # a RowMapping
    return Token(**{name: fields[name] for name in Token.__slots__} | {"scopes": tuple(fields["scopes"])})


def _hash(secret: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()
