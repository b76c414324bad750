"""A tool, as a value."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from gateway.tools.context import ToolContext

Effect: TypeAlias = Literal["read", "write", "end", "transfer"]
"""What a tool changes: nothing, something outside of the call, the call's end, or who the caller talks to."""

Run: TypeAlias = Callable[[ToolContext, dict[str, Any]], Awaitable[str]]

DEFAULT_TIMEOUT = 10.0
"""Seconds until the agent is told that a tool took too long."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """Something that an agent may do.

    Attributes:
        name: what the model calls it; letters, digits, ``_`` and ``-``, at most 64 (OpenAI's rule for functions).
        description: what it does, for the model.
        schema: JSON Schema of its arguments, an object.
        run: does it, on the tools loop; gets the call's context and the arguments, returns text for the model and
            raises ToolError with text for the model. The arguments are the model's: they may not match the schema.
        effect: what it changes.
        timeout: seconds until it is given up.
    """

    name: str
    description: str
    schema: dict[str, Any]
    run: Run
    effect: Effect = "read"
    timeout: float = DEFAULT_TIMEOUT

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for a tool: letters, digits, _ and -, at most 64")
        if self.timeout <= 0:
            raise ValueError(f"the timeout of {self.name} must be more than 0 seconds, not {self.timeout}")
