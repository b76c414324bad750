"""One call: events in, commands out.

Theory of operation. A call stands between two sides that know nothing of each other: the carrier, which has the
caller's ear, and the agent. Each event of either side changes the call and yields commands to both. Four parts keep
what the call knows: the playout ledger (what the ear has heard), the floor (who may speak), the turns (who said what)
and the deadlines (what it waits for); this file is the rest, which is the life of a call: it rings, talks, ends or
moves on. How states follow each other stands in :mod:`gateway.call.state` alone.

The call ends or moves only after the agent's last word was heard, and by one of two routes: by closing the stream and
answering what the carrier then asks, or by the carrier's API (design rule 7).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, assert_never

from gateway.call import events as e
from gateway.call.clock import Deadline, Deadlines
from gateway.call.commands import (
    Clear,
    CloseAgent,
    CloseStream,
    Command,
    Continue,
    DecideTool,
    EndCall,
    Finish,
    Hear,
    OpenAgent,
    Redirect,
    Respond,
    Tell,
)
from gateway.call.floor import Floor
from gateway.call.keypad import Keypad
from gateway.call.moving import back_to, ring_time, to_target
from gateway.call.plan import Announce, Connect, HangUp, Plan, Return, Say
from gateway.call.playout import ItemKey, PlaybackState, Playout
from gateway.call.policy import Policy
from gateway.call.reason import EndReason
from gateway.call.state import FINAL_STATUSES, TRANSITIONS, State
from gateway.call.turns import Turns

AgentState: TypeAlias = Literal["connecting", "ready", "lost", "closed"]
AgentNews: TypeAlias = (
    e.AgentReady | e.AgentLost | e.AgentChanged | e.ToolStarted | e.ToolEnded | e.ApprovalAsked | e.AgentErred
)

NO_STREAM = 60.0
"""Seconds from the webhook after which a stream that never came is given up."""
DETACHED = 90.0
"""Seconds without a stream and without a word of the carrier after which the call counts as over."""
AGENT_IDLE = 10.0
"""Seconds without a stream after which the model is closed (design rule 8)."""
CARRIER_SLOW = 15.0
"""Seconds that the carrier gets to act on what it was told."""
RETURNED = 600.0
"""Seconds for which a call that was given back to its sender may come again; after that its record is closed."""
RESUMPTIONS = 3
"""How often a lost stream is opened again before the call is given up."""
KEYPAD_PAUSE = 2.0
"""Seconds without a digit that end an entry."""
FOLLOW_UP = 0.6
"""Seconds in which a goodbye may follow the tool that asked for the hang-up."""
_TALKING = (State.TALKING, State.CLOSING, State.LEAVING)


class CallError(Exception):
    """The call's own rules were broken: a fault of this program, never of its input."""


