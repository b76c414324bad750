"""session.update: what the server takes and refuses, against the published types."""

from typing import Any

import pytest
from openai.types.realtime import (
    AudioTranscription,
    RealtimeAudioConfigInput,
    RealtimeAudioConfigOutput,
    RealtimeSessionCreateRequest,
)
from openai.types.realtime.realtime_audio_input_turn_detection import SemanticVad, ServerVad

from gateway.testing.model import config
from gateway.testing.model.refusal import Refusal

START = config.default_session("sess_1", "gpt-realtime", 2_000_000_000)


def merge(**update: Any) -> dict[str, Any]:
    return config.merge(START, {"type": "realtime", **update}, has_spoken=False)


def test_every_field_of_the_published_types_is_known_and_no_other() -> None:
    assert set(config.SESSION_FIELDS) == set(RealtimeSessionCreateRequest.model_fields)
    assert set(config.INPUT_FIELDS) == set(RealtimeAudioConfigInput.model_fields)
    assert set(config.OUTPUT_FIELDS) == set(RealtimeAudioConfigOutput.model_fields)
    assert set(config.TRANSCRIPTION_FIELDS) == set(AudioTranscription.model_fields)
    assert set(config.TURN_DETECTION_FIELDS["server_vad"]) == set(ServerVad.model_fields)
    assert set(config.TURN_DETECTION_FIELDS["semantic_vad"]) == set(SemanticVad.model_fields)


def test_what_is_not_named_stays_and_what_is_null_is_off() -> None:
    vad = {"type": "server_vad", "threshold": 0.8}
    first = merge(instructions="Be brief.", audio={"input": {"turn_detection": vad}})
    assert first["audio"]["input"]["turn_detection"]["threshold"] == 0.8
    assert first["audio"]["input"]["turn_detection"]["prefix_padding_ms"] == 300
    second = config.merge(first, {"type": "realtime", "audio": {"input": {"turn_detection": None}}}, has_spoken=False)
    assert second["audio"]["input"]["turn_detection"] is None
    assert second["instructions"] == "Be brief."
    assert second["audio"]["output"] == START["audio"]["output"]
    assert START["audio"]["input"]["turn_detection"] is not None


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ({"type": "dictation"}, "invalid_value", "session.type"),
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"instructions": 7}, "invalid_type", "session.instructions"),
        ({"max_output_tokens": 5000}, "invalid_value", "session.max_output_tokens"),
        ({"audio": {"input": {"format": "g711_ulaw"}}}, "invalid_type", "session.audio.input.format"),
        ({"audio": {"input": {"format": {"type": "g711_ulaw"}}}}, "invalid_value", "session.audio.input.format.type"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 8000}}}},
            "unknown_parameter",
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1.5}}}},
            "decimal_above_max_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "eagerness": "low"}}}},
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            {"audio": {"input": {"turn_detection": {"threshold": 0.5}}}},
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        ({"audio": {"output": {"speed": 2}}}, "decimal_above_max_value", "session.audio.output.speed"),
        ({"audio": {"output": {"speed": True}}}, "invalid_type", "session.audio.output.speed"),
        ({"tools": {"name": "x"}}, "invalid_type", "session.tools"),
        ({"prompt": {"version": "2"}}, "missing_required_parameter", "session.prompt.id"),
    ],
)
def test_what_is_wrong_is_named(update: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(Refusal) as caught:
        merge(**update)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_the_type_is_needed() -> None:
    with pytest.raises(Refusal, match=r"session\.type"):
        config.merge(START, {"instructions": "x"}, has_spoken=False)


def test_the_voice_stays_once_it_was_heard() -> None:
    update = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    assert config.merge(START, update, has_spoken=False)["audio"]["output"]["voice"] == "marin"
    with pytest.raises(Refusal) as caught:
        config.merge(START, update, has_spoken=True)
    assert caught.value.code == "cannot_update_voice"
    config.merge(START, {"type": "realtime", "audio": {"output": {"voice": "alloy"}}}, has_spoken=True)


def test_tracing_stays_once_it_is_on() -> None:
    traced = merge(tracing={"workflow_name": "calls", "group_id": "1"})
    with pytest.raises(Refusal):
        config.merge(traced, {"type": "realtime", "tracing": None}, has_spoken=False)
    config.merge(traced, {"type": "realtime", "instructions": "x"}, has_spoken=False)


def test_bytes_of_a_millisecond() -> None:
    assert config.bytes_per_ms({"type": "audio/pcmu"}) == config.bytes_per_ms({"type": "audio/pcma"}) == 8
    assert config.bytes_per_ms({"type": "audio/pcm", "rate": 24000}) == config.bytes_per_ms(None) == 48
