"""A chat endpoint answers instead of the rules: what it is sent, and what becomes of its answers."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx2
import pytest

from gateway.errors import ModelError
from gateway.local.brain.chat import ChatBrain
from gateway.local.brain.turn import Line, Question, ToolUse

pytestmark = pytest.mark.anyio
TOOL = {"type": "function", "name": "zank", "description": "Zank it.", "parameters": {"type": "object"}}


def question(*lines: Line, **changes: Any) -> Question:
    values: dict[str, Any] = {"instructions": "Be kind.", "tools": (TOOL,), "lines": lines, "today": date(2026, 11, 24)}
    return Question(**(values | changes))


@pytest.fixture
def endpoint() -> Callable[..., tuple[ChatBrain, list[dict[str, Any]]]]:
    def make(message: dict[str, Any] | None, status: int = 200) -> tuple[ChatBrain, list[dict[str, Any]]]:
        asked: list[dict[str, Any]] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            asked.append({"url": str(request.url), **json.loads(request.content)})
            body = {"choices": [{"index": 0, "message": {"role": "assistant", **message}}]} if message else {"oh": "no"}
            return httpx2.Response(status, json=body)

        client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        return ChatBrain("http://127.0.0.1:1/v1/", "tiny", client), asked

    return make


async def test_words_and_calls_come_back_and_the_conversation_went_out(endpoint):
    call = {"id": "x", "type": "function", "function": {"name": "zank", "arguments": '{"n": 1}'}}
    brain, asked = endpoint({"content": "<think>hm</think>**Sure**,\n one moment.", "tool_calls": [call]})
    lines = (
        Line("message", role="user", text="Zank twice."),
        Line("message", role="assistant", text="Fine."),
        Line("function_call", name="zank", call_id="c1", arguments="{}"),
        Line("function_call", name="zank", call_id="c2", arguments="{}"),
        Line("function_call_output", call_id="c1", output="zanked"),
        Line("function_call_output", call_id="c2", output="zanked too"),
        Line("message", role="user", text="And again."),
    )
    reply = await brain.reply(question(*lines))
    assert reply.text == "Sure, one moment."
    assert reply.calls == (ToolUse("zank", {"n": 1}),)
    [body] = asked
    assert body["url"] == "http://127.0.0.1:1/v1/chat/completions"
    assert (body["model"], body["stream"], body["tool_choice"]) == ("tiny", False, "auto")
    assert [one["role"] for one in body["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert [one["id"] for one in body["messages"][2]["tool_calls"]] == ["c1", "c2"]
    assert body["messages"][0]["content"].startswith("Be kind.")
    assert body["tools"][0]["function"]["name"] == "zank"
    await brain.close()


async def test_running_call_and_forced_tool_are_told(endpoint):
    brain, asked = endpoint({"content": "Wait."})
    await brain.reply(question(Line("function_call", name="zank", call_id="c1"), tool_choice="zank"))
    assert asked[0]["messages"][-1] == {"role": "tool", "tool_call_id": "c1", "content": "(still running)"}
    assert asked[0]["tool_choice"] == {"type": "function", "function": {"name": "zank"}}
    await brain.close()


@pytest.mark.parametrize(
    ("message", "status"),
    [(None, 200), ({"content": "x"}, 500), ({"tool_calls": [{"function": {"name": "z", "arguments": "[1]"}}]}, 200)],
)
async def test_bad_answers_are_model_errors(endpoint, message, status):
    brain, _ = endpoint(message, status)
    with pytest.raises(ModelError):
        await brain.reply(question(Line("message", role="user", text="hi")))
    await brain.close()


async def test_endpoint_that_is_not_there_is_a_model_error():
    brain = ChatBrain("http://127.0.0.1:9/v1", "tiny")
    with pytest.raises(ModelError, match="can't be reached"):
        await brain.reply(question())
    await brain.close()
