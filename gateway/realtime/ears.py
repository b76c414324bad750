"""Everything that the SDK says about a session, turned into events of the call at the moment it is said.

There are two sources. The *model* tells its listeners at arrival: audio, transcripts, speech, responses, errors. The
*session* queues what it does itself: handoffs, tools, approvals, guardrails. Both are unions of types that are matched
to the last one, so that a type which a newer SDK adds fails the type checker and a test, not a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, assert_never

import structlog
from agents.realtime import (
    RealtimeAgentEndEvent,
    RealtimeAgentStartEvent,
    RealtimeAudio,
    RealtimeAudioEnd,
    RealtimeAudioInterrupted,
    RealtimeError,
    RealtimeGuardrailTripped,
    RealtimeHandoffEvent,
    RealtimeHistoryAdded,
    RealtimeHistoryUpdated,
    RealtimeModelListener,
    RealtimeRawModelEvent,
    RealtimeSessionEvent,
    RealtimeToolApprovalRequired,
    RealtimeToolEnd,
    RealtimeToolStart,
)
from agents.realtime import model_events as m
from agents.realtime.events import RealtimeInputAudioTimeoutTriggered

from gateway.audio.payload import encode
from gateway.call import events as e
from gateway.realtime.attribution import Spoken, ToolCalls
from gateway.realtime.formats import audio_formats, speaks_mu_law
from gateway.realtime.loss import Loss, is_fatal, loss_of_close, loss_of_error, reason_of_code
from gateway.realtime.model import AudioDelta, GatewayModel, UnreadableMessageError
from gateway.realtime.translate import error_of, mapping, text, translate

log = structlog.get_logger()


class Ears(RealtimeModelListener):
    """Hears one session for its side.

    Args:
        session: the number of the model session within the call.
        agent: the name of who picks up.
        model: the connection that it listens to.
        tell: takes the events of the call.
        lose: takes the session's loss; the first one counts.
        update_again: sends the session's configuration once more, in the background.
    """

    def __init__(
        self,
        session: int,
        agent: str,
        model: GatewayModel,
        *,
        tell: Callable[[e.Event], None],
        lose: Callable[[Loss], None],
        update_again: Callable[[], None],
    ) -> None:
        self.ready = asyncio.Event()
        """Set once the server has confirmed the formats."""
        self._session = session
        self._agent = agent
        self._model = model
        self._tell = tell
        self._lose = lose
        self._update_again = update_again
        self._formats_right = False
        self._tried_again = False
        self._spoken = Spoken()
        self._calls = ToolCalls()
        self._open_response = ""
        self._last_code = ""

    def closed(self) -> None:
        """Report the end of the socket as the loss that it is; the last error says more than the close."""
        loss = loss_of_close(*self._model.closed_as)
        self._lose_by(loss)

    # ---- What the model says, at arrival ----------------------------------------------------------------------------

    async def on_event(self, event: m.RealtimeModelEvent) -> None:
        """Take an event of the model; never raises, since that would end the session without a word (hazard H8)."""
        try:
            self._take(event)
        except Exception as error:
            log.exception("model-event-failed", kind=event.type, session=self._session)
            self._lose(Loss("gateway-failed", type(error).__name__))

    def _take(self, event: m.RealtimeModelEvent) -> None:
        match event:
            case m.RealtimeModelRawServerEvent(data=data):
                self._server_said(data)
            case AudioDelta():
                self._audio(event, event.payload, event.size)
            case m.RealtimeModelAudioEvent(data=data):
                self._audio(event, encode(data), len(data))
            case m.RealtimeModelTranscriptDeltaEvent() | m.RealtimeModelOutputTextDeltaEvent():
                self._spoken.add(event.item_id, event.response_id, event.delta)
            case m.RealtimeModelToolCallEvent(name=name, arguments=arguments, call_id=call_id):
                self._calls.called(name, arguments, call_id)
            case m.RealtimeModelTurnEndedEvent(response_id=response_id):
                self._response_ended(response_id)
            case m.RealtimeModelErrorEvent(error=error):
                self._model_erred(error)
            case m.RealtimeModelExceptionEvent(exception=error):
                self._lose_by(loss_of_error(error))
            case m.RealtimeModelEndOfStreamEvent():
                self.closed()
            case (
                m.RealtimeModelTurnStartedEvent()  # all of these were seen as raw server events
                | m.RealtimeModelAudioDoneEvent()
                | m.RealtimeModelInputAudioTranscriptionCompletedEvent()
                | m.RealtimeModelInputAudioTimeoutTriggeredEvent()
                | m.RealtimeModelUsageEvent()
                | m.RealtimeModelItemUpdatedEvent()  # the call keeps its own transcript
                | m.RealtimeModelItemDeletedEvent()
                | m.RealtimeModelAudioInterruptedEvent()  # the call cut it, or a guardrail which says so
                | m.RealtimeModelConnectionStatusEvent()  # the end of the stream follows
                | m.RealtimeModelOtherEvent()
            ):
                pass
            case _:
                assert_never(event)

    def _audio(self, event: m.RealtimeModelAudioEvent, payload: str, size: int) -> None:
        if self._formats_right and size:
            self._tell(
                e.AgentAudio(self._session, event.response_id, event.item_id, event.content_index, payload, size)
            )

    def _server_said(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "session.updated":
                self._updated(mapping(event, "session"))
            case "error":
                self._erred(event)
            case "response.done":
                self._open_response = ""
            case "response.created":
                self._open_response = text(mapping(event, "response"), "id")
        translated = translate(event, self._session)
        if translated is not None:
            self._tell(translated)

    def _response_ended(self, response_id: str | None) -> None:
        """Report the end of a response whose ``response.done`` never came: the server said that there is none."""
        if response_id is not None and response_id == self._open_response:
            self._open_response = ""
            self._tell(e.ResponseDone(response_id, "cancelled", "response-done-lost"))

    # ---- Formats (design rule 9) ------------------------------------------------------------------------------------

    def _updated(self, session: Mapping[str, Any]) -> None:
        self._formats_right = speaks_mu_law(session)
        if not self._formats_right:
            self._misconfigured("audio formats are {!r} and {!r}".format(*audio_formats(session)))
            return
        self._tried_again = False
        if not self.ready.is_set():
            self.ready.set()
            self._tell(e.AgentReady(self._session))
            self._tell(e.AgentChanged("", self._agent))

    def _misconfigured(self, detail: str) -> None:
        """Ask once more; a second no is final, and nobody hears static."""
        log.warning("model-configuration-refused", detail=detail, session=self._session)
        if not self._tried_again:
            self._tried_again = True
            self._update_again()
        elif self._model.updates_answered:
            self._lose(Loss("model-misconfigured", detail))

    # ---- Errors -----------------------------------------------------------------------------------------------------

    def _erred(self, event: Mapping[str, Any]) -> None:
        erred = error_of(event)
        self._last_code = erred.code
        self._tell(erred)
        error = mapping(event, "error")
        if is_fatal(erred.code):
            self._lose_by(Loss("model-lost", erred.message))
        elif self._model.is_update(text(error, "event_id")) or (
            not self.ready.is_set() and text(error, "param").startswith("session")
        ):
            self._misconfigured(erred.message)

    def _model_erred(self, error: object) -> None:
        """Report what the SDK could not read; what the server itself called an error was seen already."""
        if isinstance(error, UnreadableMessageError):
            self._tell(e.AgentErred("unreadable-message", str(error)))
        elif isinstance(error, ValueError):  # pydantic's ValidationError: an event that the SDK does not know
            log.debug("model-event-unknown", session=self._session)

    def _lose_by(self, loss: Loss) -> None:
        told = reason_of_code(self._last_code)
        self._lose(Loss(told, loss.detail) if told is not None and loss.reason == "model-lost" else loss)

    # ---- What the session does --------------------------------------------------------------------------------------

    def take(self, event: RealtimeSessionEvent) -> None:
        """Take an event of the session's own; none is kept (hazards H14 to H16)."""
        match event:
            case RealtimeRawModelEvent() | RealtimeAudio() | RealtimeAudioEnd():
                pass  # heard at arrival; these, and what else is passed over here, are not even queued (BoundedSession)
            case RealtimeHandoffEvent(from_agent=before, to_agent=after):
                self._tell(e.AgentChanged(before.name, after.name))
            case RealtimeToolStart(tool=tool, arguments=arguments):
                self._tell(e.ToolStarted(tool.name, arguments, self._calls.started(tool.name, arguments)))
            case RealtimeToolEnd(tool=tool, arguments=arguments, output=output):
                self._tell(e.ToolEnded(tool.name, str(output), self._calls.ended(tool.name, arguments)))
            case RealtimeToolApprovalRequired(tool=tool, arguments=arguments, call_id=call_id):
                self._tell(e.ApprovalAsked(tool.name, arguments, call_id))
            case RealtimeGuardrailTripped(guardrail_results=results, message=message):
                names = tuple(result.guardrail.get_name() for result in results)
                self._tell(e.GuardrailTripped(names, *self._spoken.find(message)))
            case RealtimeError(error=error):
                self._session_erred(error)
            case RealtimeAudioInterrupted():
                pass  # the call asked for it and hears of it as Interrupted, or GuardrailTripped says more
            case RealtimeInputAudioTimeoutTriggered():
                log.debug("caller-silent", session=self._session)  # the model answers it by itself
            case (
                RealtimeAgentStartEvent()  # responses are events of the call, by their ids
                | RealtimeAgentEndEvent()
                | RealtimeHistoryAdded()  # the transcript is built from items, not from histories
                | RealtimeHistoryUpdated()
            ):
                pass
            case _:
                assert_never(event)

    def _session_erred(self, error: object) -> None:
        """Report the session's own errors, which are dicts; the model's were heard at arrival."""
        if isinstance(error, dict):
            self._tell(e.AgentErred("agent-error", text(error, "message")))
