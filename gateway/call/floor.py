"""Who has the floor: barge-ins, responses that are open, owed, cut or stuck, and what the model must forget.

Theory of operation. The model generates faster than real time, so at any moment a response may be open (still
generated), done but still playing, or dead. *Dead* means cut: by the caller, by a guardrail, by a lost stream. Nothing
of a dead response is played any more, whenever it arrives (design rule 4). What the ear had of it stays in the model's
memory through a truncation, which the agent's side does when it is told to ``Interrupt`` (it asks the ledger where);
items of which nothing was heard are deleted after the response is done, since before that the model may still add some.

The core decides the barge-in (design rule 2). With a plain line the model's turn detection starts responses and we only
cut; where the line asks for a least speech, protects its greeting or allows no barge-in at all, the model's own habits
are switched off and every response is started here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gateway.call.clock import Deadline, Deadlines
from gateway.call.commands import CancelResponse, Clear, Command, ForgetItem, Interrupt, Respond
from gateway.call.playout import Cut, ItemKey, Playout

if TYPE_CHECKING:
    from gateway.call.events import AgentAudio, GuardrailTripped, ResponseDone
    from gateway.call.policy import Policy

RETRY_AFTER = 0.25
"""Seconds from a failed response to its one retry (reliability H6)."""

TOOLS_IN_A_ROW = 25
"""Tools that an agent may call without a word of it being heard or the caller speaking; more is a loop."""

_REMEMBERED = 64


class Floor:
    """The rules of taking turns in one call."""

    __slots__ = (
        "_dead",
        "_deadlines",
        "_failures",
        "_forget",
        "_playout",
        "_policy",
        "_silenced",
        "barge_ins",
        "caller_speaking",
        "greeting_item",
        "open_response",
        "owed",
        "tools_in_a_row",
    )

    def __init__(self, policy: Policy, playout: Playout, deadlines: Deadlines) -> None:
        self._policy = policy
        self._playout = playout
        self._deadlines = deadlines
        self._dead: deque[str] = deque(maxlen=_REMEMBERED)
        self._forget: dict[str, list[str]] = {}
        self._silenced: deque[str] = deque(maxlen=_REMEMBERED)
        self._failures = 0
        self.open_response: str | None = None
        self.owed = False
        """Whether the model owes us a response that has not begun."""
        self.caller_speaking = False
        self.barge_ins = 0
        self.tools_in_a_row = 0
        self.greeting_item: str | None = None
        """The item that a protected greeting is made of, once it is known; empty before its audio comes."""

    # ---- The caller speaks ------------------------------------------------------------------------------------------

    def speech_started(self, now: float) -> list[Command]:
        self.caller_speaking = True
        self.tools_in_a_row = 0
        self._deadlines.clear(Deadline.OWED)
        if not self._interruptible(now):
            return []
        if self._policy.barge_in.min_speech > 0:
            self._deadlines.set(Deadline.SPEECH, now + self._policy.barge_in.min_speech)
            return []
        return self.cut(now)

    def spoke_long_enough(self, now: float) -> list[Command]:
        """The caller has spoken over the agent for as long as the line asks for."""
        return self.cut(now) if self._interruptible(now) else []

    def speech_stopped(self, now: float) -> list[Command]:
        """The caller's turn is over: somebody has to answer, unless it was too short to cut the agent."""
        self.caller_speaking = False
        too_short = Deadline.SPEECH in self._deadlines
        self._deadlines.clear(Deadline.SPEECH)
        if not self._policy.owns_responses:
            self._owe(now)
            return []
        if too_short:
            return []
        if self._playout.playing(now) or self.open_response is not None:
            # The agent may not be cut here: it answers when it has finished.
            self._deadlines.set(Deadline.OWED, self._playout.idle_at())
            return []
        return self.respond(now)

    def answer_owed(self, now: float) -> list[Command]:
        """The agent has finished what could not be cut; now it answers what was said meanwhile."""
        if self._playout.playing(now) or self.open_response is not None:
            self._deadlines.set(Deadline.OWED, max(self._playout.idle_at(), now + 0.1))
            return []
        return self.respond(now)

    def cut(self, now: float) -> list[Command]:
        """Stop the agent at once, if it has anything to stop."""
        playing = self._playout.playing(now)
        if not playing and self.open_response is None:
            return []
        commands: list[Command] = []
        cut: Cut | None = None
        if playing:
            cut = self._playout.clear(now)
            commands.append(Clear())
            self.barge_ins += 1
        commands.append(Interrupt())
        self._bury(cut)
        return [*commands, *self._forget_of(cut)]

    def _interruptible(self, now: float) -> bool:
        rules = self._policy.barge_in
        if not rules.allowed:
            return False
        return not (rules.protect_greeting and self._greeting(now))

    def _greeting(self, now: float) -> bool:
        if self.greeting_item is None:
            return False
        if self.greeting_item == "":
            return True
        state = self._playout.state(now)
        return self._playout.playing(now) and state.item_id in (None, self.greeting_item)

    # ---- The agent speaks -------------------------------------------------------------------------------------------

    def audible(self, event: AgentAudio) -> bool:
        """Whether a piece of audio may be played: not when its response is dead or its item was silenced."""
        if event.item_id in self._silenced:
            return False
        if event.response_id not in self._dead:
            return True
        if self._playout.heard_ms(ItemKey(event.session, event.item_id, event.content_index)) <= 0:
            items = self._forget.setdefault(event.response_id, [])
            if event.item_id not in items:
                items.append(event.item_id)
        return False

    def respond(self, now: float, instructions: str = "") -> list[Command]:
        self._owe(now)
        return [Respond(instructions)]

    def response_started(self, response_id: str, now: float) -> None:
        self.owed = False
        self.open_response = response_id
        self.alive(now)

    def alive(self, now: float) -> None:
        """The model said something: put off the moment at which it counts as stuck."""
        if self.open_response is not None or self.owed:
            self._deadlines.set(Deadline.RESPONSE, now + self._policy.response_stuck)

    def response_done(self, event: ResponseDone, now: float) -> list[Command] | None:
        """Close a response; return what follows, or None where the model has failed for good."""
        if self.open_response == event.response_id:
            self.open_response = None
            if not self.owed:
                self._deadlines.clear(Deadline.RESPONSE)
        commands: list[Command] = [ForgetItem(item) for item in self._forget.pop(event.response_id, ())]
        if event.status != "failed":
            self._failures = 0
        elif event.response_id not in self._dead:
            self._failures += 1
            if self._failures > 1:
                return None
            self._deadlines.set(Deadline.RETRY, now + RETRY_AFTER)
        return commands

    def stuck(self, now: float) -> list[Command] | None:
        """Nothing came for too long: ask once more, then give up (None)."""
        self._failures += 1
        if self._failures > 1:
            return None
        cancel: list[Command] = [CancelResponse(self.open_response)] if self.open_response is not None else []
        if self.open_response is not None:
            self._dead.append(self.open_response)
            self.open_response = None
        return [*cancel, *self.respond(now)]

    def answered(self) -> None:
        """The model produced audio: whatever failed before is over."""
        self._failures = 0
        self.tools_in_a_row = 0

    def tool_started(self) -> bool:
        """Count a tool; False where the model does nothing but call tools."""
        self.tool_runs()
        self.tools_in_a_row += 1
        return self.tools_in_a_row <= TOOLS_IN_A_ROW

    def tool_runs(self) -> None:
        """While a tool runs, nobody owes anybody an answer."""
        if self.open_response is None:
            self.owed = False
            self._deadlines.clear(Deadline.RESPONSE)

    def tool_ended(self, now: float) -> None:
        self._owe(now)

    # ---- What must not be heard -------------------------------------------------------------------------------------

    def guardrail_tripped(self, event: GuardrailTripped, now: float) -> list[Command]:
        """Take back a refused item; what else was queued is innocent and goes out again (design rule 5)."""
        self._silenced.append(event.item_id)
        if event.response_id:
            self._dead.append(event.response_id)
        commands: list[Command] = []
        if self._playout.playing(now):
            cut = self._playout.clear(now)
            commands.append(Clear())
            innocent = {tail.key for tail in cut.tail if tail.key is None or tail.key.item_id != event.item_id}
            commands += self._playout.resend(now, frozenset(innocent))
        if event.response_id and event.response_id == self.open_response:
            self._forget.setdefault(event.response_id, []).append(event.item_id)
        else:
            commands.append(ForgetItem(event.item_id))
        return commands

    def stream_lost(self, cut: Cut) -> list[Command]:
        """The stream is gone with all that was queued: the model must not believe that it was heard."""
        self._bury(cut)
        self.caller_speaking = False
        return [Interrupt(), *self._forget_of(cut)]

    def _bury(self, cut: Cut | None) -> None:
        """Nothing more of the cut responses, or of the open one, will be played."""
        dead = [] if cut is None else [*cut.responses]
        if self.open_response is not None:
            dead.append(self.open_response)
        self._dead.extend(response for response in dead if response and response not in self._dead)

    def _forget_of(self, cut: Cut | None) -> list[Command]:
        """Have deleted what nobody heard; what belongs to an open response waits until that is done."""
        commands: list[Command] = []
        if cut is None:
            return commands
        response_of = {tail.key: tail.response_id for tail in cut.tail}
        for key in cut.unheard:
            response_id = response_of.get(key, "")
            if response_id and response_id == self.open_response:
                self._forget.setdefault(response_id, []).append(key.item_id)
            else:
                commands.append(ForgetItem(key.item_id))
        return commands

    def _owe(self, now: float) -> None:
        self.owed = True
        self._deadlines.set(Deadline.RESPONSE, now + self._policy.response_stuck)
