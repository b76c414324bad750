"""Which version the database's tables are of, and bringing them up to this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import StoreError
from gateway.store.database import Database
from gateway.store.tables import metadata

_STEPS = Path(__file__).parent / "migrations"
_OURS = frozenset(metadata.tables)
_SEARCH = frozenset({"words", "transcripts_words"})
"""What full-text search adds to the tables, on PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What ``gateway db check`` found."""

    version: str
    """Of the tables; empty where there are none."""
    newest: str
    """What this version of the gateway needs."""
    faults: tuple[str, ...]


async def upgrade(database: Database) -> tuple[str, str]:
    """Bring the tables up to this version; return their version before and after.

    Two processes that start at once take turns: the second finds nothing to do.
    """
    async with database.write() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(7426001)"))
        before = await connection.run_sync(_version)
        await connection.run_sync(_upgrade)
        return before, await connection.run_sync(_version)


async def prepare(database: Database) -> None:
    """Make a database fit to be used: SQLite is brought up to this version, PostgreSQL must be.

    Raises:
        StoreError: it can't be reached, is not of this version, or can't be upgraded.
    """
    try:
        if database.is_sqlite:
            database.make_folder()
            await upgrade(database)
            return
        async with database.read() as connection:
            version = await connection.run_sync(_version)
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"DATABASE_URL: the database can't be used: {_first_line(error)}") from error
    newest = _newest()
    if version != newest:
        raise StoreError(f"the database is of version {version or 'none'}, not {newest}: run gateway db upgrade first")


async def check(database: Database) -> Checked:
    """Compare the tables with what this version needs, and have SQLite look for damage."""
    newest = _newest()
    async with database.read() as connection:
        version = await connection.run_sync(_version)
        if version != newest:
            remedy = f"the tables are of version {version or 'none'}, this gateway needs {newest}: gateway db upgrade"
            return Checked(version, newest, (remedy,))
        faults = await connection.run_sync(_differences)
        if database.is_sqlite:
            found = await connection.execute(text("PRAGMA integrity_check"))
            faults += [f"damage: {row[0]}" for row in found if row[0] != "ok"]
    return Checked(version, newest, tuple(faults))


def configure(into: Callable[..., Any], connection: Connection) -> None:
    """Tell Alembic about our tables."""
    into(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        include_name=_is_ours,
        transactional_ddl=True,
    )


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return name in _OURS if kind == "table" else name not in _SEARCH


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_STEPS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")


def _newest() -> str:
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _version(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _differences(connection: Connection) -> list[str]:
    found = compare_metadata(MigrationContext.configure(connection, opts={"include_name": _is_ours}), metadata)
    return [f"the tables differ from this version's: {' '.join(str(part) for part in each)}" for each in found]
