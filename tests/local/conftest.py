"""A conversation with the scripted brain, without sound: what the protocol would do around it, done by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pytest

from gateway.local.brain.scripted import ScriptedBrain
from gateway.local.brain.turn import Line, Question, Reply

TODAY = date(2026, 11, 24)  # a Tuesday


def make_tool(
    name: str, description: str, required: tuple[str, ...] | None = None, /, **parameters: Any
) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": parameters,
            "required": list(parameters if required is None else required),
        },
    }


def make_handoff(agent: str, description: str = "") -> dict[str, Any]:
    name = "transfer_to_" + agent.lower().replace(" ", "_")
    return make_tool(name, f"Handoff to the {agent} agent to handle the request. {description}")


class Talk:
    """One agent or several; ``agents`` maps an agent's name to its tools, the first one begins."""

    def __init__(
        self,
        agents: Mapping[str, list[dict[str, Any]]],
        outputs: Mapping[str, str | Callable[[dict[str, Any]], str]] | None = None,
        instructions: str = "You are brief.",
    ) -> None:
        self.agents = agents
        self.agent = next(iter(agents))
        self.instructions = instructions
        self.outputs = outputs or {}
        self.lines: list[Line] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.brain = ScriptedBrain()

    def ask(self, directive: str = "", tool_choice: str = "auto") -> Reply:
        question = Question(
            instructions=self.instructions,
            tools=tuple(self.agents[self.agent]),
            lines=tuple(self.lines),
            today=TODAY,
            directive=directive,
            tool_choice=tool_choice,
        )
        return asyncio.run(self.brain.reply(question))

    def hear(self, text: str) -> None:
        self.lines.append(Line("message", role="user", text=text))

    def say(self, text: str) -> str:
        """Speak as the caller; gives all that is answered until the agent is silent again."""
        self.hear(text)
        return self.answer()

    def answer(self, directive: str = "") -> str:
        spoken: list[str] = []
        for _ in range(6):
            reply = self.ask(directive)
            if reply.text:
                spoken.append(reply.text)
                self.lines.append(Line("message", role="assistant", text=reply.text, note=reply.note))
            if not reply.calls:
                return " ".join(spoken)
            for call in reply.calls:
                self.run(call.name, dict(call.arguments))
        raise AssertionError("the brain calls tools for ever")

    def run(self, name: str, arguments: dict[str, Any]) -> None:
        self.calls.append((name, arguments))
        call_id = f"call_{len(self.calls)}"
        self.lines.append(Line("function_call", name=name, call_id=call_id, arguments=json.dumps(arguments)))
        output = self.outputs.get(name, "ok")
        if name.startswith("transfer_to_"):
            self.agent = next(one for one in self.agents if name == "transfer_to_" + one.lower().replace(" ", "_"))
            output = json.dumps({"assistant": self.agent})
        elif callable(output):
            output = output(arguments)
        self.lines.append(Line("function_call_output", call_id=call_id, output=output))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def talk() -> type[Talk]:
    return Talk


@pytest.fixture
def tool() -> Callable[..., dict[str, Any]]:
    return make_tool


@pytest.fixture
def handoff() -> Callable[..., dict[str, Any]]:
    return make_handoff
