"""Where the records of a command are: the database and the folder of the data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import typer

from gateway.cli.operator import moment
from gateway.errors import ConfigError, SettingsError

if TYPE_CHECKING:
    from gateway.config.directory import Directory
    from gateway.settings import Settings
    from gateway.store.database import Database
    from gateway.store.retention import Keep, Shelf

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Records:
    """The opened database, and the settings that say where everything else is."""

    database: Database
    settings: Settings

    @property
    def logs(self) -> Path:
        return self.settings.data_dir / "calls"

    def shelf(self) -> Shelf:
        """Return everywhere that something of a call may be."""
        from gateway.store.recording.shelf import Recordings  # noqa: PLC0415 - heavy
        from gateway.store.retention import Shelf  # noqa: PLC0415 - heavy

        recordings = Recordings(self.settings.data_dir / "recordings", self.settings.recordings_url)
        return Shelf(self.database, self.logs, recordings)

    def directory(self) -> Directory | None:
        """Return the lines as their files have them now; None where these have faults."""
        from gateway.config.loader import load  # noqa: PLC0415 - heavy

        try:
            return load(self.settings.config_dir)
        except ConfigError:
            return None

    def keep(self) -> dict[str, Keep]:
        """Return what lines keep now; nothing where their files have faults: then what they kept before counts."""
        from gateway.store.retention import keep_of  # noqa: PLC0415 - heavy

        directory = self.directory()
        return {} if directory is None else keep_of(directory)

    def price(self, line: str, usage: Mapping[str, int], seconds: float) -> Mapping[str, Any] | None:
        """Return what a call cost whose process died; None where that can't be said."""
        from gateway.config.costs import price_afterwards  # noqa: PLC0415 - heavy

        directory = self.directory()
        if directory is None:
            return None
        return price_afterwards(self.settings.openai_realtime_url, directory, line, usage, seconds)

    def settings_of(self, line: str) -> dict[str, Any] | None:
        """Return what is in effect on a line; None where there is no such line."""
        directory = self.directory()
        if directory is None or line not in directory.lines:
            return None
        kept = ("recording.", "transcript.", "outcome.", "deliver.", "number", "language")
        return {each.key: each.value for each in directory.settings[line] if each.key.startswith(kept)}

    def places(self) -> dict[str, str]:
        """Return where everything is, without secrets."""
        recordings = urlsplit(self.settings.recordings_url)
        outside = urlunsplit((recordings.scheme, recordings.hostname or "", recordings.path, "", ""))
        return {
            "records": self.database.url.render_as_string(hide_password=True),
            "logs": str(self.logs.absolute()),
            "recordings": outside or str((self.settings.data_dir / "recordings").absolute()),
        }


async def id_of(records: Records, given: str) -> str:
    """Return the id of a call that is meant: by its id, the beginning of it, or the carrier's id.

    Raises:
        typer.BadParameter: there is none, there are several, or it was erased.
    """
    from gateway.store.calls import ids_of, tombstone_of  # noqa: PLC0415 - heavy

    async with records.database.read() as connection:
        found = await ids_of(connection, given)
        erased = await tombstone_of(connection, given) if not found else None
    if len(found) == 1:
        return found[0]
    if found:
        raise typer.BadParameter(f"several calls begin with {given}: write more of the id", param_hint="CALL")
    if erased is not None:
        raise typer.BadParameter(f"the call {given} was erased at {moment(erased['erased'])}", param_hint="CALL")
    raise typer.BadParameter(f"there is no call {given}", param_hint="CALL")


def with_records(work: Callable[[Records], Coroutine[Any, Any, Result]], *, prepared: bool = True) -> Result:
    """Run something with the database open.

    Args:
        work: gets the records.
        prepared: whether the database must be of this version; SQLite is upgraded on the way.

    Raises:
        SettingsError: the settings can't be read.
        StoreError: the database can't be used.
    """
    import anyio  # noqa: PLC0415 - only commands that open the database pay for it

    async def run() -> Result:
        async with _opened(prepared=prepared) as records:
            return await work(records)

    return anyio.run(run)


@asynccontextmanager
async def _opened(*, prepared: bool) -> AsyncIterator[Records]:
    from gateway.store.database import Database, database_url  # noqa: PLC0415 - heavy
    from gateway.store.schema import prepare  # noqa: PLC0415 - heavy

    settings = read_loosely()
    database = Database(database_url(settings.database_url, settings.data_dir))
    try:
        if prepared:
            await prepare(database)
        yield Records(database, settings)
    finally:
        await database.close()


def read_loosely() -> Settings:
    """Return the settings for a command that takes no calls: what only calls need may be missing.

    Raises:
        SettingsError: a setting can't be read at all.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - heavy

    from gateway.settings import Settings  # noqa: PLC0415 - heavy

    try:
        return Settings()  # type: ignore[call-arg]  # every field has a default
    except ValidationError as error:
        faults = [f"{fault['loc'][0] if fault['loc'] else 'environment'}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("\n".join(faults)) from None
