"""Whether the records in a data folder are what they should be, after calls that ended in every way there is."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.store import tables
from gateway.testing import PhoneCall

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Books:
    """The records of gateways that ran one after the other on a data folder, and are gone now."""

    data: Path
    lines: Path

    @property
    def database(self) -> Path:
        return self.data / "gateway.db"

    def by_call_sid(self) -> dict[str, list[Row]]:
        """Return the records of calls by the carrier's id."""
        found: dict[str, list[Row]] = {}
        for row in _rows(self.database, "calls"):
            found.setdefault(row["call_sid"], []).append(row)
        return found

    def all_rows(self) -> dict[str, list[Row]]:
        """Return every row that was made from logs, by table."""
        return _everything(self.database)

    async def differences(self) -> list[str]:
        """Make the records again from the logs, in another database; return the rows that differ."""
        again = self.data / "again.db"
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "db", "rebuild", "--json",
            env={
                "PATH": os.environ["PATH"],
                "GATEWAY_DATA_DIR": str(self.data),
                "GATEWAY_CONFIG_DIR": str(self.lines),
                "DATABASE_URL": f"sqlite:///{again}",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await done.communicate()
        if done.returncode != 0:
            return [f"gateway db rebuild: {said.decode()}"]
        live, rebuilt = _everything(self.database), _everything(again)
        return [
            f"{table}, {whose}: {row}"
            for table in live
            for whose, some, others in (
                ("live only", live[table], rebuilt[table]),
                ("rebuilt only", rebuilt[table], live[table]),
            )
            for row in some
            if row not in others
        ]


def was_accepted(call: PhoneCall) -> bool:
    """Say whether the gateway took a call, as the carrier knows it: it answered with a stream to connect."""
    return any("<Connect" in request.body for request in call.log.requested("voice") if request.status == 200)


def faults_of(rows: list[Row]) -> str:
    """Say what is wrong with the records of an accepted call; nothing where there is one, and it is closed."""
    if len(rows) != 1:
        return f"{len(rows)} records"
    missing = [name for name in ("ended", "result", "reason", "ended_by") if not rows[0][name]]
    return f"without {', '.join(missing)}" if missing else ""


def is_sound(database: Path) -> bool:
    """Say whether a database passes SQLite's own check."""
    with closing(sqlite3.connect(database)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")


def _everything(database: Path) -> dict[str, list[Row]]:
    found = {table.name: _rows(database, table.name) for table in tables.PROJECTIONS}
    for row in found["transcripts"]:
        del row["seq"]  # the order of writing
    return found


def _rows(database: Path, table: str) -> list[Row]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
