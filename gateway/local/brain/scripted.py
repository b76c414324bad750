"""The scripted brain: rules that know the session's tools and instructions, and nothing of any line.

It is no language model. It compares the caller's words with the names and descriptions of the tools, asks for what a
tool needs, calls it and reads out the result. What it remembers is in the conversation's items alone: an item that is
deleted, or that nobody heard, is forgotten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.local.brain import facts, phrases, words
from gateway.local.brain.match import ranked
from gateway.local.brain.schema import Tool, read_tool
from gateway.local.brain.slots import Filled, complete, fill
from gateway.local.brain.spoken import is_number
from gateway.local.brain.turn import Line, Note, Question, Reply, ToolUse

_KEYS = re.compile(r"\bkeys?\b.*?:\s*([0-9*# ]+)$", re.IGNORECASE)
_CORRECTING = re.compile(
    r"\b(?:instead|actually|rather|make (?:it|that)|change (?:it|that) to|i meant|no,)\b", re.IGNORECASE
)
_MOST_ASKED = 3


class ScriptedBrain:
    """Answers by rules; the same question gives the same answer."""

    name = "scripted"

    async def reply(self, question: Question) -> Reply:
        """Answer."""
        return answer(question)


def answer(question: Question) -> Reply:
    """Answer one turn."""
    if question.directive and (text := phrases.directed(question.directive)):
        return Reply(text)
    return _Turn(question).answer()


@dataclass(frozen=True, slots=True)
class _Call:
    """A function call of this turn and its output."""

    name: str
    output: str


class _Turn:
    """What one answer is made of."""

    def __init__(self, question: Question) -> None:
        self._question = question
        tools = [] if question.tool_choice == "none" else [read_tool(tool) for tool in question.tools]
        self._tools = [tool for tool in tools if tool.name]
        self._lines = [_without_keys(line) for line in question.lines]
        self._said_by_us = [line for line in self._lines if line.role == "assistant" and line.text]

    def answer(self) -> Reply:
        forced = self._forced()
        if forced is not None:
            return forced
        if self._is_waiting():
            return Reply(phrases.WAIT)
        calls = self._calls_of_turn()
        if calls:
            return self._after(calls)
        if not any(line.role == "user" for line in self._lines):
            return Reply(phrases.STILL_THERE if self._said_by_us else facts.greeting(self._question.instructions))
        heard = self._unanswered()
        if heard is None:
            return Reply(phrases.STILL_THERE)
        if not words.words(heard):
            return Reply(phrases.AGAIN, note=self._note())
        return self._listen(heard)

    # What happened since the caller last spoke.

    def _is_waiting(self) -> bool:
        """Whether a tool still runs."""
        done = {line.call_id for line in self._lines if line.kind == "function_call_output"}
        return any(line.kind == "function_call" and line.call_id not in done for line in self._lines)

    def _calls_of_turn(self) -> list[_Call]:
        """Give the calls that followed the caller's last words, oldest first."""
        calls: list[Line] = []
        outputs: dict[str, str] = {}
        for line in reversed(self._lines):
            if line.kind == "function_call_output":
                outputs[line.call_id] = line.output
            elif line.kind == "function_call":
                calls.insert(0, line)
            elif line.role == "user" or (line.role == "assistant" and line.text and not calls and not outputs):
                break
        return [_Call(line.name, outputs.get(line.call_id, "")) for line in calls]

    def _request(self) -> str:
        """Give the words that the current turn is about: what the caller said last, and what that answered."""
        index = max((at for at, line in enumerate(self._lines) if line.role == "user"), default=-1)
        said: list[str] = []
        for line in reversed(self._lines[: index + 1]):
            if line.role == "user":
                said.insert(0, line.text)
            elif line.role == "assistant" and line.text:
                if line.note is not None and line.note.request and not _is_new(" ".join(said)):
                    said.insert(0, line.note.request)
                break
            elif line.kind == "function_call" and said:
                break
        return _joined(*said)

    def _unanswered(self) -> str | None:
        """Give what the caller said since we last spoke, or None where that was nothing."""
        said: list[str] = []
        for line in reversed(self._lines):
            if line.role == "assistant" and line.text:
                break
            if line.kind == "function_call_output":
                break
            if line.role == "user":
                said.insert(0, line.text)
        return _joined(*said) if said else None

    def _note(self) -> Note | None:
        """Give the note of the last thing that we said, if it was the last thing said by us at all."""
        return self._said_by_us[-1].note if self._said_by_us else None

    # After calls.

    def _after(self, calls: Sequence[_Call]) -> Reply:
        last = calls[-1]
        if last.name.startswith("transfer_to_"):
            return self._taken_over(frozenset(call.name for call in calls))
        spoken = " ".join(filter(None, (phrases.result(call.output) for call in calls if not _is_handoff(call))))
        tool = self._tool(last.name)
        if tool is not None and phrases.asks_again(last.output):
            return self._ask_again(tool, spoken)
        if tool is not None and (tool.ends_call or not spoken):
            return Reply(spoken if not tool.ends_call else "")
        return Reply(f"{spoken or phrases.DONE} {phrases.ELSE}")

    def _ask_again(self, tool: Tool, spoken: str) -> Reply:
        """Ask once more for what a tool did not like: the first thing that the caller had to say."""
        arguments = next(_arguments(line) for line in reversed(self._lines) if line.name == tool.name)
        missing = next((one.name for one in tool.parameters if one.required), "")
        filled = {name: value for name, value in arguments.items() if name != missing and value is not None}
        note = Note(tool.name, missing, filled, request=self._request())
        return Reply(f"{spoken} {phrases.ONCE_MORE}".strip(), note=note)

    def _taken_over(self, been: frozenset[str]) -> Reply:
        """Go on, under the tools of the agent that just took over, with what the caller wants."""
        request = self._request()
        if words.is_farewell(request) or _declines(request):
            return self._goodbye(request, been)
        own = [tool for tool in self._tools if not tool.is_handoff and not tool.ends_call]
        if words.stems(request):
            # Somebody thought that we are the right one: a slight hint is enough here.
            reply = self._choose(request, been=been, eager=True)
            if reply is not None:
                return reply
            if len(own) == 1:
                return self._use(own[0], request)
            if (general := self._general(been)) is not None:
                return self._use(general, request)
            if len(been) > 1:
                return self._lost()
        return Reply(phrases.HELP)

    # The caller spoke.

    def _listen(self, heard: str) -> Reply:
        note = self._note()
        if words.wants_repetition(heard) and self._said_by_us:
            return Reply(self._said_by_us[-1].text, note=note)
        if words.is_farewell(heard) or (note is None and self._said_by_us and _declines(heard)):
            return self._goodbye(heard)
        tool = self._tool(note.tool) if note is not None else None
        reply = self._go_on(note, tool, heard) if note is not None and tool is not None else None
        if reply is not None:
            return reply
        if words.wants_help(heard):
            return Reply(phrases.abilities(self._tools) or phrases.HELP)
        reply = self._correct(heard) or self._choose(heard, sure=True)
        if reply is None and (fact := facts.about(heard, self._question.instructions)):
            return Reply(fact)
        return reply or self._choose(heard) or self._chat(heard)

    def _go_on(self, note: Note, tool: Tool, heard: str) -> Reply | None:
        if note.offered:
            if words.is_no(heard):
                return Reply(phrases.NEVER_MIND)
            if words.is_yes(heard):
                return self._use(tool, note.request)
            detail = fill(tool, heard, known={}, today=self._question.today)
            return self._use(tool, _joined(note.request, heard)) if self._shaped(tool, detail) else None
        filled = fill(
            tool, heard, known=note.filled, today=self._question.today, asked=note.missing, earlier=self._earlier()
        )
        if len(filled.known) > len(note.filled) and note.missing in filled.known:
            return self._call_or_ask(tool, filled, _joined(note.request, heard))
        if words.is_no(heard):
            return Reply(phrases.NEVER_MIND)
        if words.stems(heard) - words.stems(note.request):
            better = self._choose(heard, sure=True)
            if better is not None:
                return better
            general = self._general()
            if general is not None and _is_new(heard):
                return self._use(general, heard)
        if len(filled.known) > len(note.filled):
            return self._call_or_ask(tool, filled, _joined(note.request, heard))
        if self._times_asked(note) >= _MOST_ASKED:
            return Reply(phrases.SORRY + " " + phrases.ELSE)
        again = self._call_or_ask(tool, filled, note.request)
        return Reply(f"Sorry. {again.text}", note=again.note)

    def _choose(
        self, text: str, *, been: frozenset[str] = frozenset(), eager: bool = False, sure: bool = False
    ) -> Reply | None:
        """Do what these words ask for.

        Args:
            text: the caller's words.
            been: handoffs that were made for them already.
            eager: a slight hint is enough.
            sure: only what is clear; otherwise the caller is asked whether it was meant.
        """
        person = next((tool for tool in self._tools if tool.puts_through), None)
        if person is not None and words.wants_person(text):
            return self._use(person, text)
        tools = [tool for tool in self._tools if not tool.ends_call and tool.name not in been]
        for match in ranked(text, tools):
            tool = match.tool
            if not self._fits(tool, text, been):
                continue
            asked = tool.answers_questions and words.asks_something(text)
            if eager or match.is_strong or (not sure and (asked or tool.is_handoff)):
                return self._use(tool, text)
            if sure:
                return None
            return Reply(phrases.offer(tool), note=Note(tool.name, offered=True, request=text))
        return None

    def _fits(self, tool: Tool, text: str, been: frozenset[str]) -> bool:
        """Whether a tool for questions knows the topic, where somebody else could be asked."""
        if tool.is_handoff or not tool.answers_questions or self._general(been) is None:
            return True
        filled = fill(tool, text, known={}, today=self._question.today)
        return not any(parameter.enum for parameter in filled.missing)

    def _general(self, been: frozenset[str] = frozenset()) -> Tool | None:
        """Give the handoff to somebody who knows where callers belong."""
        return next((tool for tool in self._tools if tool.is_general and tool.name not in been), None)

    def _use(self, tool: Tool, request: str) -> Reply:
        if tool.is_handoff:
            return Reply(calls=(ToolUse(tool.name, complete(tool, {})),))
        filled = fill(tool, request, known={}, today=self._question.today, earlier=self._earlier())
        return self._call_or_ask(tool, filled, request)

    def _call_or_ask(self, tool: Tool, filled: Filled, request: str) -> Reply:
        if filled.missing:
            missing = filled.missing[0]
            note = Note(tool.name, missing.name, filled.known, request=request)
            return Reply(phrases.question_for(missing), note=note)
        return Reply(phrases.waiting(request), calls=(ToolUse(tool.name, complete(tool, filled.known)),))

    def _correct(self, heard: str) -> Reply | None:
        """Call the last tool again where the caller changes what it was called with."""
        if not _CORRECTING.search(heard) and len(words.stems(heard)) > 1:
            return None
        for line in reversed(self._lines):
            tool = self._tool(line.name) if line.kind == "function_call" else None
            if tool is None or tool.is_handoff or tool.ends_call:
                continue
            best = next(iter(ranked(heard, self._tools)), None)
            if best is not None and best.is_strong and best.tool is not tool:
                return None
            before = _arguments(line)
            filled = fill(tool, heard, known=before, today=self._question.today)
            if filled.known != before:
                return self._call_or_ask(tool, filled, heard)
            return None
        return None

    def _goodbye(self, heard: str, been: frozenset[str] = frozenset()) -> Reply:
        tool = next((tool for tool in self._tools if tool.ends_call), None)
        general = self._general(been)
        if tool is None and general is not None:
            return self._use(general, heard)  # who answered the call can end it
        if tool is None:
            return Reply(phrases.GOODBYE)
        filled = fill(tool, heard, known={}, today=self._question.today)
        return Reply(phrases.GOODBYE, calls=(ToolUse(tool.name, complete(tool, filled.known)),))

    def _chat(self, heard: str) -> Reply:
        if words.is_hello(heard):
            return Reply(phrases.GREETING)
        if words.is_thanks(heard) and not words.asks_something(heard):
            return Reply(phrases.WELCOME)
        if words.is_yes(heard) and len(words.words(heard)) <= _MOST_ASKED:
            return Reply(phrases.HELP)
        if (hinted := self._hinted(heard)) is not None:
            return Reply(phrases.offer(hinted), note=Note(hinted.name, offered=True, request=heard))
        general = self._general()
        return self._use(general, heard) if general is not None and words.stems(heard) else self._lost()

    def _hinted(self, heard: str) -> Tool | None:
        """Give the tool that takes something of just this look, where the caller named no tool at all."""
        for tool in self._tools:
            if not tool.is_handoff and self._shaped(tool, fill(tool, heard, known={}, today=self._question.today)):
                return tool
        return None

    def _shaped(self, tool: Tool, filled: Filled) -> bool:
        """Whether something was said whose look alone tells what it is."""
        return any(parameter.has_look and parameter.name in filled.known for parameter in tool.parameters)

    def _lost(self) -> Reply:
        return Reply(f"{phrases.SORRY} {phrases.abilities(self._tools)}".strip())

    # Small things.

    def _forced(self) -> Reply | None:
        """Call the tool that the client insists on."""
        choice = self._question.tool_choice
        if choice in {"auto", "none"} or (self._lines and self._lines[-1].kind == "function_call_output"):
            return None
        request = self._request()
        tool = self._tool(choice)
        if choice == "required" and self._tools:
            matches = ranked(request, self._tools)
            tool = matches[0].tool if matches else self._tools[0]
        if tool is None:
            return None
        filled = fill(tool, request, known={}, today=self._question.today, earlier=self._earlier())
        return Reply(calls=(ToolUse(tool.name, complete(tool, filled.known)),))

    def _tool(self, name: str) -> Tool | None:
        return next((tool for tool in self._tools if tool.name == name), None)

    def _earlier(self) -> dict[str, Any]:
        """Give what earlier calls were made with: a caller isn't asked twice for the same thing."""
        known: dict[str, Any] = {}
        for line in self._lines:
            if line.kind == "function_call":
                known |= {name: value for name, value in _arguments(line).items() if value is not None}
        return known

    def _times_asked(self, note: Note) -> int:
        return sum(
            1
            for line in self._said_by_us
            if line.note is not None and (line.note.tool, line.note.missing) == (note.tool, note.missing)
        )


def _arguments(line: Line) -> dict[str, Any]:
    try:
        arguments = json.loads(line.arguments or "{}")
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _is_handoff(call: _Call) -> bool:
    return call.name.startswith("transfer_to_")


def _is_new(heard: str) -> bool:
    """Whether it says enough to be a request of its own; numbers alone answer a question."""
    return len({word.stem for word in words.words(heard) if not is_number(word)} & words.stems(heard)) > 1


def _joined(*said: str) -> str:
    """Join what was said in several breaths; "and" keeps the digits of one from running into the next."""
    return ", and ".join(text.strip(" ,") for text in said if text.strip())


def _declines(heard: str) -> bool:
    return words.is_no(heard) and len(words.words(heard)) <= 6  # noqa: PLR2004 (longer says what else is wanted)


def _without_keys(line: Line) -> Line:
    """Read keys that were pressed, which come as a system message, as if the caller had said them."""
    if line.role == "system" and (match := _KEYS.search(line.text)):
        return Line("message", role="user", text=" ".join(match.group(1).replace(" ", "").rstrip("#")))
    return line
