"""The console: its pages, its static files, and the headers that keep both to themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Final, TypeAlias

import jinja2
import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.carriers.browser.guard import refusal
from gateway.config.directory import Directory
from gateway.exchange import Exchange
from gateway.web.console.softphone import Softphone

PATH: Final = "/console"
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
log = structlog.get_logger()


class Console:
    """The console of one node, for this machine alone until there is a login."""

    def __init__(self, exchange: Exchange, directory: Callable[[], Directory]) -> None:
        folder = Path(str(resources.files("gateway.web.console")))
        self._softphone = Softphone(exchange, directory)
        self._directory = directory
        self._static = _Static(directory=folder / "static")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
        )

    def routes(self) -> list[BaseRoute]:
        phone = self._softphone
        return [
            Route(PATH, self._home),
            Route(f"{PATH}/", self._home),
            Route(f"{PATH}/softphone", self._guarded(self._softphone_page)),
            Route(f"{PATH}/softphone/calls", self._guarded(phone.call, acts=True), methods=["POST"]),
            Route(f"{PATH}/softphone/calls/{{call_id}}/events", self._guarded(phone.events)),
            Route(
                f"{PATH}/softphone/calls/{{call_id}}/approvals/{{tool_call_id}}",
                self._guarded(phone.approve, acts=True),
                methods=["POST"],
            ),
            Mount(f"{PATH}/static", self._static, name="console-static"),
        ]

    async def _home(self, _request: Request) -> Response:
        return RedirectResponse(f"{PATH}/softphone")

    async def _softphone_page(self, _request: Request) -> Response:
        lines = sorted(self._directory().lines.values(), key=lambda line: (not line.default, line.label))
        return self._page("softphone.html", lines=lines)

    def _page(self, template: str, **values: object) -> Response:
        return Response(self._templates.get_template(template).render(values), media_type="text/html")

    def _guarded(self, endpoint: Endpoint, *, acts: bool = False) -> Endpoint:
        async def guarded(request: Request) -> Response:
            if why := refusal(request.client.host if request.client else "", request.headers, acts=acts):
                log.warning("browser-refused", why=why, what=request.url.path.rpartition("/")[2])
                response: Response = Response("The console answers on this machine alone.\n", 403)
            else:
                response = await endpoint(request)
            response.headers.update(HEADERS)
            return response

        return guarded


class _Static(StaticFiles):
    """The console's own files: nothing in them is secret, and they carry the console's headers."""

    async def get_response(self, path: str, scope: object) -> Response:
        response = await super().get_response(path, scope)  # type: ignore[arg-type]
        response.headers.update(HEADERS)
        return response
