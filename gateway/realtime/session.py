"""A RealtimeSession of the Agents SDK as the agent's side of a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, assert_never, cast

import anyio
import structlog
from agents.realtime import (
    RealtimeAgent,
    RealtimeModelConfig,
    RealtimeRunConfig,
    RealtimeSession,
    RealtimeSessionEvent,
    RealtimeSessionModelSettings,
)
from agents.realtime.model_inputs import RealtimeModelSendInterrupt, RealtimeModelSendRawMessage
from agents.realtime.openai_realtime import DEFAULT_REALTIME_MODEL
from anyio.abc import TaskGroup
from websockets.exceptions import ConnectionClosed

from gateway.call import commands as c
from gateway.call.events import AgentErred, AgentLost, AudioDropped, Event, Interrupted
from gateway.realtime.bounded import BoundedSession
from gateway.realtime.ears import Ears
from gateway.realtime.formats import MU_LAW
from gateway.realtime.loss import Loss, loss_of_error, worth_retrying
from gateway.realtime.model import GatewayModel
from gateway.realtime.options import OPENAI_URL, with_model
from gateway.realtime.outbox import Outbox
from gateway.realtime.playback import LedgerTracker
from gateway.realtime.socket import Transport

if TYPE_CHECKING:
    from gateway.call.playout import PlaybackState

log = structlog.get_logger()

BACKLOG = 5 * 8000
"""Bytes of the caller's audio that may wait to be sent: 5 s (design rule 11)."""
OPEN_WITHIN = 3.0
"""Seconds for the connection to be made, all attempts together."""
UPDATED_WITHIN = 3.0
"""Seconds from then for the server to confirm the configuration (hazard H5)."""
CLOSE_WITHIN = 0.9
"""Seconds for a polite end; then the connection is cut (hazard H23)."""
_LEFTOVERS_WITHIN = 1.5  # seconds for the SDK to let go of tools that ignore their end; it waits 1 s itself
_RETRY_PAUSES = (0.25, 0.75)  # seconds between attempts to connect


