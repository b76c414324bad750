"""One thing that the API does, as a value: from it come its route, its checks and its description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from gateway.store.tokens import Scope, Token


class Given(BaseModel):
    """What a request gives: nothing unknown in it, and texts that are numbers or moments read as such."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Given):
    """A request that gives nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was let in: whose it is, the ids in its path, its query and its body, both checked."""

    request: Request
    token: Token
    path: dict[str, str]
    query: Any
    body: Any

    @property
    def actor(self) -> str:
        """Who asks, for the audit."""
        return f"token:{self.token.name}"


class Refused(Exception):  # noqa: N818 - it is an answer
    """The answer is no; ``code`` is kebab-case and stays the same over versions, ``message`` is for people."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = headers or {}
        self.status = status
        self.code = code
        self.message = message


Method: TypeAlias = Literal["get", "post", "delete"]


Run: TypeAlias = Callable[[Asked], Awaitable[BaseModel | Response]]
"""Answers what was asked, or raises ``Refused``."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What may be asked, by whom, and what answers.

    Attributes:
        path: with ``{names}`` of ids.
        scope: what a token must allow.
        answers: the model of a good answer; or the media type of one that is no JSON.
        refusals: the statuses of other answers, with when they come; 400 and 401 come everywhere.
    """

    method: Method
    path: str
    scope: Scope
    name: str
    summary: str
    run: Run
    answers: type[BaseModel] | str
    status: int = 200
    query: type[Given] = Nothing
    body: type[Given] | None = None
    refusals: tuple[tuple[int, str], ...] = ()


NO_SUCH_CALL = (404, "There is no such call.")
NOT_LIVE = (409, "The call is not live on this node.")
