"""What the softphone's page asks for: a call, its news, and a person's yes or no to a tool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gateway.call.events import ApprovalGiven
from gateway.call.plan import Connect
from gateway.carriers.browser.calls import ACCOUNT, incoming
from gateway.carriers.browser.socket import MEDIA_PATH
from gateway.config.directory import Directory
from gateway.exchange import Exchange
from gateway.livecall import LiveCall
from gateway.web.live import plan_state, server_sent

MAX_BODY: Final = 4096
OPERATOR: Final = "softphone"

log = structlog.get_logger()
Asked = TypeVar("Asked")


class CallAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body that asks for a call."""

    line: str


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body that decides about a tool."""

    approved: bool


class UnreadableError(Exception):
    """A request's body is not what it should be."""


class Softphone:
    """The requests of the softphone's page. Who may make them is decided before."""

    def __init__(self, exchange: Exchange, directory: Callable[[], Directory]) -> None:
        self._exchange = exchange
        self._directory = directory

    async def call(self, request: Request) -> Response:
        """Begin a call to a line: answers with the token for its one stream, and with what is to be said before."""
        try:
            asked = await _body(request, CallAsked)
        except UnreadableError as error:
            return _fault(400, str(error))
        if asked.line not in self._directory().lines:
            return _fault(404, f"There is no line called {asked.line!r} (any more). Reload the page.")
        described = incoming(asked.line)
        plan = self._exchange.offer(described)
        connect = next((verb for verb in plan if isinstance(verb, Connect)), None)
        live = next((live for live in self._exchange.calls if live.incoming.call_sid == described.call_sid), None)
        if connect is None or live is None:
            return _fault(409, "The gateway takes no more calls on this line now: it is full, or it is shutting down.")
        await self._exchange.on_record(described.call_sid)
        return JSONResponse(
            {
                "call_id": live.call_id,
                "call_sid": described.call_sid,
                "account_sid": ACCOUNT,
                "stream": MEDIA_PATH,
                "parameters": connect.parameters,
                "before": [verb for verb in plan_state(plan) if verb["verb"] == "say"],
            },
            status_code=201,
        )

    async def events(self, request: Request) -> Response:
        """Stream the news of a call; ``Last-Event-ID`` says where a reader goes on."""
        live = self._find(request)
        if live is None:
            return _fault(404, "There is no such call.")
        known = request.headers.get("last-event-id", "")
        after = int(known) if known.isascii() and known.isdigit() else 0
        return StreamingResponse(server_sent(live, after), media_type="text/event-stream")

    async def approve(self, request: Request) -> Response:
        """Say yes or no to a tool that waits; a second answer changes nothing."""
        live = self._find(request)
        if live is None or live.reason is not None:
            return _fault(404, "There is no such call (any more).")
        try:
            decision = await _body(request, Decision)
        except UnreadableError as error:
            return _fault(400, str(error))
        tool_call_id = str(request.path_params["tool_call_id"])
        live.bridge.emit(ApprovalGiven(tool_call_id, decision.approved, OPERATOR))
        return Response(status_code=204)

    def _find(self, request: Request) -> LiveCall | None:
        live = self._exchange.find(str(request.path_params["call_id"]))
        return live if live is not None and live.incoming.account_sid == ACCOUNT else None


async def _body(request: Request, kind: type[Asked]) -> Asked:
    """Read a small JSON body.

    Raises:
        UnreadableError: it is something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UnreadableError("The body must be JSON.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise UnreadableError("The body is too long.")
        return msgspec.json.decode(bytes(body), type=kind)
    except (msgspec.DecodeError, UnicodeError, ClientDisconnect) as error:
        raise UnreadableError("The body can't be read.") from error


def _fault(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status_code=status)
