"""The configuration of a realtime session: OpenAI's defaults, what session.update may say, and how it is merged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from gateway.testing.model.refusal import Refusal

JSON: TypeAlias = dict[str, Any]
Check: TypeAlias = Callable[[Any, str], None]

SERVER_VAD: JSON = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,  # what the API shows in session.updated, though its reference says 500
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD: JSON = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
PCM: JSON = {"type": "audio/pcm", "rate": 24000}


def default_session(session_id: str, model: str, expires_at: int) -> JSON:
    """Give the session that session.created describes."""
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": dict(PCM),
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": dict(SERVER_VAD),
            },
            "output": {"format": dict(PCM), "voice": "alloy", "speed": 1.0},
        },
        "include": None,
    }


def bytes_per_ms(audio_format: Mapping[str, Any] | None) -> int:
    """Give the bytes of a millisecond: 8 of G.711, 48 of 16-bit PCM at 24 kHz."""
    return 48 if (audio_format or {}).get("type", "audio/pcm") == "audio/pcm" else 8


def merge(session: JSON, update: Mapping[str, Any], *, has_spoken: bool) -> JSON:
    """Give ``session`` with the fields of ``update`` replaced, or refuse it whole as the API does."""
    _check_session(update)
    merged = copy.deepcopy(session)
    for key, value in update.items():
        if key == "audio":
            for side in ("input", "output"):
                merged["audio"][side] |= copy.deepcopy(dict((value or {}).get(side) or {}))
        else:
            merged[key] = copy.deepcopy(value)
    _fill_defaults(merged["audio"]["input"])
    if has_spoken and merged["audio"]["output"]["voice"] != session["audio"]["output"]["voice"]:
        raise Refusal("Cannot update a conversation's voice if assistant audio is present.", code="cannot_update_voice")
    if session["tracing"] is not None and merged["tracing"] != session["tracing"]:
        raise Refusal("Cannot update tracing once it is enabled.", code="invalid_value", param="session.tracing")
    return merged


def _fill_defaults(audio_input: JSON) -> None:
    detection = audio_input["turn_detection"]
    if detection is not None:
        defaults = SEMANTIC_VAD if detection["type"] == "semantic_vad" else SERVER_VAD
        audio_input["turn_detection"] = {**defaults, **detection}


# ---- What session.update may say -------------------------------------------------------------------------------------


def _anything(_value: Any, _path: str) -> None:
    pass


def _refuse(path: str, message: str) -> Refusal:
    return Refusal(message, code="invalid_value", param=path)


def _is(kinds: type | tuple[type, ...], name: str) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            message = f"Invalid type for '{path}': expected {name}, but got {value!r} instead."
            raise Refusal(message, code="invalid_type", param=path)

    return check


def _number(least: float, most: float, name: str = "a decimal") -> Check:
    right_type = _is((int, float) if name == "a decimal" else int, name)

    def check(value: Any, path: str) -> None:
        right_type(value, path)
        if value < least:
            raise Refusal(
                f"Invalid '{path}': {name} below minimum value. Expected a value >= {least}, but got {value} instead.",
                code=f"{name.rsplit(maxsplit=1)[-1]}_below_min_value",
                param=path,
            )
        if value > most:
            raise Refusal(
                f"Invalid '{path}': {name} above maximum value. Expected a value <= {most}, but got {value} instead.",
                code=f"{name.rsplit(maxsplit=1)[-1]}_above_max_value",
                param=path,
            )

    return check


def _integer(least: float, most: float) -> Check:
    return _number(least, most, "an integer")


def _one_of(*values: Any) -> Check:
    def check(value: Any, path: str) -> None:
        if value not in values:
            supported = ", ".join(f"'{each}'" for each in values)
            raise _refuse(path, f"Invalid value: '{value}'. Supported values are: {supported}.")

    return check


def _either(*checks: Check) -> Check:
    def check(value: Any, path: str) -> None:
        refusals: list[Refusal] = []
        for each in checks:
            try:
                return each(value, path)
            except Refusal as refusal:
                refusals.append(refusal)
        raise refusals[0]

    return check


def _null(value: Any, path: str) -> None:
    if value is not None:
        raise _refuse(path, f"Invalid value: '{value}'.")


def _or_null(check: Check) -> Check:
    return _either(check, _null)


def _list(each: Check) -> Check:
    right_type = _is(list, "an array")

    def check(value: Any, path: str) -> None:
        right_type(value, path)
        for at, one in enumerate(value):
            each(one, f"{path}[{at}]")

    return check


def _object(fields: Mapping[str, Check], *required: str) -> Check:
    right_type = _is(Mapping, "an object")

    def check(value: Any, path: str) -> None:
        right_type(value, path)
        for key in required:
            if key not in value:
                name = f"{path}.{key}"
                raise Refusal(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
        for key, one in value.items():
            name = f"{path}.{key}"
            if key not in fields:
                raise Refusal(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
            fields[key](one, name)

    return check


def _typed(**kinds: Check) -> Check:
    def check(value: Any, path: str) -> None:
        _is(Mapping, "an object")(value, path)
        if "type" not in value:
            name = f"{path}.type"
            raise Refusal(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
        _one_of(*kinds)(value["type"], f"{path}.type")
        kinds[value["type"]](value, path)

    return check


_text = _is(str, "a string")
_flag = _is(bool, "a boolean")
_texts = _list(_text)

FORMAT = _typed(
    **{
        "audio/pcm": _object({"type": _anything, "rate": _one_of(24000)}),
        "audio/pcmu": _object({"type": _anything}),
        "audio/pcma": _object({"type": _anything}),
    }
)
TURN_DETECTION_FIELDS: dict[str, dict[str, Check]] = {
    "server_vad": {
        "type": _anything,
        "threshold": _or_null(_number(0, 1)),
        "prefix_padding_ms": _or_null(_integer(0, 10_000)),
        "silence_duration_ms": _or_null(_integer(0, 10_000)),
        "idle_timeout_ms": _or_null(_integer(5000, 30_000)),
        "create_response": _or_null(_flag),
        "interrupt_response": _or_null(_flag),
    },
    "semantic_vad": {
        "type": _anything,
        "eagerness": _or_null(_one_of("low", "medium", "high", "auto")),
        "create_response": _or_null(_flag),
        "interrupt_response": _or_null(_flag),
    },
}
TRANSCRIPTION_FIELDS: dict[str, Check] = {
    "model": _text,
    "language": _or_null(_text),
    "languages": _or_null(_texts),
    "prompt": _or_null(_text),
    "keywords": _or_null(_texts),
    "delay": _or_null(_one_of("minimal", "low", "medium", "high", "xhigh")),
}
INPUT_FIELDS: dict[str, Check] = {
    "format": _or_null(FORMAT),
    "noise_reduction": _or_null(
        _object({"type": _one_of("near_field", "far_field"), "strength": _or_null(_number(0, 1))})
    ),
    "transcription": _or_null(_object(TRANSCRIPTION_FIELDS)),
    "turn_detection": _or_null(_typed(**{kind: _object(fields) for kind, fields in TURN_DETECTION_FIELDS.items()})),
}
OUTPUT_FIELDS: dict[str, Check] = {
    "format": _or_null(FORMAT),
    "speed": _or_null(_number(0.25, 1.5)),
    "voice": _or_null(_either(_text, _object({"id": _text}, "id"))),
}
SESSION_FIELDS: dict[str, Check] = {
    "type": _one_of("realtime"),
    "audio": _or_null(_object({"input": _or_null(_object(INPUT_FIELDS)), "output": _or_null(_object(OUTPUT_FIELDS))})),
    "include": _or_null(_list(_one_of("item.input_audio_transcription.logprobs"))),
    "instructions": _or_null(_text),
    "max_output_tokens": _or_null(_either(_one_of("inf"), _integer(1, 4096))),
    "model": _text,
    "output_modalities": _one_of(["audio"], ["text"]),
    "parallel_tool_calls": _or_null(_flag),
    "prompt": _or_null(_object({"id": _text, "version": _or_null(_text), "variables": _anything}, "id")),
    "reasoning": _or_null(_object({"effort": _or_null(_one_of("minimal", "low", "medium", "high", "xhigh"))})),
    "tool_choice": _either(_one_of("none", "auto", "required"), _is(Mapping, "an object")),
    "tools": _list(_is(Mapping, "an object")),
    "tracing": _or_null(
        _either(
            _one_of("auto"),
            _object({"workflow_name": _or_null(_text), "group_id": _or_null(_text), "metadata": _anything}),
        )
    ),
    "truncation": _either(_one_of("auto", "disabled"), _is(Mapping, "an object")),
}

_check_whole = _object(SESSION_FIELDS, "type")


def _check_session(update: Mapping[str, Any]) -> None:
    _check_whole(update, "session")
