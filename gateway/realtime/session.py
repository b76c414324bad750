"""A RealtimeSession of the Agents SDK as the agent's side of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agents.realtime import RealtimeAgent, RealtimeRunConfig, RealtimeSessionModelSettings

from gateway.call.commands import AgentCommand
from gateway.call.events import Event

if TYPE_CHECKING:
    from gateway.call.playout import PlaybackState


class RealtimeSide:
    """One model session of a call: connects, says what happens, carries out commands.

    Args:
        agent: who picks up; its handoffs lead to the others.
        session: the number of this model session within its call, from 1; it comes back in events.
        playback: asked for what the caller is hearing, each time that the SDK wants to know.
        run_config: guardrails, debounce, tools and ``model_settings``, as ``RealtimeRunner`` takes it.
        settings: ``initial_model_settings``; these win over ``run_config``'s and over the agent's own.
        context: what tools and guardrails get as their context.
        url: the WebSocket of any server that speaks the Realtime protocol; empty is OpenAI's. ``model=`` is added
            where absent.
        headers: added to the handshake. Without ``Authorization`` or ``api-key`` among them the key is sent as a bearer.
        api_key: the key; empty sends none.
    """

    def __init__(
        self,
        agent: RealtimeAgent[Any],
        *,
        session: int,
        playback: Callable[[], PlaybackState],
        run_config: RealtimeRunConfig | None = None,
        settings: RealtimeSessionModelSettings | None = None,
        context: object = None,
        url: str = "",
        headers: Mapping[str, str] | None = None,
        api_key: str = "",
    ) -> None:
        raise NotImplementedError

    async def run(self, emit: Callable[[Event], None]) -> None:
        """Connect, then run until closed or lost; after a loss the last event is ``AgentLost``. Never raises."""
        raise NotImplementedError

    def perform(self, command: AgentCommand) -> None:
        """Take a command. Never blocks and never raises; after the end commands are ignored."""
        raise NotImplementedError
