"""The lines that are in effect, and figures over calls."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.config.directory import Directory
from gateway.config.resolved import LineConfig
from gateway.exchange import Exchange
from gateway.store import calls as records
from gateway.store.database import Database
from gateway.web.api import models
from gateway.web.api.calls import seconds
from gateway.web.api.operation import Asked, Operation, Refused

DAY = 86_400.0


class LinesApi:
    """Shows lines, and figures."""

    def __init__(self, database: Database, exchange: Exchange, directory: Callable[[], Directory]) -> None:
        self._database = database
        self._exchange = exchange
        self._directory = directory

    def operations(self) -> list[Operation]:
        missing = ((404, "There is no such line."),)
        return [
            Operation("get", "/lines", "read", "listLines", "The lines in effect.", self._list, models.Lines),
            Operation("get", "/lines/{line}", "read", "getLine", "One line.", self._get, models.Line, refusals=missing),
            Operation(
                "get",
                "/summary",
                "read",
                "getSummary",
                "Figures over the calls of a span of time, by line and by how they ended.",
                self._summary,
                models.Summary,
                query=models.SpanQuery,
            ),
        ]

    async def _list(self, _asked: Asked) -> models.Lines:
        directory = self._directory()
        return models.Lines(snapshot=directory.hash, lines=[self._shown(line) for line in directory.lines.values()])

    async def _get(self, asked: Asked) -> models.Line:
        line = self._directory().lines.get(asked.path["line"])
        if line is None:
            raise Refused(404, "no-such-line", "There is no such line.")
        return self._shown(line)

    def _shown(self, line: LineConfig) -> models.Line:
        return models.Line(
            id=line.id,
            label=line.label,
            numbers=[*line.numbers],
            default=line.default,
            language=line.language,
            timezone=line.timezone,
            agent=line.agent,
            agents=[*line.agents],
            recording=line.recording.mode,
            live=sum(call.line.id == line.id for call in self._exchange.calls),
        )

    async def _summary(self, asked: Asked) -> models.Summary:
        query: models.SpanQuery = asked.query
        until = seconds(query.until) or time.time()
        since = seconds(query.since) or until - DAY
        async with self._database.read() as connection:
            found = await records.summary(connection, since=since, until=until, line=query.line or "")
        return models.Summary.model_validate(
            {
                **found,
                "since": since,
                "until": until,
                "live": len(self._exchange.calls),
                "capacity": self._exchange.admission.max_calls,
            }
        )