class Call:
    """One call, from its first webhook to its closed record.

    Feed it every event in order with :meth:`handle`, carry out the commands that it returns in order, and send it a
    ``TimePassed`` when its :attr:`deadline` has come. Times are seconds of one monotonic clock.
    """

    def __init__(self, policy: Policy, now: float) -> None:
        self.policy = policy
        self.state = State.RINGING
        self.reason: EndReason | None = None
        self.agent = ""
        self.turns = Turns()
        self.playout = Playout()
        self._deadlines = Deadlines()
        self.floor = Floor(policy, self.playout, self._deadlines)
        self.usage: dict[str, int] = {}
        self._keypad = Keypad()
        self._approvals: list[str] = []
        self._agent_state: AgentState = "connecting"
        self.session = 1
        self._stream = 0
        self._stream_open = False
        self._clean_stop = False
        self._resumptions = 0
        self._greeted = False
        self._note = ""
        self._plan: Plan = ()
        self._noted: dict[str, str] = {}
        self.given_back = False
        """Whether the carrier has the call from us again, for its sender's instructions."""
        self._departed = False
        self._follow_up_until = 0.0
        self._insisted = False
        self._heard_offset: float | None = None
        self._appended_ms = 0.0
        self._unsettled: dict[ItemKey, None] = {}
        self._out: list[Command] = []
        self._deadlines.set(Deadline.NO_STREAM, now + NO_STREAM)

    @property
    def deadline(self) -> float | None:
        """The moment at which the call wants a ``TimePassed``; None where it waits for nothing."""
        return self._deadlines.soonest

    @property
    def approvals(self) -> tuple[str, ...]:
        """The ids of tool calls that wait for a person's yes."""
        return tuple(self._approvals)

    def playback(self, now: float) -> PlaybackState:
        """Return which item the ear is at, for the SDK's tracker (design rule 3)."""
        return self.playout.state(now)

    def handle(self, event: e.Event, now: float) -> list[Command]:
        """Take one event; return what must be done because of it, in order."""
        if type(event) is e.CallerAudio:
            return [Hear(event.payload, event.size)] if self.hear(event.size, event.timestamp_ms, now) else []
        if self.state is State.ENDED:
            return []
        before = self.state
        self._handle(event, now)
        if self.state is not before and self.state not in TRANSITIONS[before].get(type(event), ()):
            raise CallError(f"{type(event).__name__} may not move a call from {before} to {self.state}")
        out, self._out = self._out, []
        return out

    def hear(self, size: int, timestamp_ms: int, now: float) -> bool:
        """Take one frame of the caller, ``size`` bytes; return whether the agent is to hear it.

        It is what :meth:`handle` does with a ``CallerAudio``, for who has no need of events: the path that every 20 ms
        of every call takes.
        """
        if not self._stream_open or self.state is State.ENDED:
            return False
        self.playout.frame(timestamp_ms, now)
        if self._agent_state not in {"ready", "connecting"}:
            return False
        self._heard_offset = timestamp_ms - self._appended_ms
        self._appended_ms += size / 8
        return True

    # ---- One event --------------------------------------------------------------------------------------------------

    def _handle(self, event: e.Event, now: float) -> None:
        match event:
            case e.TimePassed():
                for deadline in self._deadlines.take_due(now):
                    self._due(deadline, now)
            case e.HangUpAsked(by, reason):
                self._hang_up_asked(by, reason, now)
            case e.TransferAsked(_, target):
                self._transfer_asked(target, now)
            case e.VariableSet(name, value):
                self._noted[name] = value
            case e.ApprovalGiven(tool_call_id, approved, _):
                self._decide(tool_call_id, now, approved=approved)
            case e.AudioDropped():
                pass  # on the record; nothing to decide
            case (
                e.StreamStarted()
                | e.CallerAudio()
                | e.DigitPressed()
                | e.MarkReached()
                | e.StreamStopped()
                | e.StatusChanged()
                | e.ContinuationAsked()
                | e.CarrierFailed()
                | e.MessageRefused()
            ):
                self._carrier_event(event, now)
            case _:
                self._agent_event(event, now)

    def _carrier_event(self, event: e.CarrierEvent, now: float) -> None:
        match event:
            case e.MarkReached(name):
                self.playout.reached(name, now)
                self._note_heard(now)
                self._leave_if_heard(now)
            case e.DigitPressed(digit):
                self._digit(digit, now)
            case e.StreamStarted(_, stream):
                self._stream_started(stream, now)
            case e.StreamStopped(stream, cause):
                self._stream_stopped(stream, cause, now)
            case e.StatusChanged(status):
                self._status_changed(status)
            case e.ContinuationAsked():
                self._continue(event, now)
            case e.CarrierFailed():
                self._carrier_failed(now)
            case e.MessageRefused():
                pass  # on the record; nothing to decide
            case e.CallerAudio():
                raise CallError("caller audio takes the short way")
            case _:
                assert_never(event)

    def _agent_event(self, event: e.AgentEvent, now: float) -> None:
        match event:
            case e.AgentAudio():
                self._agent_audio(event, now)
            case e.AgentAudioDone(session, item_id, content_index):
                self._out += self.playout.done(ItemKey(session, item_id, content_index), now)
            case e.AgentTranscribed(_, item_id, _, text, final):
                self.turns.agent_said(item_id, text, now, self.agent, final=final)
                self.floor.alive(now)
            case e.CallerTranscribed(item_id, text, final, failed):
                self.turns.caller_said(item_id, text, now, final=final, failed=failed)
            case e.SpeechStarted(item_id, at_ms):
                self._speech_started(item_id, self._moment(at_ms, now), now)
            case e.SpeechStopped(item_id, at_ms):
                self._speech_stopped(item_id, self._moment(at_ms, now), now)
            case e.ResponseStarted(response_id):
                self.floor.response_started(response_id, now)
            case e.ResponseDone():
                self._response_done(event, now)
            case e.GuardrailTripped():
                self._out += self.floor.guardrail_tripped(event, now)
                self._note_heard(now)
            case e.Interrupted():
                self.playout.truncated()
            case _:
                self._agent_news(event, now)

    def _agent_news(self, event: AgentNews, now: float) -> None:
        match event:
            case e.AgentReady(session):
                self._agent_ready(session, now)
            case e.AgentLost(session, reason, _):
                self._agent_lost(session, reason, now)
            case e.AgentChanged(_, after):
                self.agent = after
            case e.ToolStarted():
                if not self.floor.tool_started() and self.state is State.TALKING:
                    self._fail(EndReason("model", "tool-loop"), now)
            case e.ToolEnded():
                self.floor.tool_ended(now)
            case e.ApprovalAsked():
                self._approval_asked(event, now)
            case e.AgentErred():
                pass  # on the record; nothing to decide
            case _:
                assert_never(event)

    # ---- The conversation -------------------------------------------------------------------------------------------

    def _agent_audio(self, event: e.AgentAudio, now: float) -> None:
        self.floor.alive(now)
        if event.session != self.session or not self._may_speak() or not self.floor.audible(event):
            return
        self.floor.answered()
        key = ItemKey(event.session, event.item_id, event.content_index)
        self._unsettled.setdefault(key)
        self._out += self.playout.send(key, event.response_id, event.payload, event.size, now)
        self.turns.agent_sent(event.item_id, now, self.agent)
        if self.floor.greeting_item == "":
            self.floor.greeting_item = event.item_id
        self._deadlines.set(Deadline.SILENCE, self.playout.idle_at() + self.policy.silence)

    def _may_speak(self) -> bool:
        return self._stream_open and self.state in _TALKING and not self._departed

    def _speech_started(self, item_id: str, at: float, now: float) -> None:
        self._deadlines.clear(Deadline.SILENCE)
        self.turns.caller_began(item_id, at)
        self._out += self.floor.speech_started(now)
        self._note_heard(now)

    def _speech_stopped(self, item_id: str, at: float, now: float) -> None:
        self.turns.caller_ended(item_id, at - self.policy.end_of_speech)
        self._out += self.floor.speech_stopped(now)
        self._deadlines.set(Deadline.SILENCE, max(now, self.playout.idle_at()) + self.policy.silence)

    def _response_done(self, event: e.ResponseDone, now: float) -> None:
        for name, amount in event.usage.items():
            self.usage[name] = self.usage.get(name, 0) + amount
        commands = self.floor.response_done(event, now)
        if commands is None:
            self._agent_failed(EndReason("model", f"response-failed{'-' + event.code if event.code else ''}"), now)
            return
        self._out += commands
        self._note_heard(now)
        self._leave_if_heard(now)

    def _note_heard(self, now: float) -> None:
        """Bring the turns up to what the ledger knows."""
        self.playout.heard(now)
        for key in tuple(self._unsettled):
            began, ended = self.playout.began(key), self.playout.ended(key)
            self.turns.agent_heard(
                key.item_id,
                began=began.at if began is not None else None,
                ended=ended.at if ended is not None else None,
                heard_ms=self.playout.heard_ms(key),
                generated_ms=self.playout.generated_ms(key),
            )
            if self.playout.is_final(key):
                del self._unsettled[key]

    def _moment(self, at_ms: int, now: float) -> float:
        """Turn a millisecond of the model's input into the moment at which it was spoken, at the gateway's end."""
        if self._heard_offset is None:
            return now
        return min(now, self.playout.wall(at_ms + self._heard_offset))

    # ---- The keypad and a person's yes ------------------------------------------------------------------------------

    def _digit(self, digit: str, now: float) -> None:
        if self._approvals and self.policy.approve_by_keypad and digit in "12":
            self._decide(self._approvals[0], now, approved=digit == "1")
            return
        entry = self._keypad.press(digit)
        if entry is None:
            self._deadlines.set(Deadline.KEYPAD, now + KEYPAD_PAUSE)
        else:
            self._tell_digits(entry, now)

    def _tell_digits(self, entry: str, now: float) -> None:
        self._deadlines.clear(Deadline.KEYPAD)
        if self.state is State.TALKING:
            self._out += [*self.floor.cut(now), Tell(f"The caller pressed these keys: {entry}")]
            self._out += self.floor.respond(now)
            self._deadlines.set(Deadline.SILENCE, now + self.policy.silence)

    def _approval_asked(self, event: e.ApprovalAsked, now: float) -> None:
        self.floor.tool_runs()
        self._approvals.append(event.tool_call_id)
        self._deadlines.set(Deadline.APPROVAL, now + self.policy.approval)
        if self.policy.approve_by_keypad:
            self._out.append(
                Respond(
                    f"A tool waits for the caller's consent: {event.tool} with {event.arguments}. Say in one short "
                    "sentence what is about to be done, then: press 1 to confirm, or 2 to cancel."
                )
            )

    def _decide(self, tool_call_id: str, now: float, *, approved: bool) -> None:
        if tool_call_id not in self._approvals:
            return
        self._approvals.remove(tool_call_id)
        self._out += [*self.floor.cut(now), DecideTool(tool_call_id, approved)]
        if not self._approvals:
            self._deadlines.clear(Deadline.APPROVAL)

    # ---- The agent comes and goes -----------------------------------------------------------------------------------

    def _agent_ready(self, session: int, now: float) -> None:
        if session != self.session:
            return
        self._agent_state = "ready"
        self._deadlines.clear(Deadline.MODEL_READY)
        if self._stream_open and self.state is State.TALKING:
            self._open_conversation(now)

    def _open_conversation(self, now: float) -> None:
        """Let the agent speak first: its greeting, or what it needs to know to go on."""
        if self._greeted:
            self._out += [Tell(self._note), *self.floor.respond(now)]
            return
        self._greeted = True
        greeting, clip = self.policy.greeting, self.policy.greeting_clip
        if clip is not None:
            self._out.append(Tell(f"The caller has just been greeted with: {clip.text or greeting}"))
            return
        if self.policy.barge_in.protect_greeting:
            self.floor.greeting_item = ""
        self._out += self.floor.respond(now, f'Greet the caller. Say exactly: "{greeting}"' if greeting else "")

    def _agent_lost(self, session: int, reason: str, now: float) -> None:
        if session != self.session or self._agent_state == "closed":
            return
        self._agent_state = "lost"
        self._deadlines.clear(Deadline.MODEL_READY, Deadline.RESPONSE, Deadline.RETRY, Deadline.APPROVAL)
        self.floor.open_response = None
        self.reason = EndReason("model", reason)
        match self.state:
            case State.TALKING:
                self._fail(self.reason, now)
            case State.CLOSING | State.LEAVING:
                self._leave_if_heard(now)
            case _:
                pass  # found out when a stream comes, or when the carrier asks

    def _agent_failed(self, reason: EndReason, now: float) -> None:
        """The model is there and of no use: what a lost one is, only that it has to be closed."""
        if self.state is State.TALKING:
            self._fail(reason, now)
        elif self._agent_state in {"connecting", "ready"}:
            self._close_agent()
            self._agent_state = "lost"
            self.reason = self.reason or reason
            self._leave_if_heard(now)

    def _fail(self, reason: EndReason, now: float) -> None:
        """The agent can't go on: have the carrier say so and do what the line wants then."""
        self.reason = reason
        self.state = State.FAILING
        self._plan = self._failure_plan()
        if self.playout.playing(now):
            self.playout.clear(now)
            self._out.append(Clear())
        self._close_agent()
        self._depart(now)

    def _failure_plan(self) -> Plan:
        policy = self.policy.on_failure
        say = policy.words(self.policy.language)
        target = self.policy.transfers.get(policy.then)
        return (say, to_target(target, self._noted)) if target is not None else (say, *self._farewell())

    def _farewell(self) -> Plan:
        """Say how the call ends: for good, or by going back to whoever sent it here."""
        if self.policy.return_to and self.reason is not None:
            return (back_to(self.policy.return_to, self.reason, self._noted),)
        return (HangUp(),)

    def _close_agent(self) -> None:
        if self._agent_state in {"connecting", "ready"}:
            self._out.append(CloseAgent())
            self._agent_state = "closed"
        self._deadlines.clear(Deadline.AGENT_IDLE, Deadline.MODEL_READY, Deadline.RESPONSE, Deadline.RETRY)

    # ---- The stream comes and goes ----------------------------------------------------------------------------------

    def _stream_started(self, stream: int, now: float) -> None:
        first = self._stream == 0
        self._stream, self._stream_open, self._clean_stop = stream, True, False
        self._out += self._cut_stream(now) if not first else []
        self.playout.stream_started(stream, now)
        self._heard_offset = None
        self._deadlines.clear(Deadline.NO_STREAM, Deadline.DETACHED, Deadline.AGENT_IDLE, Deadline.CARRIER)
        if first or self.given_back:
            self._deadlines.set(Deadline.LONGEST, now + self.policy.max_duration)
        if self.given_back:
            self.given_back, self.reason, self._resumptions = False, None, 0
            self._note = "The caller was with somebody else in between and is back. Go on from there."
        if self.state in {State.CLOSING, State.LEAVING, State.FAILING}:
            self._out.append(CloseStream())
            self._deadlines.set(Deadline.CARRIER, now + CARRIER_SLOW)
            return
        self.state = State.TALKING
        self._departed = False
        self._plan = ()
        self._deadlines.set(Deadline.SILENCE, now + self.policy.silence)
        if first and self.policy.greeting_clip is not None:
            clip = self.policy.greeting_clip
            self._out += self.playout.send(None, "", clip.payload, clip.size, now)
        self._meet_agent(now)

    def _meet_agent(self, now: float) -> None:
        match self._agent_state:
            case "ready":
                self._open_conversation(now)
            case "connecting":
                self._deadlines.set(Deadline.MODEL_READY, now + self.policy.model_ready)
            case "closed":
                self.session += 1
                self._appended_ms = 0.0
                self._agent_state = "connecting"
                self._note = f"{self._note} The conversation so far:\n{self.turns.so_far()}".strip()
                self._out.append(OpenAgent())
                self._deadlines.set(Deadline.MODEL_READY, now + self.policy.model_ready)
            case "lost":
                self._fail(self.reason or EndReason("model", "model-lost"), now)
            case _:
                assert_never(self._agent_state)

    def _stream_stopped(self, stream: int, cause: e.StopCause, now: float) -> None:
        if stream != self._stream or not self._stream_open:
            return
        self._stream_open = False
        self._clean_stop = cause == "stop"
        self._out += self._cut_stream(now)
        self._deadlines.clear(Deadline.SILENCE, Deadline.SPEECH, Deadline.OWED, Deadline.LAST_WORD)
        match self.state:
            case State.TALKING:
                self.state = State.DETACHED
                self._note = "The connection to the caller was lost for a moment and is back. Go on where you were."
                self._wait_for_carrier(now)
            case State.CLOSING | State.LEAVING | State.FAILING:
                self._departed = True
                self._deadlines.clear(Deadline.LAST_WORD_LIMIT)
                self._deadlines.set(Deadline.CARRIER, now + CARRIER_SLOW)
            case _:
                pass

    def _cut_stream(self, now: float) -> list[Command]:
        if not self.playout.playing(now):
            return []
        cut = self.playout.stream_stopped(now)
        self._note_heard(now)
        return self.floor.stream_lost(cut)

    def _wait_for_carrier(self, now: float) -> None:
        self._deadlines.set(Deadline.DETACHED, now + DETACHED)
        if self._agent_state in {"connecting", "ready"}:
            self._deadlines.set(Deadline.AGENT_IDLE, now + AGENT_IDLE)

    # ---- The end, and other people ----------------------------------------------------------------------------------

    def _hang_up_asked(self, by: e.Blame, reason: str, now: float) -> None:
        if self.given_back and by == "gateway":
            self._finish(self.reason or EndReason("success", "given-back"))  # its sender has it: only the record ends
            return
        self.reason = EndReason("success" if by in {"agent", "caller", "operator"} else "gateway", reason)
        match self.state:
            case State.TALKING | State.LEAVING:
                self.state = State.CLOSING
                self._await_last_word(now)
            case State.RINGING | State.DETACHED | State.MOVED:
                self._out.append(EndCall())
                self._finish(self.reason)
            case State.CLOSING if by == "agent":
                # Asked again, the agent has nothing more to say; one that only calls tools would keep the line open.
                self._insisted = True
                self._leave_if_heard(now)
            case _:
                pass

    def _transfer_asked(self, name: str, now: float) -> None:
        target = self.policy.transfers.get(name)
        if target is None:
            self._out.append(Tell(f"There is nobody called {name} to transfer to."))
            return
        if self.state is State.TALKING:
            self.state = State.LEAVING
            self._plan = (to_target(target, self._noted),)
            self._await_last_word(now)
        elif self.state is State.DETACHED:
            self._plan = (to_target(target, self._noted),)
            self._out.append(Redirect(self._plan))
            self._move(target.timeout_s, now)

    def _await_last_word(self, now: float) -> None:
        self._follow_up_until = now + FOLLOW_UP
        self._deadlines.clear(Deadline.SILENCE)
        self._deadlines.set(Deadline.LAST_WORD_LIMIT, now + self.policy.last_word)
        self._leave_if_heard(now)

    def _leave_if_heard(self, now: float) -> None:
        """Leave once nothing is being said, nothing unheard is left and no goodbye may still follow."""
        if self.state not in {State.CLOSING, State.LEAVING} or self._departed:
            return
        if self.playout.playing(now):
            self._deadlines.set(Deadline.LAST_WORD, max(self.playout.idle_at(), now) + 0.1)
        elif self._insisted:
            self._depart(now)
        elif self._agent_state == "ready" and self.floor.open_response is not None:
            return
        elif now < self._follow_up_until:
            self._deadlines.set(Deadline.LAST_WORD, self._follow_up_until)
        else:
            self._depart(now)

    def _depart(self, now: float) -> None:
        """Carry out what was decided: end the call, transfer it, or have the failure told."""
        self._departed = True
        self._deadlines.clear(Deadline.LAST_WORD, Deadline.LAST_WORD_LIMIT, Deadline.SILENCE)
        self._deadlines.set(Deadline.CARRIER, now + CARRIER_SLOW)
        if self.policy.end_by == "stream" and self._stream_open:
            self._out.append(CloseStream())
        elif self.state is State.CLOSING and not self.policy.return_to:
            self._out.append(EndCall())
        elif self.state is State.CLOSING:
            self._plan = self._farewell()
            self._out.append(Redirect(self._plan))
            self._give_back(now)
        else:
            self._out.append(Redirect(self._plan))
            if self.state is State.LEAVING:
                self._move(ring_time(self._plan), now)

    def _give_back(self, now: float) -> None:
        """The carrier asks the call's sender what is next; the call may come again."""
        self._move(0, now)
        self.given_back = True
        self._close_agent()
        self._deadlines.set(Deadline.DETACHED, now + RETURNED)

    def _move(self, ring: float, now: float) -> None:
        """Somebody else is being rung; the agent stays for as long as they may not answer."""
        self.state = State.MOVED
        self._deadlines.clear(Deadline.CARRIER, Deadline.DETACHED, Deadline.LAST_WORD, Deadline.LAST_WORD_LIMIT)
        if self._agent_state in {"connecting", "ready"}:
            self._deadlines.set(Deadline.AGENT_IDLE, now + ring + AGENT_IDLE)

    def _continue(self, asked: e.ContinuationAsked, now: float) -> None:
        """Tell the carrier what is next: the answer to its question, in every state."""
        self._stream_open = False
        over = asked.status in FINAL_STATUSES
        match self.state:
            case _ if over:
                self._answer((HangUp(),))
                self._finish(self._carrier_reason(asked.status))
            case State.CLOSING:
                self._end_or_give_back(self.reason or EndReason("success", "agent-hung-up"), now)
            case State.LEAVING:
                self._answer(self._plan)
                self._move(ring_time(self._plan), now)
            case State.FAILING:
                self._answer_failure(now)
            case State.MOVED:
                self._after_dial(asked.dial_status, now)
            case State.RINGING:
                self.reason = self.reason or EndReason("carrier", "no-stream")
                self._plan = self._failure_plan()
                self._answer_failure(now)
            case State.TALKING | State.DETACHED:
                self._resume(now)
            case State.ENDED:
                pass
            case _:
                assert_never(self.state)

    def _end_or_give_back(self, reason: EndReason, now: float, *first: Say | Announce) -> None:
        """Answer the carrier with the end of the call, or with its sender's URL."""
        self.reason = reason
        self._plan = (*first, *self._farewell())
        self._answer(self._plan)
        if self.policy.return_to:
            self._give_back(now)
        else:
            self._finish(reason)

    def _resume(self, now: float) -> None:
        """The socket was lost and the call lives: open another stream, a few times."""
        self._out += self._cut_stream(now)
        if self._agent_state == "lost" or self._resumptions >= RESUMPTIONS:
            self.reason = self.reason or EndReason("carrier", "stream-lost")
            self._plan = self._failure_plan()
            self._answer_failure(now)
            return
        self._resumptions += 1
        self._note = "The connection to the caller was lost for a moment and is back. Go on where you were."
        self.state = State.DETACHED
        self._answer((Connect(),))
        self._wait_for_carrier(now)

    def _answer_failure(self, now: float) -> None:
        self._answer(self._plan)
        self._close_agent()
        if isinstance(self._plan[-1], HangUp):
            self._finish(self.reason or EndReason("model", "model-lost"))
        elif isinstance(self._plan[-1], Return):
            self._give_back(now)
        else:
            self._move(ring_time(self._plan), now)

    def _after_dial(self, dial_status: str, now: float) -> None:
        if not dial_status:
            # The question of a <Connect> that a REST transfer broke off: the dial goes on.
            self._answer(self._plan)
            return
        if dial_status in {"completed", "answered"}:
            self._end_or_give_back(self.reason or EndReason("success", "transferred"), now)
        elif self._agent_state == "lost" or self.reason is not None:
            say = self.policy.on_failure.words(self.policy.language)
            self._end_or_give_back(self.reason or EndReason("carrier", f"transfer-{dial_status}"), now, say)
        else:
            self._note = f"The transfer failed ({dial_status}). Tell the caller, and offer other help."
            self.state = State.DETACHED
            self._answer((Connect(),))
            self._wait_for_carrier(now)

    def _answer(self, plan: Plan) -> None:
        self._out.append(Continue(plan))

    def _carrier_failed(self, now: float) -> None:
        """The carrier's API did not do as it was told: go by the stream instead, or wait for what comes."""
        if self._stream_open:
            self._out.append(CloseStream())
        self._deadlines.set(Deadline.CARRIER, now + CARRIER_SLOW)

    def _status_changed(self, status: str) -> None:
        if status in FINAL_STATUSES:
            self._finish(self._carrier_reason(status))

    def _carrier_reason(self, status: str) -> EndReason:
        """Say who ended a call that the carrier reports as over."""
        if self.state in {State.CLOSING, State.FAILING} and self.reason is not None:
            return self.reason
        if self.state is State.MOVED:
            moved = EndReason("success", "transferred")
            return self.reason or (moved if status == "completed" else EndReason("carrier", f"transfer-{status}"))
        if status != "completed":
            return EndReason("carrier", status)
        if self.state is State.RINGING:
            return EndReason("caller", "hung-up-early")
        return EndReason("success", "caller-hung-up")

    def _finish(self, reason: EndReason) -> None:
        """Close the record. Nothing follows."""
        if self._stream_open:
            self._out.append(CloseStream())
            self._stream_open = False
        self._close_agent()
        self.reason = reason
        self.state = State.ENDED
        self._deadlines.clear_all()
        self._out.append(Finish(reason))

    # ---- Time -------------------------------------------------------------------------------------------------------

    def _due(self, deadline: Deadline, now: float) -> None:
        if self.state is State.ENDED:
            return
        match deadline:
            case Deadline.NO_STREAM:
                self._finish(self.reason or EndReason("carrier", "no-stream"))
            case Deadline.MODEL_READY:
                if self.state is State.TALKING:
                    self._fail(EndReason("model", "model-not-ready"), now)
            case Deadline.LONGEST:
                self._end("gateway", "max-duration", now)
            case Deadline.SILENCE:
                self._silence(now)
            case Deadline.SPEECH:
                self._out += self.floor.spoke_long_enough(now)
                self._note_heard(now)
            case Deadline.KEYPAD:
                self._tell_digits(self._keypad.take(), now)
            case Deadline.APPROVAL:
                for tool_call_id in tuple(self._approvals):
                    self._decide(tool_call_id, now, approved=False)
            case Deadline.RESPONSE:
                self._stuck(now)
            case Deadline.RETRY:
                self._out += self.floor.respond(now)
            case Deadline.OWED:
                self._out += self.floor.answer_owed(now)
            case Deadline.LAST_WORD:
                self._note_heard(now)
                self._leave_if_heard(now)
            case Deadline.LAST_WORD_LIMIT:
                self._depart(now)
            case Deadline.CARRIER:
                self._finish(self.reason or EndReason("carrier", "no-answer"))
            case Deadline.DETACHED if self.given_back:
                self._finish(self.reason or EndReason("success", "given-back"))
            case Deadline.DETACHED:
                clean = self._clean_stop
                self._finish(EndReason("success", "caller-hung-up") if clean else EndReason("carrier", "stream-lost"))
            case Deadline.AGENT_IDLE:
                self._close_agent()
            case _:
                assert_never(deadline)

    def _end(self, result: Literal["caller", "gateway"], reason: str, now: float) -> None:
        if self.state is State.TALKING:
            self.state = State.CLOSING
            self.reason = EndReason(result, reason)
            self._await_last_word(now)

    def _silence(self, now: float) -> None:
        # When the ear fell silent is known better with every mark, so the deadline may have come a little early.
        over = (now if self.floor.caller_speaking else self.playout.idle_at()) + self.policy.silence
        if over > now:
            self._deadlines.set(Deadline.SILENCE, over)
        else:
            self._end("caller", "silence", now)

    def _stuck(self, now: float) -> None:
        if self.state is not State.TALKING:
            return
        commands = self.floor.stuck(now)
        if commands is None:
            self._fail(EndReason("model", "model-stuck"), now)
        else:
            self._out += commands
