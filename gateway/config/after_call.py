"""What a line's file may say about what comes after a call: what is kept, what it came to, and who is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from gateway.config.units import ENVIRONMENT, Checked, Days, wrong


class TranscriptConfig(Checked):
    """What is kept of what was said."""

    keep: Days | None = Field(
        default=None,
        description="How long what was said is kept, as `30d` or `1y`; then only that the call took place, and how it "
        "ended. By default without limit.",
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where news of a line's calls goes; a web address may hold a secret."""

    kind: Literal["webhook", "email", "slack"]
    address: str = field(repr=False)
    messages_only: bool = False


def _as_json(value: Any) -> Any:
    """Return plain JSON: a file's lists are read as tuples."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, list | tuple) else value


def _check_schema(value: dict[str, Any]) -> dict[str, Any]:
    import jsonschema  # noqa: PLC0415 - only lines with a schema pay for it

    try:
        jsonschema.Draft202012Validator.check_schema(value)
    except jsonschema.SchemaError as error:
        where = ".".join(str(part) for part in error.path)
        raise wrong(f"not a JSON Schema: {where}: {error.message}", "see json-schema.org, draft 2020-12") from error
    if value.get("type") != "object" or not value.get("properties"):
        raise wrong("the schema describes no object", "write {type: object, properties: {...}}")
    return value


class OutcomeConfig(Checked):
    """What a call came to, found out from what was heard once it is over."""

    model_config = ConfigDict(serialize_by_alias=True)

    wanted: Annotated[dict[str, Any], BeforeValidator(_as_json), AfterValidator(_check_schema)] = Field(
        alias="schema", description="JSON Schema of what is wanted, an object: reason, name, callback number, ..."
    )


def _check_address(value: str) -> str:
    local = re.match(r"http://(127\.0\.0\.1|localhost|\[::1\])[:/]", value)
    if value and not local and not value.startswith("https://") and not ENVIRONMENT.fullmatch(value):
        raise wrong(f"{value!r} is no https address", 'write https://..., or "${NAME}" for one that is secret')
    return value


def _check_mailbox(value: str) -> str:
    if value and not re.fullmatch(r"[^\s@,]+@[^\s@,]+", value):
        raise wrong(f"{value!r} is no e-mail address", "write name@host")
    return value


class DeliveryConfig(Checked):
    """Somebody who is told of each call once it is over, and of messages that were taken on it."""

    webhook: Annotated[str, AfterValidator(_check_address)] = Field(
        default="", description="An https address that gets JSON, signed; `${NAME}` is read from the environment."
    )
    email: Annotated[str, AfterValidator(_check_mailbox)] = Field(
        default="", description="An e-mail address; needs `GATEWAY_SMTP_URL`."
    )
    slack: Annotated[str, AfterValidator(_check_address)] = Field(
        default="", description="An incoming webhook of Slack, or of what speaks the same; `${NAME}` as above."
    )
    messages_only: bool = Field(
        default=False, description="Tell of messages that `take_message` took, and else of nothing."
    )

    def resolved(self, environment: Mapping[str, str] | None) -> Delivery:
        """Return where it goes, with what the environment says."""
        if self.email:
            return Delivery("email", self.email, self.messages_only)
        address = self.webhook or self.slack
        if environment is not None:
            address = ENVIRONMENT.sub(lambda match: environment.get(match["name"], ""), address)
        return Delivery("webhook" if self.webhook else "slack", address, self.messages_only)

    @model_validator(mode="after")
    def _one(self) -> DeliveryConfig:
        if sum(map(bool, (self.webhook, self.email, self.slack))) != 1:
            raise wrong("it takes one of webhook, email and slack", "list several of them below deliver")
        return self
