"""Status callbacks: best effort, and in whatever order the carrier has them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random

from gateway.testing.twilio.behaviour import StatusOrder
from gateway.testing.twilio.webhook import Target, WebhookError, Webhooks


class StatusCallbacks:
    """Sends what happened to a call; ``reversed`` and ``shuffled`` ones are held back until the call is over."""

    def __init__(
        self, target: Target | None, events: tuple[str, ...], webhooks: Webhooks, order: StatusOrder, random: Random
    ) -> None:
        self.failures: list[WebhookError] = []
        self._target = target
        self._events = events
        self._webhooks = webhooks
        self._order = order
        self._random = random
        self._noted = 0
        self._held: list[dict[str, str]] = []
        self._due: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()

    def note(self, event: str, parameters: Mapping[str, str]) -> None:
        """Something happened: ``initiated``, ``ringing``, ``answered`` or ``completed``."""
        if self._target is None or event not in self._events:
            return
        form = dict(parameters) | {
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._noted),
            "Timestamp": format_datetime(datetime.now(UTC)),
        }
        self._noted += 1
        if self._order in {"reversed", "shuffled"}:
            self._held.append(form)
        else:
            for _ in range(2 if self._order == "doubled" else 1):
                self._due.put_nowait(form)

    def finish(self) -> None:
        """Send what was held back; nothing comes after it."""
        if self._order == "shuffled":
            self._random.shuffle(self._held)
        for form in reversed(self._held):
            self._due.put_nowait(form)
        self._due.put_nowait(None)

    async def run(self) -> None:
        """Deliver until finished, one after the other."""
        while (form := await self._due.get()) is not None:
            assert self._target is not None  # noqa: S101 - nothing is due without one
            try:
                await self._webhooks.deliver(self._target, form)
            except WebhookError as error:
                self.failures.append(error)
