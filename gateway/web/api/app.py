"""The API as an application: who may come in, what is asked, who answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from gateway.errors import StoreError
from gateway.store.database import Database
from gateway.store.tokens import Token, verify
from gateway.web.api.openapi import described
from gateway.web.api.operation import Asked, Nothing, Operation, Refused

LARGEST = 64 * 1024
"""Bytes of the largest body."""

log = structlog.get_logger()


class Api:
    """Everything under ``/api/v1``. Nothing of it is answered without a valid token, not even what does not exist."""

    def __init__(self, database: Database, operations: list[Operation]) -> None:
        self.operations = operations
        self._database = database
        self._description = described(operations)
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            by_path.setdefault(operation.path, {})[operation.method.upper()] = operation
        self._router = Router(
            [
                Route("/openapi.json", self._describe, methods=["GET"]),
                *(Route(path, partial(self._answer, of), methods=[*of]) for path, of in by_path.items()),
            ],
            redirect_slashes=False,
        )

    def routes(self) -> list[Mount]:
        mount = Mount("/api/v1", self)
        mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)  # else a newline in an address passes us by
        return [mount]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            request.state.token = await self._let_in(request)
            await self._router(scope, receive, send)
        except Refused as refused:
            await _refusal(refused)(scope, receive, send)
        except HTTPException as error:
            code = {404: "no-such-resource", 405: "method-not-allowed"}.get(error.status_code, "refused")
            answer = _refusal(Refused(error.status_code, code, error.detail, error.headers))
            await answer(scope, receive, send)
        except StoreError as error:
            log.error("api-without-store", error=str(error))  # noqa: TRY400 - no fault of ours
            await _refusal(Refused(503, "store-away", "The store of recordings can't be reached; try again."))(
                scope, receive, send
            )
        except (SQLAlchemyError, OSError) as error:
            log.error("api-without-database", error=type(error).__name__)  # noqa: TRY400 - said once, by the projector
            await _refusal(Refused(503, "database-away", "The database can't be reached; try again."))(
                scope, receive, send
            )

    async def _let_in(self, request: Request) -> Token:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        token = await verify(self._database, shown.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise Refused(401, "token-needed", "Send a valid token: Authorization: Bearer gw_...")
        return token

    async def _describe(self, _request: Request) -> Response:
        return JSONResponse(self._description)

    async def _answer(self, of: Mapping[str, Operation], request: Request) -> Response:
        operation = of["GET" if request.method == "HEAD" else request.method]
        token: Token = request.state.token
        if operation.scope not in token.scopes:
            raise Refused(403, "scope-needed", f"The token does not have the scope {operation.scope}.")
        asked = Asked(
            request,
            token,
            dict(request.path_params),
            _checked(operation.query, _query(request)),
            await _body(operation, request),
        )
        answer = await operation.run(asked)
        if isinstance(answer, Response):
            return answer
        return Response(answer.model_dump_json(), operation.status, media_type="application/json")


def _query(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refused(400, "malformed", "A parameter is given twice.")
    return dict(pairs)


async def _body(operation: Operation, request: Request) -> Any:
    if operation.body is None:
        return Nothing()
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > LARGEST:
            raise Refused(413, "too-large", f"The body has more than {LARGEST} bytes.")
    try:
        given = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "malformed", "The body is not JSON.") from error
    return _checked(operation.body, given)


def _checked(model: type[BaseModel], given: Any) -> BaseModel:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        said = ((".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors())
        faults = (f"{where}: {what.removeprefix('Value error, ')}" for where, what in said)
        raise Refused(400, "malformed", "; ".join(faults)) from error


def _refusal(refused: Refused) -> Response:
    more = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}  # noqa: PLR2004 - Unauthorized
    content = {"error": {"code": refused.code, "message": refused.message}}
    return JSONResponse(content, refused.status, {**more, **refused.headers})
