"""Every kind of event that the scripted model sends is what OpenAI publishes, field by field."""

import asyncio
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, Field, TypeAdapter

from gateway.testing.model import (
    SILENCE,
    Fault,
    RawClient,
    ScriptedModel,
    Timing,
    call_tool,
    cancelled,
    encode_frame,
    fail,
    incomplete,
    nothing,
    say,
    silence,
)

pytestmark = pytest.mark.anyio

UNPUBLISHED = {
    ("SessionCreatedEvent.session", "id"),
    ("SessionCreatedEvent.session", "object"),
    ("SessionCreatedEvent.session", "expires_at"),
    ("SessionUpdatedEvent.session", "id"),
    ("SessionUpdatedEvent.session", "object"),
    ("SessionUpdatedEvent.session", "expires_at"),
    ("ResponseAudioTranscriptDeltaEvent", "obfuscation"),
    ("ResponseTextDeltaEvent", "obfuscation"),
    ("ResponseFunctionCallArgumentsDeltaEvent", "obfuscation"),
    ("ConversationItemInputAudioTranscriptionDeltaEvent", "obfuscation"),
}
"""What traces of the API show though its types do not have it."""

NEVER_SENT = {
    "conversation.created": "sent by the beta only",
    "conversation.item.created": "sent by the beta only",
    "conversation.item.input_audio_transcription.segment": "of diarizing transcription",
    "input_audio_buffer.dtmf_event_received": "over SIP only",
    "output_audio_buffer.started": "over WebRTC and SIP only",
    "output_audio_buffer.stopped": "over WebRTC and SIP only",
    "output_audio_buffer.cleared": "over WebRTC and SIP only",
    "mcp_list_tools.in_progress": "of remote MCP servers",
    "mcp_list_tools.completed": "of remote MCP servers",
    "mcp_list_tools.failed": "of remote MCP servers",
    "response.mcp_call_arguments.delta": "of remote MCP servers",
    "response.mcp_call_arguments.done": "of remote MCP servers",
    "response.mcp_call.in_progress": "of remote MCP servers",
    "response.mcp_call.completed": "of remote MCP servers",
    "response.mcp_call.failed": "of remote MCP servers",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def published_kinds() -> set[str]:
    union = get_args(RealtimeServerEvent)[0] if get_origin(RealtimeServerEvent) is Annotated else RealtimeServerEvent
    assert get_origin(union) is Union
    return {kind for event in get_args(union) for kind in get_args(event.model_fields["type"].annotation)}


def unknown_fields(value: Any, path: str) -> set[tuple[str, str]]:
    """Give the fields that a validated event has beyond the published ones."""
    if isinstance(value, list):
        return {found for each in value for found in unknown_fields(each, path)}
    if not isinstance(value, BaseModel):
        return set()
    unknown = {(path, name) for name in value.model_extra or {}}
    for name in type(value).model_fields:
        unknown |= unknown_fields(getattr(value, name), f"{path}.{name}")
    return unknown


async def everything() -> list[dict[str, Any]]:
    """Make a model send every kind of event that it can."""
    script = [
        say("Hello, this is Acme.", 1) + say("How can I help?", 1),
        call_tool("find_seat", {"row": 3}) + say("One moment.", 0.5),
        fail("rate_limit_exceeded"),
        fail("server_error"),
        incomplete("content_filter", say("I would rather", 0.4)),
        cancelled(say("Never mind", 0.4)),
        nothing(),
        silence(0.2),
    ]
    timing = Timing(first_audio=0, speed=1000, transcription=0)
    async with ScriptedModel(script, timing=timing) as model, RawClient(model.url) as client:
        await client.configure(transcription={"model": "whisper-1"}, noise_reduction={"type": "near_field"})
        for number in range(2):
            if number:
                model.faults.on(Fault.TRANSCRIPTION_FAILED, times=1)
            await client.hear(b"".join(map(encode_frame, range(25))) + bytes([SILENCE]) * 4000)
            await client.expect("response.done")
        await client.send("input_audio_buffer.clear")
        for _ in script[2:]:
            await client.send("response.create")
            await client.expect("response.done")
        await client.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
        await client.expect("response.done")
        user, assistant = (
            next(each for each in model.session().items if each.role == role) for role in ("user", "assistant")
        )
        await client.send("conversation.item.retrieve", item_id=assistant.id)
        await client.send("conversation.item.truncate", item_id=assistant.id, content_index=0, audio_end_ms=300)
        await client.send("conversation.item.retrieve", item_id=assistant.id)
        await client.send("conversation.item.retrieve", item_id=user.id)
        await client.send("conversation.item.delete", item_id=user.id)
        await client.send("conversation.item.delete", item_id=user.id)
        await client.expect("error")
        await model.session().idle_timeout()
        await client.expect("response.done")
        await asyncio.sleep(0.05)
        return client.events


async def test_every_kind_of_event_is_as_published() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])
    events = await everything()
    for event in events:
        parsed = adapter.validate_python(event)
        assert unknown_fields(parsed, type(parsed).__name__) <= UNPUBLISHED, event
        assert parsed.type == event["type"]
    assert {event["type"] for event in events} == published_kinds() - set(NEVER_SENT)
    ids = [event["event_id"] for event in events]
    assert len(set(ids)) == len(ids)
