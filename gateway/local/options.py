"""What a session was told to be: the ``session`` object of the protocol, changed by ``session.update``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.local.protocol import ClientError, Json, SessionUpdate, refusal
from gateway.local.sound import Format
from gateway.local.speech import Manner

_SERVER_VAD: Json = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Json = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_SILENCE_BY_EAGERNESS = {"high": 300, "medium": 600, "auto": 600, "low": 1000}
_NESTED = {"audio", "input", "output"}
_DEFAULT_INSTRUCTIONS = "You are a helpful voice agent. Be brief."
_SLOWEST, _FASTEST = 0.25, 1.5


@dataclass(frozen=True, slots=True)
class TurnRules:
    """How turns are taken: times in milliseconds."""

    threshold: float
    silence_ms: float
    prefix_ms: float
    idle_ms: float | None
    create_response: bool
    interrupt_response: bool


class SessionOptions:
    """The effective configuration of one session."""

    def __init__(self, session_id: str, model: str, expires_at: int) -> None:
        self.state: Json = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "expires_at": expires_at,
            "output_modalities": ["audio"],
            "instructions": _DEFAULT_INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "parallel_tool_calls": None,
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "include": None,
            "reasoning": None,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": dict(_SERVER_VAD),
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
            },
        }

    def update(self, change: Json, *, spoken: bool) -> None:
        """Apply a ``session.update`` whole, or refuse it whole.

        Args:
            change: the ``session`` object of the event; only what is present changes.
            spoken: the session has answered with audio already, so that its voice is fixed.
        """
        try:
            msgspec.convert(change, SessionUpdate)
        except msgspec.ValidationError as error:
            raise refusal(error, ".session") from error
        state = copy.deepcopy(self.state)
        _merge(state, change)
        _fill(state)
        _check(state)
        if spoken and state["audio"]["output"]["voice"] != self.state["audio"]["output"]["voice"]:
            raise ClientError(
                "Cannot update a conversation's voice if assistant audio is present.", "cannot_update_voice"
            )
        self.state = state

    def view(self) -> Json:
        """Give the ``session`` object as events carry it."""
        return copy.deepcopy(self.state)

    @property
    def instructions(self) -> str:
        """What the agent was told to be."""
        return str(self.state["instructions"] or "")

    @property
    def tools(self) -> list[Json]:
        """The session's tools, as they were sent."""
        return list(self.state["tools"] or [])

    @property
    def input_format(self) -> Format:
        """How the caller's audio comes."""
        found: Format = self.state["audio"]["input"]["format"]["type"]
        return found

    @property
    def transcribes(self) -> bool:
        """Whether the client wants to read what the caller said."""
        return self.state["audio"]["input"]["transcription"] is not None

    @property
    def modality(self) -> str:
        """``audio`` or ``text``."""
        return str(self.state["output_modalities"][0])

    @property
    def manner(self) -> Manner:
        """How answers are spoken."""
        output = self.state["audio"]["output"]
        voice = output["voice"]
        return Manner(
            voice=voice if isinstance(voice, str) else str(voice.get("id", "")),
            speed=float(output["speed"]),
            wire=output["format"]["type"],
        )

    @property
    def turns(self) -> TurnRules | None:
        """How turns are found, or None where the client commits them itself."""
        rules = self.state["audio"]["input"]["turn_detection"]
        if rules is None:
            return None
        if rules["type"] == "semantic_vad":
            return TurnRules(
                threshold=float(_SERVER_VAD["threshold"]),
                silence_ms=_SILENCE_BY_EAGERNESS[rules["eagerness"]],
                prefix_ms=float(_SERVER_VAD["prefix_padding_ms"]),
                idle_ms=None,
                create_response=rules["create_response"],
                interrupt_response=rules["interrupt_response"],
            )
        return TurnRules(
            threshold=float(rules["threshold"]),
            silence_ms=float(rules["silence_duration_ms"]),
            prefix_ms=float(rules["prefix_padding_ms"]),
            idle_ms=rules["idle_timeout_ms"],
            create_response=rules["create_response"],
            interrupt_response=rules["interrupt_response"],
        )


def _merge(state: Json, change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if key in _NESTED and isinstance(value, Mapping):
            _merge(state[key], value)
        elif key in _NESTED:
            continue
        else:
            state[key] = copy.deepcopy(value)


def _fill(state: Json) -> None:
    """Put the API's defaults where the client left something out."""
    audio_in, audio_out = state["audio"]["input"], state["audio"]["output"]
    rules = audio_in["turn_detection"]
    if rules is not None:
        defaults = _SEMANTIC_VAD if rules["type"] == "semantic_vad" else _SERVER_VAD
        given = {key: value for key, value in rules.items() if value is not None}
        audio_in["turn_detection"] = {**defaults, **given}
    for side in (audio_in, audio_out):
        side["format"] = side["format"] or {"type": "audio/pcm"}
        if side["format"]["type"] == "audio/pcm":
            side["format"] = {"type": "audio/pcm", "rate": 24000}
        else:
            side["format"] = {"type": side["format"]["type"]}
    audio_out["voice"] = audio_out["voice"] or "marin"
    audio_out["speed"] = 1.0 if audio_out["speed"] is None else audio_out["speed"]
    state["output_modalities"] = state["output_modalities"] or ["audio"]
    state["tools"] = state["tools"] or []
    state["tool_choice"] = state["tool_choice"] or "auto"


def _check(state: Json) -> None:
    """Refuse values that the API refuses."""
    rules = state["audio"]["input"]["turn_detection"]
    if rules is not None and rules["type"] == "server_vad":
        _between(rules["threshold"], 0.0, 1.0, "session.audio.input.turn_detection.threshold")
        _between(rules["silence_duration_ms"], 0, 60_000, "session.audio.input.turn_detection.silence_duration_ms")
        _between(rules["prefix_padding_ms"], 0, 60_000, "session.audio.input.turn_detection.prefix_padding_ms")
        if rules["idle_timeout_ms"] is not None:
            _between(rules["idle_timeout_ms"], 100, 600_000, "session.audio.input.turn_detection.idle_timeout_ms")
    _between(state["audio"]["output"]["speed"], _SLOWEST, _FASTEST, "session.audio.output.speed")
    if len(set(state["output_modalities"])) != 1:
        raise ClientError(
            "Invalid modalities: it is not possible to request both text and audio.",
            "invalid_value",
            "session.output_modalities",
        )


def _between(value: float, least: float, most: float, param: str) -> None:
    if not least <= value <= most:
        raise ClientError(f"Invalid '{param}': expected {least} to {most}, got {value}.", "invalid_value", param)
