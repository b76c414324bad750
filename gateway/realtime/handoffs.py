"""Handoffs that can be refused: agents that pass the caller round in a circle are stopped."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from agents import Handoff, RunContextWrapper
from agents.realtime import RealtimeAgent, realtime_handoff

from gateway.call.events import HangUpAsked
from gateway.realtime.toolsthread import described
from gateway.tools.context import ToolContext

log = structlog.get_logger()

HANDOFFS_IN_A_ROW: Final = 5
"""How often agents may hand the caller over without the caller having said anything in between (hazard K7)."""
REFUSALS: Final = 5
"""How many refusals an agent may ignore before the call is ended: it would go on for ever."""
FORGOTTEN_AFTER: Final = 60.0
"""Seconds after which a handoff counts no more, whether the caller spoke or not."""


class HandoffBudget:
    """How often the agents of one call may still hand over before the caller speaks."""

    def __init__(self, context: ToolContext, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._recent: list[float] = []

    def caller_spoke(self) -> None:
        """Start anew."""
        self._recent.clear()

    def spend(self, source: str, target: str) -> bool:
        """Take one handoff, or say that there is none left."""
        now = self._clock()
        self._recent = [*(at for at in self._recent if now - at <= FORGOTTEN_AFTER), now]
        tried = len(self._recent)
        if tried <= HANDOFFS_IN_A_ROW:
            return True
        log.warning("handoff-loop", call_id=self._context.call_id, source=source, target=target, tried=tried)
        if tried == HANDOFFS_IN_A_ROW + REFUSALS:
            self._context.ask(HangUpAsked(by="agent", reason="handoff-loop"))
        return False


class Gate(Handoff[Any, RealtimeAgent[Any]]):
    """A handoff of one agent that may be refused; the agent then keeps the caller and is told why.

    An exception at a handoff would end the SDK's session. A handoff to oneself goes through: the session says so to
    the model, and the model answers.
    """

    _source: RealtimeAgent[Any]
    _refusal: str

    @classmethod
    def to(cls, target: RealtimeAgent[Any], *, source: RealtimeAgent[Any], budget: HandoffBudget) -> Gate:
        """Return a handoff to an agent of the same call."""

        async def hand_over(_context: RunContextWrapper[Any], _arguments: str) -> RealtimeAgent[Any]:
            return target

        # The SDK's own way to name it warns about characters each time; this is the same name.
        name = (
            "transfer_to_" + "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in target.name).lower()
        )
        return cls.of(realtime_handoff(target, tool_name_override=name), hand_over, source=source, budget=budget)

    @classmethod
    def of(
        cls,
        handoff: Handoff[Any, RealtimeAgent[Any]],
        hand_over: Callable[[RunContextWrapper[Any], str], Awaitable[RealtimeAgent[Any]]],
        *,
        source: RealtimeAgent[Any],
        budget: HandoffBudget,
        is_enabled: bool | Callable[..., Awaitable[bool]] = True,
    ) -> Gate:
        """Return this handoff, carried out by ``hand_over`` while the budget lasts."""

        async def invoke(context: RunContextWrapper[Any], arguments: str) -> RealtimeAgent[Any]:
            if not budget.spend(source.name, handoff.agent_name):
                gate._refusal = "Refused: the caller was handed over too often. Answer them yourself now."
                return source
            try:
                return await hand_over(context, arguments)
            except Exception as error:  # noqa: BLE001 - whatever the user's on_handoff raises, the call goes on
                log.warning("handoff-failed", handoff=handoff.tool_name, **described(error))
                gate._refusal = "The handover failed. Answer the caller yourself."
                return source

        gate = cls(
            tool_name=handoff.tool_name,
            tool_description=handoff.tool_description,
            input_json_schema=handoff.input_json_schema,
            on_invoke_handoff=invoke,
            agent_name=handoff.agent_name,
            is_enabled=is_enabled,
        )
        gate._source = source
        gate._refusal = "The caller is with you already. Answer them."
        return gate

    def get_transfer_message(self, agent: Any) -> str:
        """Return what the model is told: who has taken over, or why nobody has."""
        return self._refusal if agent is self._source else super().get_transfer_message(agent)
