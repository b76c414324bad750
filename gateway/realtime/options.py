"""A line's model options as the SDK takes them.

All of them go into one nested ``audio`` setting and a few flat ones, and all into the run's ``model_settings``, because
of what the SDK (0.24) does with them:

* A nested key wins over the flat one of the same meaning, and a flat one over the SDK's own defaults: pcm16, the voice
  ``ash``, ``semantic_vad``, a transcription. So formats are always set, and "off" is an explicit ``None``.
* ``model_settings`` are the base of every ``session.update``, the one at a handoff too. What is only in the
  ``initial_model_settings`` of the connection is there as well, but would override the agent's own at the start.
* ``tracing`` that is absent means "auto": the call's content in OpenAI's traces (hazard H21). ``tracing_disabled`` sets
  it to ``None`` on every update.
* Setting ``headers`` takes away the ``Authorization`` that the SDK would send, and without any it insists on a key.
* The name of a tool as ``tool_choice`` would be sent as a bare string, which the API refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from agents import set_tracing_disabled
from agents.realtime import RealtimeModelTracingConfig, RealtimeRunConfig, RealtimeSessionModelSettings
from openai.types.responses import ToolChoiceFunction

if TYPE_CHECKING:
    from agents.realtime.config import (
        RealtimeAudioConfig,
        RealtimeAudioInputConfig,
        RealtimeAudioOutputConfig,
        RealtimeInputAudioTranscriptionConfig,
        RealtimeTurnDetectionConfig,
    )

    from gateway.config.model_options import ModelConfig
    from gateway.config.resolved import LineConfig

OPENAI_URL: Final = "wss://api.openai.com/v1/realtime"
FORMAT: Final = "g711_ulaw"
"""What the telephone speaks; nothing is transcoded."""

_TOOL_CHOICES = frozenset({"auto", "none", "required"})
_AUTHORISING = frozenset({"authorization", "api-key"})


def keep_traces_home() -> None:
    """Switch off the SDK's own tracing in this process, which sends what users' tools do with other agents to OpenAI.

    It is apart from a line's ``tracing``, which asks the model's server to trace the call.
    """
    set_tracing_disabled(disabled=True)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is, and how to be let in. ``headers`` hold secrets."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


def endpoint(model: ModelConfig, *, url: str = "", api_key: str = "") -> Endpoint:
    """Return where a line's model is.

    Args:
        model: the line's options; its ``url`` wins.
        url: what ``OPENAI_REALTIME_URL`` says; empty is OpenAI's own.
        api_key: sent as a bearer unless the line's headers authorise in their own way (Azure's ``api-key``).
    """
    headers = {name: value.get_secret_value() for name, value in model.headers.items()}
    if api_key and _AUTHORISING.isdisjoint(name.lower() for name in headers):
        headers["Authorization"] = f"Bearer {api_key}"
    return Endpoint(with_model(model.url or url or OPENAI_URL, model.name), headers)


def with_model(url: str, model: str) -> str:
    """Add ``model=`` to a URL that has none; all else in it stays as it was written."""
    parts = urlsplit(url)
    if any(name == "model" for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return url
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}model={quote(model, safe='')}", fragment=""))


def run_config(line: LineConfig, *, call_id: str) -> RealtimeRunConfig:
    """Return what a line says of the session: model settings, the guardrails' debounce, tracing."""
    return {
        "model_settings": model_settings(line, call_id=call_id),
        "guardrails_settings": {"debounce_text_length": line.guardrail_debounce},
        "tracing_disabled": line.model.tracing == "off",
        "async_tool_calls": True,
    }


def model_settings(line: LineConfig, *, call_id: str) -> RealtimeSessionModelSettings:
    """Return every option of a line's model in the SDK's terms."""
    model = line.model
    settings: RealtimeSessionModelSettings = {
        "model_name": model.name,
        "output_modalities": list(model.modalities),
        "audio": _audio(model, owns_responses=line.policy().owns_responses),
        "tracing": _tracing(line, call_id),
    }
    if model.max_output_tokens is not None:
        settings["max_output_tokens"] = model.max_output_tokens
    if model.tool_choice is not None:
        settings["tool_choice"] = _tool_choice(model.tool_choice)
    if model.parallel_tool_calls is not None:
        settings["parallel_tool_calls"] = model.parallel_tool_calls
    if model.reasoning is not None:
        settings["reasoning"] = {"effort": model.reasoning.effort}
    if model.prompt is not None:
        settings["prompt"] = {"id": model.prompt.id}
        if model.prompt.version is not None:
            settings["prompt"]["version"] = model.prompt.version
        if model.prompt.variables:
            settings["prompt"]["variables"] = dict(model.prompt.variables)
    return settings


def _audio(model: ModelConfig, *, owns_responses: bool) -> RealtimeAudioConfig:
    hears: RealtimeAudioInputConfig = {"format": FORMAT}
    speaks: RealtimeAudioOutputConfig = {
        "format": FORMAT,
        "voice": model.voice if isinstance(model.voice, str) else {"id": model.voice.id},
    }
    if model.speed is not None:
        speaks["speed"] = model.speed
    if model.noise_reduction is not None:
        hears["noise_reduction"] = None if model.noise_reduction == "off" else {"type": model.noise_reduction}
    # The SDK's type says that transcription can't be None; its code, and the API, take that for "off".
    hears["transcription"] = cast("RealtimeInputAudioTranscriptionConfig", _transcription(model))
    hears["turn_detection"] = _turn_detection(model, owns_responses=owns_responses)
    return {"input": hears, "output": speaks}


def _transcription(model: ModelConfig) -> dict[str, Any] | None:
    if model.transcription == "off":
        return None
    said = model.transcription.model_dump(exclude_none=True)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in said.items() if value != ()}


def _turn_detection(model: ModelConfig, *, owns_responses: bool) -> RealtimeTurnDetectionConfig | None:
    if model.turn_detection == "off":
        return None
    said = model.turn_detection.model_dump(exclude_none=True)
    if owns_responses:
        # The call itself decides when the agent answers and when it is cut short (design rule 2).
        said |= {"create_response": False, "interrupt_response": False}
    return cast("RealtimeTurnDetectionConfig", said)


def _tool_choice(choice: str) -> Any:
    return choice if choice in _TOOL_CHOICES else ToolChoiceFunction(type="function", name=choice)


def _tracing(line: LineConfig, call_id: str) -> RealtimeModelTracingConfig | None:
    tracing = line.model.tracing
    if tracing == "off":
        return None
    # All three are always there: the SDK would send null for one that is not.
    return {
        "workflow_name": tracing.workflow_name or line.label or line.id,
        "group_id": tracing.group_id or call_id,
        "metadata": dict(tracing.metadata),
    }