class RealtimeSide:
    """One model session of a call: connects, says what happens, carries out commands.

    Args:
        agent: who picks up; its handoffs lead to the others.
        session: the number of this model session within its call, from 1; it comes back in events.
        playback: asked for what the caller is hearing, each time that the SDK wants to know.
        run_config: guardrails, debounce, tools and ``model_settings``, as ``RealtimeRunner`` takes it. Without formats
            both are G.711 mu-law, without ``tracing`` there is none.
        settings: ``initial_model_settings``; these win over ``run_config``'s and over the agent's own.
        context: what tools and guardrails get as their context.
        url: the WebSocket of any server that speaks the Realtime protocol; empty is OpenAI's. ``model=`` is added
            where absent.
        headers: added to the handshake.
        api_key: sent as a bearer where the headers don't authorise in their own way; empty sends none.
        transport: settings of the socket.
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
        transport: Transport | None = None,
    ) -> None:
        self._number = session
        self._agent = agent
        self._context = context
        self._run_config = _with_defaults(run_config)
        base = {**self._run_config["model_settings"], **(settings or {})}
        self._model_config: RealtimeModelConfig = {
            "url": with_model(url or OPENAI_URL, str(base.get("model_name") or DEFAULT_REALTIME_MODEL)),
            "headers": _authorised(headers or {}, api_key),
            "playback_tracker": LedgerTracker(playback),
        }
        if settings:
            self._model_config["initial_model_settings"] = settings
        self._model = GatewayModel(transport)
        self._ears = Ears(
            session, agent.name, self._model, tell=self._tell, lose=self._end, update_again=self._update_again
        )
        self._outbox = Outbox(BACKLOG)
        self._over = asyncio.Event()
        self._emit: Callable[[Event], None] = _unheard
        self._session: RealtimeSession | None = None
        self._tasks: TaskGroup | None = None

    async def run(self, emit: Callable[[Event], None]) -> None:
        """Connect, then run until closed or lost; after a loss the last event is ``AgentLost``.

        Returns within about a second of ``CloseAgent``. Raises nothing of its own.
        """
        self._emit = emit
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._live, tasks)
                await self._over.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._over.set()
            await self._close()

    def perform(self, command: c.AgentCommand) -> None:
        """Take a command. Never blocks and never raises; after the end commands are ignored.

        Commands that come before ``AgentReady`` are kept in order and carried out then.
        """
        if self._over.is_set():
            return
        if isinstance(command, c.CloseAgent):
            self._end(None)
        else:
            self._outbox.put(command)

    def hear(self, payload: str, size: int) -> None:
        """Take a frame of the caller's audio as a ``Hear``: at once, where nothing waits before it."""
        if self._outbox.idle and not self._over.is_set():
            try:
                if self._model.append_audio_now(payload):
                    return
            except Exception:  # noqa: BLE001, S110 - whatever ails the socket, the writer meets it too, and can tell
                pass
        self.perform(c.Hear(payload, size))

    # ---- Its life ---------------------------------------------------------------------------------------------------

    async def _live(self, tasks: TaskGroup) -> None:
        try:
            session = await self._connect()
            tasks.start_soon(self._watch, session)
            tasks.start_soon(self._write, session)
            with anyio.move_on_after(UPDATED_WITHIN):
                await self._ears.ready.wait()
                return
            self._end(Loss("model-misconfigured", f"no session.updated with its formats within {UPDATED_WITHIN} s"))
        except Exception as error:  # noqa: BLE001 - whatever keeps a session from starting is its loss, with a reason
            self._end(loss_of_error(error, connecting=True))

    async def _connect(self) -> RealtimeSession:
        # What RealtimeRunner does, with our session.
        session = BoundedSession(
            self._model, self._agent, self._context, model_config=self._model_config, run_config=self._run_config
        )
        self._session = session
        session.model.add_listener(self._ears)
        pauses = iter(_RETRY_PAUSES)
        with anyio.fail_after(OPEN_WITHIN):
            while True:
                try:
                    return await session.enter()
                except Exception as error:
                    pause = next(pauses, None)
                    if pause is None or not worth_retrying(error):
                        raise
                    log.info("model-connection-retried", error=type(error).__name__, session=self._number)
                await anyio.sleep(pause)

    async def _watch(self, session: RealtimeSession) -> None:
        """Follow the session to its end, which is a loss unless we asked for it (hazards H1 and H2)."""
        try:
            async with aclosing(cast("AsyncGenerator[RealtimeSessionEvent]", aiter(session))) as events:
                async for event in events:
                    self._ears.take(event)
            self._ears.closed()
        except Exception as error:
            if not isinstance(error, ConnectionClosed):
                log.exception("agent-session-failed", session=self._number)
            self._end(loss_of_error(error))

    def _tell(self, event: Event) -> None:
        if self._over.is_set():
            return
        try:
            self._emit(event)
        except Exception as error:
            log.exception("agent-event-failed", kind=type(event).__name__, session=self._number)
            self._end(Loss("gateway-failed", type(error).__name__))

    def _end(self, loss: Loss | None) -> None:
        """End the session; with a loss its last event is ``AgentLost``. Only the first call counts."""
        if self._over.is_set():
            return
        self._over.set()
        if loss is None:
            return
        log.warning("model-lost", reason=loss.reason, detail=loss.detail, session=self._number)
        try:
            self._emit(AgentLost(self._number, loss.reason, loss.detail))
        except Exception:
            log.exception("agent-event-failed", kind="AgentLost", session=self._number)

    async def _close(self) -> None:
        if self._session is None:
            return
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(CLOSE_WITHIN):
                await self._close_session(self._session)
            self._model.abort()
            with anyio.move_on_after(_LEFTOVERS_WITHIN):
                await self._close_session(self._session)

    async def _close_session(self, session: RealtimeSession) -> None:
        try:
            await session.close()
        except Exception:
            log.info("model-not-closed-cleanly", session=self._number, exc_info=True)

    # ---- Commands ---------------------------------------------------------------------------------------------------

    async def _write(self, session: RealtimeSession) -> None:
        await self._ears.ready.wait()
        while True:
            command = await self._outbox.get()
            try:
                await self._carry_out(session, command)
            except (ConnectionClosed, AssertionError):
                # The SDK asserts that it is connected. The loss is reported by whoever reads the socket.
                log.debug("agent-command-too-late", command=type(command).__name__, session=self._number)
            except Exception as error:
                log.exception("agent-command-failed", command=type(command).__name__, session=self._number)
                self._tell(AgentErred("command-failed", f"{type(command).__name__}: {type(error).__name__}"))
            if isinstance(command, c.Interrupt):
                self._tell(Interrupted())
            if dropped := self._outbox.take_dropped():
                self._tell(AudioDropped("agent", dropped // 8))

    async def _carry_out(self, session: RealtimeSession, command: c.AgentCommand) -> None:
        model = self._model
        match command:
            case c.Hear(payload=payload):
                await model.append_audio(payload)
            case c.Interrupt():
                await model.interrupt()
            case c.Respond(instructions=instructions):
                response = {"response": {"instructions": instructions}} if instructions else {}
                await self._send("response.create", response)
            case c.CancelResponse(response_id=response_id):
                await model.send_event(RealtimeModelSendInterrupt(cancel_response_only=True, response_id=response_id))
            case c.ForgetItem(item_id=item_id):
                await self._send("conversation.item.delete", {"item_id": item_id})
            case c.Tell(text=text):
                await self._send("conversation.item.create", {"item": _fact(text)})
            case c.DecideTool(tool_call_id=tool_call_id, approved=True):
                await session.approve_tool_call(tool_call_id)
            case c.DecideTool(tool_call_id=tool_call_id):
                await session.reject_tool_call(tool_call_id)
            case c.OpenAgent() | c.CloseAgent():
                pass  # one is the exchange's (a new side), the other never gets here
            case _:
                assert_never(command)

    async def _send(self, kind: str, data: dict[str, Any]) -> None:
        await self._model.send_event(RealtimeModelSendRawMessage({"type": kind, "other_data": data}))

    def _update_again(self) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(self._send_update)

    async def _send_update(self) -> None:
        try:
            await self._model.update_again()
        except (ConnectionClosed, AssertionError):
            log.debug("agent-command-too-late", command="session.update", session=self._number)


def _fact(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}


def _with_defaults(config: RealtimeRunConfig | None) -> RealtimeRunConfig:
    """Complete a run's settings; the SDK's own defaults are static on a telephone line, and traces (hazard H21)."""
    given = config or {}
    settings: RealtimeSessionModelSettings = {
        "input_audio_format": MU_LAW,
        "output_audio_format": MU_LAW,
        "tracing": None,
        **given.get("model_settings", {}),
    }
    return {**given, "model_settings": settings}


def _authorised(headers: Mapping[str, str], api_key: str) -> dict[str, str]:
    names = {name.lower() for name in headers}
    if not api_key or names & {"authorization", "api-key"}:
        return dict(headers)
    return {**headers, "Authorization": f"Bearer {api_key}"}


def _unheard(event: Event) -> None:
    """Before ``run`` nobody listens, and nothing happens that could be said."""
