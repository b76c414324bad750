"""Why a call ended: who is to blame, and for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Result: TypeAlias = Literal["success", "caller", "agent", "carrier", "model", "gateway"]


@dataclass(frozen=True, slots=True)
class EndReason:
    """A result (who ended the call, or who is to blame) and a kebab-case reason."""

    result: Result
    reason: str

    def __str__(self) -> str:
        return f"{self.result}: {self.reason}"
