"""The API's OpenAPI description, made from its operations."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway import __version__
from gateway.web.api import models
from gateway.web.api.operation import Operation

_REF = "#/components/schemas/{model}"
_PATH_IDS = {
    "call_id": {"type": "string", "pattern": r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    "tool_call_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"},
    "line": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
_REFUSALS = {
    400: "The request is malformed.",
    401: "There is no valid token.",
    403: "The token does not have the scope.",
    503: "The database can't be reached.",
}


def described(operations: list[Operation]) -> dict[str, Any]:
    """Return the description, in OpenAPI 3.1."""
    wanted: list[tuple[type[BaseModel], Any]] = [(models.Problem, "serialization")]
    for operation in operations:
        if not isinstance(operation.answers, str):
            wanted.append((operation.answers, "serialization"))
        if operation.body is not None:
            wanted.append((operation.body, "validation"))
    _, schemas = models_json_schema([*dict.fromkeys(wanted)], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Telephony voice gateway", "version": __version__},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "From `gateway tokens create`."}
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Needs the scope `{operation.scope}`.",
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        schema = {"$ref": _REF.format(model=operation.body.__name__)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": _PATH_IDS[name]} for name in names]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = operation.query.model_json_schema()
    found = []
    for name, described_ in schema.get("properties", {}).items():
        kinds = [kind for kind in described_.get("anyOf", [described_]) if kind.get("type") != "null"]
        of = {key: value for key, value in kinds[0].items() if key not in {"title", "description", "default"}}
        if described_.get("format") == "date-time":
            of = {"type": "string", "format": "date-time"}
        parameter = {"name": name, "in": "query", "required": False, "schema": of}
        found.append({**parameter, "description": described_.get("description", "")})
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    if isinstance(operation.answers, str):
        good: dict[str, Any] = {operation.answers: {"schema": {}}}
    else:
        good = {"application/json": {"schema": {"$ref": _REF.format(model=operation.answers.__name__)}}}
    problem = {"application/json": {"schema": {"$ref": _REF.format(model="Problem")}}}
    refusals = _REFUSALS | dict(operation.refusals)
    found = {str(status): {"description": text, "content": problem} for status, text in sorted(refusals.items())}
    statuses = {str(operation.status): {"description": operation.summary, "content": good}}
    if operation.answers == "audio/wav":
        statuses["206"] = {"description": "The part that a Range asked for.", "content": good}
    return statuses | found
