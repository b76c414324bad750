"""Every option of a line's model reaches the wire: a real session of the SDK against a real server."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import pytest
from agents.realtime import OpenAIRealtimeWebSocketModel, RealtimeModel, RealtimeRunner
from agents.realtime import config as sdk
from pydantic import BaseModel

from gateway.call.policy import BargeIn
from gateway.config.model_options import ModelConfig
from gateway.config.resolved import AgentConfig, LineConfig
from gateway.realtime.build import AgentBuilder
from gateway.realtime.model import GatewayModel
from gateway.realtime.options import endpoint, with_model
from gateway.realtime.toolsloop import ToolsLoop
from gateway.realtime.usercode import UserCode
from gateway.testing.model import ModelSession, ScriptedModel, hand_over, say
from gateway.tools import ToolContext

pytestmark = pytest.mark.anyio

MODELS: list[Callable[[], RealtimeModel]] = [GatewayModel, OpenAIRealtimeWebSocketModel]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[AgentBuilder]:
    tools = ToolsLoop()
    yield AgentBuilder(UserCode(tmp_path), tools)
    tools.close()


def line_of(**model: Any) -> LineConfig:
    agents = {
        "triage": AgentConfig("triage", "Sort callers.", handoffs=("faq",), tools=("hang_up",)),
        "faq": AgentConfig("faq", "Answer.", handoff_description="Knows things.", handoffs=("triage",)),
    }
    config = ModelConfig.model_validate_json(json.dumps(model))
    return LineConfig(id="desk", agent="triage", agents=MappingProxyType(agents), label="Acme", model=config)


@asynccontextmanager
async def connected(
    builder: AgentBuilder,
    line: LineConfig,
    *,
    model: Callable[[], RealtimeModel] = GatewayModel,
    server: ScriptedModel | None = None,
    path: str = "",
) -> AsyncIterator[tuple[ModelSession, Any]]:
    made = builder.build(line, ToolContext(call_id="call-7", line=line.id, ask=lambda _: None))
    async with server or ScriptedModel() as scripted:
        place = endpoint(line.model, url=scripted.url + path, api_key="sk-test")
        runner = RealtimeRunner(made.agent, model=model(), config=made.run_config)
        config: Any = {"url": place.url, "headers": dict(place.headers)}
        async with await runner.run(context=made.context, model_config=config) as session:
            wire = await scripted.connected()
            await wire.wait_for("session.update")
            yield wire, session


async def first_update(builder: AgentBuilder, line: LineConfig, **options: Any) -> dict[str, Any]:
    async with connected(builder, line, **options) as (wire, _):
        update: dict[str, Any] = wire.events("session.update")[0]["session"]
        return update


def at(session: dict[str, Any], path: str) -> Any:
    value: Any = session
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return "absent"
        value = value[key]
    return value


SERVER = {"type": "server_vad"}
SEMANTIC = {"type": "semantic_vad"}
IN, OUT = "audio.input", "audio.output"

CASES: list[tuple[str, dict[str, Any], str, Any]] = [
    ("name", {"name": "gpt-realtime-mini"}, "model", "gpt-realtime-mini"),
    ("voice", {"voice": "cedar"}, f"{OUT}.voice", "cedar"),
    ("voice.id", {"voice": {"id": "voice_1"}}, f"{OUT}.voice", {"id": "voice_1"}),
    ("speed", {"speed": 1.25}, f"{OUT}.speed", 1.25),
    ("modalities", {"modalities": ["text"]}, "output_modalities", ["text"]),
    ("transcription", {"transcription": "off"}, f"{IN}.transcription", None),
    ("transcription.model", {"transcription": {"model": "whisper-1"}}, f"{IN}.transcription.model", "whisper-1"),
    ("transcription.language", {"transcription": {"language": "de"}}, f"{IN}.transcription.language", "de"),
    (
        "transcription.languages",
        {"transcription": {"languages": ["de", "fr"]}},
        f"{IN}.transcription.languages",
        ["de", "fr"],
    ),
    ("transcription.prompt", {"transcription": {"prompt": "Bikes"}}, f"{IN}.transcription.prompt", "Bikes"),
    ("transcription.keywords", {"transcription": {"keywords": ["Acme"]}}, f"{IN}.transcription.keywords", ["Acme"]),
    ("transcription.delay", {"transcription": {"delay": "high"}}, f"{IN}.transcription.delay", "high"),
    ("noise_reduction", {"noise_reduction": "far_field"}, f"{IN}.noise_reduction", {"type": "far_field"}),
    ("noise_reduction", {"noise_reduction": "near_field"}, f"{IN}.noise_reduction", {"type": "near_field"}),
    ("noise_reduction", {"noise_reduction": "off"}, f"{IN}.noise_reduction", None),
    ("turn_detection", {"turn_detection": "off"}, f"{IN}.turn_detection", None),
    ("turn_detection.type", {"turn_detection": SERVER}, f"{IN}.turn_detection.type", "server_vad"),
    (
        "turn_detection.threshold",
        {"turn_detection": {**SERVER, "threshold": 0.7}},
        f"{IN}.turn_detection.threshold",
        0.7,
    ),
    (
        "turn_detection.silence_duration_ms",
        {"turn_detection": {**SERVER, "silence_duration_ms": 700}},
        f"{IN}.turn_detection.silence_duration_ms",
        700,
    ),
    (
        "turn_detection.prefix_padding_ms",
        {"turn_detection": {**SERVER, "prefix_padding_ms": 250}},
        f"{IN}.turn_detection.prefix_padding_ms",
        250,
    ),
    (
        "turn_detection.idle_timeout_ms",
        {"turn_detection": {**SERVER, "idle_timeout_ms": 6000}},
        f"{IN}.turn_detection.idle_timeout_ms",
        6000,
    ),
    (
        "turn_detection.eagerness",
        {"turn_detection": {**SEMANTIC, "eagerness": "low"}},
        f"{IN}.turn_detection.eagerness",
        "low",
    ),
    (
        "turn_detection.create_response",
        {"turn_detection": {"create_response": False}},
        f"{IN}.turn_detection.create_response",
        False,
    ),
    (
        "turn_detection.interrupt_response",
        {"turn_detection": {"interrupt_response": False}},
        f"{IN}.turn_detection.interrupt_response",
        False,
    ),
    ("max_output_tokens", {"max_output_tokens": 512}, "max_output_tokens", 512),
    ("max_output_tokens", {"max_output_tokens": "inf"}, "max_output_tokens", "inf"),
    ("tool_choice", {"tool_choice": "required"}, "tool_choice", "required"),
    ("tool_choice", {"tool_choice": "none"}, "tool_choice", "none"),
    ("tool_choice", {"tool_choice": "hang_up"}, "tool_choice", {"type": "function", "name": "hang_up"}),
    ("parallel_tool_calls", {"parallel_tool_calls": False}, "parallel_tool_calls", False),
    ("reasoning.effort", {"reasoning": {"effort": "low"}}, "reasoning.effort", "low"),
    ("prompt.id", {"prompt": {"id": "pmpt_1"}}, "prompt.id", "pmpt_1"),
    ("prompt.version", {"prompt": {"id": "p", "version": "3"}}, "prompt.version", "3"),
    ("prompt.variables", {"prompt": {"id": "p", "variables": {"a": "b"}}}, "prompt.variables", {"a": "b"}),
]


@pytest.mark.parametrize(("key", "model", "path", "expected"), CASES, ids=[f"{case[0]}={case[3]}" for case in CASES])
async def test_an_option_reaches_the_wire(
    builder: AgentBuilder, key: str, model: dict[str, Any], path: str, expected: Any
) -> None:
    changed = await first_update(builder, line_of(**model))
    assert at(changed, path) == expected
    assert at(await first_update(builder, line_of()), path) != expected


@pytest.mark.parametrize("model", MODELS)
async def test_the_formats_are_the_telephones_and_the_rest_is_the_lines(
    builder: AgentBuilder, model: Callable[[], RealtimeModel]
) -> None:
    session = await first_update(builder, line_of(), model=model)
    assert at(session, f"{IN}.format") == at(session, f"{OUT}.format") == {"type": "audio/pcmu"}
    assert at(session, "instructions") == "Sort callers."
    assert at(session, "output_modalities") == ["audio"]
    assert [tool["name"] for tool in session["tools"]] == ["hang_up", "transfer_to_faq"]
    assert "Knows things." in session["tools"][1]["description"]
    for unsaid in (f"{OUT}.speed", f"{IN}.noise_reduction", "tool_choice", "reasoning", "prompt", "max_output_tokens"):
        assert at(session, unsaid) == "absent"


async def test_everything_is_sent_again_with_a_handoff(builder: AgentBuilder) -> None:
    line = line_of(
        voice={"id": "voice_1"}, speed=1.1, noise_reduction="off", transcription="off", turn_detection=SERVER,
        tool_choice="required", max_output_tokens=99, parallel_tool_calls=False, modalities=["audio"],
    )  # fmt: skip
    async with connected(builder, line, server=ScriptedModel([hand_over("faq"), say("Hello")])) as (wire, session):
        await session.send_message("Help")
        await wire.wait_for("session.update", 2)
        before, after = (event["session"] for event in wire.events("session.update"))
    assert after["instructions"] == "Answer."
    assert [tool["name"] for tool in after["tools"]] == ["transfer_to_triage"]
    own = {"instructions", "tools"}
    assert {key: value for key, value in after.items() if key not in own} == {
        key: value for key, value in before.items() if key not in own
    }


# ---- Tracing: off unless asked for ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
async def test_nothing_is_traced_unless_asked_for(builder: AgentBuilder, model: Callable[[], RealtimeModel]) -> None:
    server = ScriptedModel([hand_over("faq"), say("Hello")])
    async with connected(builder, line_of(), model=model, server=server) as (wire, session):
        await session.send_message("Help")
        await wire.wait_for("session.update", 2)
        assert [at(event["session"], "tracing") for event in wire.events("session.update")] == ["absent", "absent"]


@pytest.mark.parametrize(
    ("tracing", "sent"),
    [
        ({}, {"workflow_name": "Acme", "group_id": "call-7", "metadata": {}}),
        ({"workflow_name": "w"}, {"workflow_name": "w", "group_id": "call-7", "metadata": {}}),
        ({"group_id": "g"}, {"workflow_name": "Acme", "group_id": "g", "metadata": {}}),
        ({"metadata": {"k": "v"}}, {"workflow_name": "Acme", "group_id": "call-7", "metadata": {"k": "v"}}),
    ],
)
async def test_tracing_reaches_the_wire(builder: AgentBuilder, tracing: dict[str, Any], sent: dict[str, Any]) -> None:
    async with connected(builder, line_of(tracing=tracing)) as (wire, _):
        await wire.wait_for("session.update", 2)
        assert sent in [at(event["session"], "tracing") for event in wire.events("session.update")]


# ---- Who starts responses (design rule 2) ---------------------------------------------------------------------------


@pytest.mark.parametrize("barge_in", [BargeIn(min_speech=0.2), BargeIn(allowed=False), BargeIn(protect_greeting=True)])
@pytest.mark.parametrize("turns", [SERVER, SEMANTIC, {"create_response": True, "interrupt_response": True}])
async def test_a_call_that_owns_responses_says_so(
    builder: AgentBuilder, barge_in: BargeIn, turns: dict[str, Any]
) -> None:
    line = replace(line_of(turn_detection=turns), barge_in=barge_in)
    detection = at(await first_update(builder, line), f"{IN}.turn_detection")
    assert (detection["create_response"], detection["interrupt_response"]) == (False, False)


async def test_turn_detection_that_is_off_stays_off(builder: AgentBuilder) -> None:
    line = replace(line_of(turn_detection="off"), barge_in=BargeIn(min_speech=0.2))
    assert at(await first_update(builder, line), f"{IN}.turn_detection") is None


# ---- Where the model is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://h/v1/realtime", "wss://h/v1/realtime?model=m%2F1"),
        ("wss://h/v1?api-version=1&deployment=d", "wss://h/v1?api-version=1&deployment=d&model=m%2F1"),
        ("wss://h/v1?model=other", "wss://h/v1?model=other"),
        ("wss://h/v1?a=%20b&model=", "wss://h/v1?a=%20b&model="),
        ("wss://u:p@h:1/v1?x#frag", "wss://u:p@h:1/v1?x&model=m%2F1"),
    ],
)
def test_the_model_is_added_to_a_url_that_names_none(url: str, expected: str) -> None:
    assert with_model(url, "m/1") == expected
    assert with_model(expected, "m/1") == expected


async def test_the_url_and_the_key_reach_the_server(builder: AgentBuilder) -> None:
    async with connected(builder, line_of(name="mine"), path="?tenant=7") as (wire, _):
        assert wire.query == {"tenant": ["7"], "model": ["mine"]}
        assert wire.headers["Authorization"] == "Bearer sk-test"


async def test_the_lines_own_headers_authorise_in_their_own_way(builder: AgentBuilder) -> None:
    async with connected(builder, line_of(headers={"api-key": "azure", "X-Team": "a"})) as (wire, _):
        assert wire.headers["api-key"] == "azure"
        assert wire.headers["X-Team"] == "a"
        assert "Authorization" not in wire.headers


@pytest.mark.parametrize(
    ("model", "key", "url", "headers"),
    [
        ({}, "k", "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1", {"Authorization": "Bearer k"}),
        ({"url": "ws://line/rt"}, "", "ws://line/rt?model=gpt-realtime-2.1", {}),
        ({"headers": {"X": "1"}}, "k", "", {"X": "1", "Authorization": "Bearer k"}),
        ({"headers": {"authorization": "Mine"}}, "k", "", {"authorization": "Mine"}),
    ],
)
def test_endpoints(model: dict[str, Any], key: str, url: str, headers: dict[str, str]) -> None:
    place = endpoint(line_of(**model).model, api_key=key)
    assert dict(place.headers) == headers
    assert not url or place.url == url


def test_secrets_stay_out_of_reprs() -> None:
    line = line_of(headers={"api-key": "azure-secret"})
    assert "secret" not in repr(endpoint(line.model, api_key="sk-secret"))


# ---- Nothing is forgotten -------------------------------------------------------------------------------------------


def test_every_option_of_a_line_has_a_case() -> None:
    elsewhere = {"url", "headers", "tracing", "tracing.workflow_name", "tracing.group_id", "tracing.metadata"}
    assert set(keys_of(ModelConfig)) == {case[0] for case in CASES} | elsewhere | {"reasoning", "prompt"}


def test_every_option_of_the_sdk_can_be_set() -> None:
    """The options of this SDK version; a new one fails here until a line can set it."""
    by_us = {"audio", "instructions", "tools", "handoffs"}
    flat_twins = {"modalities", "voice", "speed", "input_audio_format", "output_audio_format",
                  "input_audio_transcription", "input_audio_noise_reduction", "turn_detection"}  # fmt: skip
    ours = {case[0].split(".")[0] for case in CASES} | {"tracing", "model_name", "output_modalities"}
    assert set(sdk.RealtimeSessionModelSettings.__annotations__) - by_us - flat_twins <= ours
    keys = {case[0] for case in CASES}
    assert {f"transcription.{key}" for key in sdk.RealtimeInputAudioTranscriptionConfig.__annotations__} <= keys
    # Its own server's, by the SDK's words "backend-specific".
    turns = set(sdk.RealtimeTurnDetectionConfig.__annotations__) - {"model_version"}
    assert {f"turn_detection.{key}" for key in turns} <= keys
    assert set(sdk.RealtimeAudioInputConfig.__annotations__) - {"format"} <= keys
    assert set(sdk.RealtimeAudioOutputConfig.__annotations__) - {"format"} <= keys


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for part in parts_of(field.annotation):
            yield from keys_of(part, f"{prefix}{name}.")


def parts_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from parts_of(argument)
