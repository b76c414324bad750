"""Is the process alive, and does it take calls?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.config.watch import Watcher
from gateway.exchange import Exchange
from gateway.store.overrides import LineOverride, Overrides


@dataclass(slots=True)
class Health:
    """The node's readiness: why it takes no calls, where it takes none."""

    exchange: Exchange
    watcher: Watcher
    overrides: Overrides
    starting: bool = True

    def routes(self) -> list[BaseRoute]:
        return [Route("/healthz", self._alive), Route("/readyz", self._ready)]

    def reasons(self) -> list[str]:
        """Say why new calls are not taken; empty where they are."""
        found = []
        if self.starting:
            found.append("starting")
        if self.exchange.draining:
            found.append("draining")
        if len(self.exchange.calls) >= self.exchange.admission.max_calls:
            found.append("full")
        return found

    async def _alive(self, _request: Request) -> Response:
        return JSONResponse({"alive": True})

    async def _ready(self, _request: Request) -> Response:
        reasons = self.reasons()
        state = {
            "ready": not reasons,
            "reasons": reasons,
            "calls": len(self.exchange.calls),
            "capacity": self.exchange.admission.max_calls,
            "snapshot": self.watcher.current.hash,
            # Why the folder of lines as it is now is not in effect; calls go on with the snapshot before.
            "config_faults": [str(fault) for fault in self.watcher.faults],
            "overrides": [_shown(override) for override in self.overrides.current],
        }
        return JSONResponse(state, status_code=503 if reasons else 200)


def _shown(override: LineOverride) -> dict[str, str]:
    """Return an override without the words of it: anybody may ask whether a node is ready."""
    answer = "say" if override.answer.startswith("say:") else override.answer
    until = datetime.fromtimestamp(override.until, UTC).isoformat(timespec="seconds")
    return {"line": override.line, "answer": answer, "by": override.by, "until": until}
