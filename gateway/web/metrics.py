"""``/metrics``: what Prometheus scrapes."""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.config.watch import Watcher
from gateway.exchange import Exchange
from gateway.store.log import LogWriter
from gateway.store.recording.shelf import Recordings
from gateway.telemetry.metrics import Load, Metrics


def load_of(
    exchange: Exchange,
    watcher: Watcher,
    logs: LogWriter,
    recordings: Recordings,
    refused: Mapping[str, int],
    warnings: Mapping[str, int],
) -> Load:
    """Return what a node does right now, line by line, what it could not write, refused and warned of."""
    live = Counter(call.line.id for call in exchange.calls)
    return Load(
        live={line: live[line] for line in sorted({*watcher.current.lines, *live})},
        capacity=exchange.admission.max_calls,
        draining=exchange.draining,
        unwritten={"logs": logs.failures, "recordings": recordings.failures},
        refused=refused,
        warnings=warnings,
        tasks=len(asyncio.all_tasks()),
    )


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """The metrics of this node; with a ``token`` they are for those alone who bring it as a bearer."""

    metrics: Metrics
    token: str = ""

    def routes(self) -> list[BaseRoute]:
        return [Route("/metrics", self._answer)]

    async def _answer(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("latin-1")
        if self.token and not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        text, kind = self.metrics.exposition()
        return Response(text, headers={"Content-Type": kind})
