"""Is the process alive, and does it take calls?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.config.directory import Directory
from gateway.exchange import Exchange


@dataclass(slots=True)
class Health:
    """The node's readiness: why it takes no calls, where it takes none."""

    exchange: Exchange
    directory: Callable[[], Directory]
    starting: bool = True
    faults: list[str] = field(default_factory=list)
    """Why the folder of lines, as it is now, is not in effect; calls go on with the snapshot before."""

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
            "snapshot": self.directory().hash,
            "config_faults": self.faults,
        }
        return JSONResponse(state, status_code=503 if reasons else 200)
