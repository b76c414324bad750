"""Twilio's published OpenAPI description of its voice API: what we ask of it has to be what it describes.

The description is not part of this project; where it is not beside the checkout, ``TWILIO_OPENAPI`` may name its file.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import pytest
from jsonschema import Draft202012Validator

Request: TypeAlias = tuple[str, str, Mapping[str, str]]
"""Method, path, and the fields of the form or the query."""
FORM = "application/x-www-form-urlencoded"


class TwilioApi:
    """The description, as a judge of requests."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self._described = described

    def judge(self, requests: Iterable[Request]) -> Counter[str]:
        """Check requests, and return how many there were of each operation; what is not described counts as such."""
        seen: Counter[str] = Counter()
        for method, path, fields in requests:
            template, values = self._find(path)
            if not template:
                seen["not described"] += 1
                continue
            operation = self._described["paths"][template].get(method.lower())
            assert operation, f"{template} takes no {method}"
            named = {each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "path"}
            self._check(values, named)
            self._check(fields, self._fields(operation, method))
            seen[f"{method} {template.rpartition('{AccountSid}/')[2]}"] += 1
        return seen

    def _find(self, path: str) -> tuple[str, dict[str, str]]:
        for template in self._described["paths"]:
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
            if match := re.fullmatch(pattern, path):
                return template, {name: unquote(value) for name, value in match.groupdict().items()}
        return "", {}

    def _fields(self, operation: Mapping[str, Any], method: str) -> dict[str, Any]:
        if method == "GET":
            return {each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "query"}
        fields: dict[str, Any] = self._resolved(operation["requestBody"]["content"][FORM]["schema"])["properties"]
        return fields

    def _check(self, values: Mapping[str, str], schemas: Mapping[str, Any]) -> None:
        """Check each value by its schema, as the number or truth value that its text stands for."""
        unknown = values.keys() - schemas.keys()
        assert not unknown, f"Twilio describes no {', '.join(sorted(unknown))}"
        for name, text in values.items():
            schema = self._resolved(schemas[name])
            value = json.loads(text) if schema.get("type") in {"integer", "number", "boolean"} else text
            Draft202012Validator(schema).validate(value)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema


def find_twilio_api() -> TwilioApi | None:
    """Return the description, where it is at hand."""
    beside = (folder / "shared" / "twilio-api" / "voice.json" for folder in Path(__file__).resolve().parents)
    named = Path(os.environ.get("TWILIO_OPENAPI") or next((path for path in beside if path.is_file()), ""))
    return TwilioApi(json.loads(named.read_text(encoding="utf-8"))) if named.is_file() else None


@pytest.fixture(scope="session")
def twilio_api() -> TwilioApi:
    api = find_twilio_api()
    if api is None:
        pytest.skip("LEFT OUT: Twilio's OpenAPI description is not here; TWILIO_OPENAPI may name its file (voice.json)")
    return api
