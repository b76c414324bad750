"""A language model of the operator's own instead of the rules: any OpenAI-compatible chat endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec

from gateway.errors import ModelError
from gateway.local.brain.turn import Line, Question, Reply, ToolUse

_PATH = "/chat/completions"
_TIMEOUT_S = 30.0
_SHOWN = 200
_ON_THE_PHONE = (
    "You are on the phone. Answer in one or two short sentences, as people speak: no lists, no markup, no emoji."
)
_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
_MARKUP = re.compile(r"[*_`#]+")


class _Function(msgspec.Struct):
    name: str
    arguments: str | dict[str, Any] = "{}"


class _ToolCall(msgspec.Struct):
    function: _Function


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class ChatBrain:
    """Asks ``POST <url>/chat/completions``, not streamed.

    Args:
        url: the endpoint, with or without ``/chat/completions``.
        model: the name that the endpoint knows its model by.
        client: for tests; by default one of its own.
    """

    def __init__(self, url: str, model: str, client: httpx2.AsyncClient | None = None) -> None:
        base = url.rstrip("/")
        self._url = base if base.endswith(_PATH) else base + _PATH
        self._model = model
        self._client = client or httpx2.AsyncClient(timeout=_TIMEOUT_S)
        self.name = f"{model} at {self._url}"

    async def reply(self, question: Question) -> Reply:
        """Answer; ModelError where the endpoint can't be had or doesn't answer as chat endpoints do."""
        try:
            response = await self._client.post(self._url, json=self._body(question))
        except httpx2.HTTPError as error:
            raise ModelError(f"The language model at {self._url} can't be reached: {error!r}") from error
        if response.is_error:
            raise ModelError(f"The language model answered {response.status_code}: {response.text[:_SHOWN]}")
        try:
            completion = msgspec.json.decode(response.content, type=_Completion)
            message = completion.choices[0].message
            calls = tuple(_call(one.function) for one in message.tool_calls or ())
        except (msgspec.DecodeError, IndexError, ValueError) as error:
            raise ModelError(f"The language model's answer can't be read: {error}") from error
        text = _MARKUP.sub("", _THINKING.sub("", message.content or ""))
        return Reply(" ".join(text.split()), calls)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _body(self, question: Question) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self._model, "messages": _messages(question), "stream": False}
        if question.tools and question.tool_choice != "none":
            body["tools"] = [{"type": "function", "function": _function(tool)} for tool in question.tools]
            choice = question.tool_choice
            named = choice not in {"auto", "required"}
            body["tool_choice"] = {"type": "function", "function": {"name": choice}} if named else choice
        return body


def _call(function: _Function) -> ToolUse:
    arguments = function.arguments
    if isinstance(arguments, str):
        arguments = json.loads(arguments or "{}")
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {function.name} are no object")  # noqa: TRY004 (bad data, not a bad type)
    return ToolUse(function.name, arguments)


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: tool[key] for key in ("name", "description", "parameters") if tool.get(key) is not None}
    return {"parameters": {"type": "object", "properties": {}}, **found}


def _messages(question: Question) -> list[dict[str, Any]]:
    told = question.directive or question.instructions
    messages: list[dict[str, Any]] = [{"role": "system", "content": f"{told}\n\n{_ON_THE_PHONE}".strip()}]
    answered = {line.call_id for line in question.lines if line.kind == "function_call_output"}
    for line in question.lines:
        if line.kind == "message":
            if line.text:
                messages.append({"role": line.role, "content": line.text})
        elif line.kind == "function_call":
            _add_call(messages, line)
            if line.call_id not in answered:
                messages.append({"role": "tool", "tool_call_id": line.call_id, "content": "(still running)"})
        else:
            messages.append({"role": "tool", "tool_call_id": line.call_id, "content": line.output})
    return messages


def _add_call(messages: list[dict[str, Any]], line: Line) -> None:
    """Add a call; several of one answer stand in one message, as chat endpoints want them."""
    call = {
        "id": line.call_id,
        "type": "function",
        "function": {"name": line.name, "arguments": line.arguments or "{}"},
    }
    last = messages[-1]
    if last["role"] == "assistant":
        last.setdefault("tool_calls", []).append(call)
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
