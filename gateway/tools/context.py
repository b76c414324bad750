"""What a tool knows about its call, and what it may ask of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.call.events import Event, HangUpAsked, TransferAsked, VariableSet
from gateway.errors import ToolError

_REASON_LENGTH = 40
MAX_NOTE = 400
"""Characters of what an agent notes; more is cut."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """One call, as its tools see it: a frozen value that may be used on any thread.

    Its methods only ask: they put an event on the call's own loop through ``ask`` and return at once. So tools never
    touch what the call is made of, and could run in another process.
    A caller's number is not an identity: it can be forged.
    """

    call_id: str
    line: str
    ask: Callable[[Event], None] = field(repr=False, compare=False)
    """Gives an event to the call; must be safe to use from any thread."""
    caller: str = field(default="", repr=False)
    called: str = ""
    language: str = "en-US"
    timezone: str = "UTC"
    targets: tuple[str, ...] = ()
    """The names to which this line may transfer."""
    vars: Mapping[str, str] = field(default_factory=dict)
    """The line's variables, with what the carrier's request said of those that the line declares."""
    notes: tuple[str, ...] = ()
    """The names under which something may be noted for whoever gets the call next."""

    async def hang_up(self, reason: str = "done") -> None:
        """Ask for the end of the call, after the caller has heard the agent's last word.

        Args:
            reason: why, in a few words; kept in kebab-case, at most 40 characters long.
        """
        self.ask(HangUpAsked(by="agent", reason=_kebab(reason) or "done"))

    async def transfer(self, target: str) -> None:
        """Ask for the caller to be transferred, after they have heard the agent's last word.

        Args:
            target: a name that the line lists. Never a number: a model that obeys a stranger can't dial theirs.

        Raises:
            ToolError: the line has no such target.
        """
        if target not in self.targets:
            known = ", ".join(self.targets) or "none"
            raise ToolError(f"There is nobody called {target[:_REASON_LENGTH]!r} to transfer to. Known: {known}.")
        self.ask(TransferAsked(by="agent", target=target))

    async def note(self, name: str, value: str) -> None:
        """Write something down for whoever gets the call next: the workflow of a transfer, or the call's sender.

        Args:
            name: one of those that the line lists under ``notes``.
            value: what to write, at most 400 characters; it replaces what was there.

        Raises:
            ToolError: the line has no such name.
        """
        if name not in self.notes:
            known = ", ".join(self.notes) or "none"
            raise ToolError(f"Nothing can be noted under {name[:_REASON_LENGTH]!r}. Known: {known}.")
        self.ask(VariableSet(name, value[:MAX_NOTE]))


def _kebab(text: str) -> str:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words)[:_REASON_LENGTH].strip("-")
