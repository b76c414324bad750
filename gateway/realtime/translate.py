"""A Realtime server's events as events of a call. Pure, and safe against servers that send other than documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.call import events as e

_USAGE = {
    "total_tokens": ("total_tokens",),
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "cached_tokens": ("input_token_details", "cached_tokens"),
    "cached_text_tokens": ("input_token_details", "cached_tokens_details", "text_tokens"),
    "cached_audio_tokens": ("input_token_details", "cached_tokens_details", "audio_tokens"),
    "input_text_tokens": ("input_token_details", "text_tokens"),
    "input_audio_tokens": ("input_token_details", "audio_tokens"),
    "output_text_tokens": ("output_token_details", "text_tokens"),
    "output_audio_tokens": ("output_token_details", "audio_tokens"),
}


def translate(event: Mapping[str, Any], session: int) -> e.AgentEvent | None:
    """Turn one server event into what it means for the call; None where it means nothing to it.

    Audio, ``session.updated`` and errors are not among them: the side itself looks at those.
    """
    match event.get("type"):
        case "response.output_audio_transcript.delta" | "response.output_text.delta":
            return e.AgentTranscribed(session, _item(event), number(event, "content_index"), text(event, "delta"))
        case "response.output_audio_transcript.done":
            return _agent_said(event, session, "transcript")
        case "response.output_text.done":
            return _agent_said(event, session, "text")
        case "response.output_audio.done":
            return e.AgentAudioDone(session, _item(event), number(event, "content_index"))
        case "input_audio_buffer.speech_started":
            return e.SpeechStarted(_item(event), number(event, "audio_start_ms"))
        case "input_audio_buffer.speech_stopped":
            return e.SpeechStopped(_item(event), number(event, "audio_end_ms"))
        case "conversation.item.input_audio_transcription.delta":
            return e.CallerTranscribed(_item(event), text(event, "delta"))
        case "conversation.item.input_audio_transcription.completed":
            return e.CallerTranscribed(_item(event), text(event, "transcript"), final=True)
        case "conversation.item.input_audio_transcription.failed":
            return e.CallerTranscribed(_item(event), "", final=True, failed=True)
        case "response.created":
            return e.ResponseStarted(text(mapping(event, "response"), "id"))
        case "response.done":
            return _response_done(mapping(event, "response"))
        case _:
            return None


def error_of(event: Mapping[str, Any]) -> e.AgentErred:
    """Read an ``error`` event; where it has no code its type stands in."""
    error = mapping(event, "error")
    return e.AgentErred(text(error, "code") or text(error, "type"), text(error, "message"))


def mapping(owner: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object at a key; empty where there is none."""
    value = owner.get(key)
    return value if isinstance(value, Mapping) else {}


def text(owner: Mapping[str, Any], key: str) -> str:
    """The text at a key; empty where there is none."""
    value = owner.get(key)
    return value if isinstance(value, str) else ""


def number(owner: Mapping[str, Any], key: str) -> int:
    """The whole number at a key, fractions cut off; 0 where there is none."""
    value = owner.get(key)
    return int(value) if isinstance(value, int | float) else 0


def _item(event: Mapping[str, Any]) -> str:
    return text(event, "item_id")


def _agent_said(event: Mapping[str, Any], session: int, key: str) -> e.AgentTranscribed:
    return e.AgentTranscribed(session, _item(event), number(event, "content_index"), text(event, key), final=True)


def _response_done(response: Mapping[str, Any]) -> e.ResponseDone:
    details = mapping(response, "status_details")
    error = mapping(details, "error")
    code = text(error, "code") or text(error, "type") or text(details, "reason")
    return e.ResponseDone(
        text(response, "id"), text(response, "status") or "completed", code, _usage(mapping(response, "usage"))
    )


def _usage(usage: Mapping[str, Any]) -> dict[str, int]:
    counted = {}
    for name, path in _USAGE.items():
        owner = usage
        for key in path[:-1]:
            owner = mapping(owner, key)
        if amount := number(owner, path[-1]):
            counted[name] = amount
    return counted
