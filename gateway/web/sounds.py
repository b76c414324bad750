"""Recordings that the carrier plays itself, where no agent can: it fetches them here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.config.clips import SOUND_PATH
from gateway.config.directory import Directory


@dataclass(frozen=True, slots=True)
class Sounds:
    """Serves the recordings of the current snapshot by names that only who has the file can know."""

    directory: Callable[[], Directory]

    def routes(self) -> list[BaseRoute]:
        return [Route(SOUND_PATH + "{name}", self._sound)]

    async def _sound(self, request: Request) -> Response:
        content = self.directory().sounds.get(request.path_params["name"])
        if content is None:
            return Response(status_code=404)
        # The name is a hash of the content, so it never changes.
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(content, media_type="audio/wav", headers=headers)
