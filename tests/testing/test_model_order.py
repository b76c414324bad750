"""The order of the events of one call, as the GA API sends them."""

import asyncio

import pytest

from gateway.testing.model import SILENCE, RawClient, ScriptedModel, Timing, call_tool, encode_frame, say

pytestmark = pytest.mark.anyio

QUICK = Timing(first_audio=0.01, speed=40, transcription=0.3)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def folded(kinds: list[str]) -> list[str]:
    """Fold runs of deltas, which differ in number only."""
    runs: list[str] = []
    for kind in kinds:
        if not (kind.endswith(".delta") and kind in runs[-2:]):
            runs.append(kind)
    return runs


async def test_the_order_of_a_whole_conversation() -> None:
    script = [say("Hello, this is Acme, how can I help?", 1), call_tool("find_seat", {"row": 3})]
    async with ScriptedModel(script, timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure(transcription={"model": "whisper-1"}, turn_detection={"type": "server_vad"})

        # The caller speaks for half a second, and is quiet for another half.
        await client.hear(b"".join(map(encode_frame, range(25))) + bytes([SILENCE]) * 4000)
        await client.expect("conversation.item.input_audio_transcription.completed")

        # The client lets the model speak again: it calls a tool.
        await client.send("response.create")
        await client.expect("response.done")
        call = (await client.expect("response.done"))["response"]["output"][0]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "3A"}
        await client.send("conversation.item.create", item=output)
        await asyncio.sleep(0.1)

        assert folded(client.kinds()) == [
            "session.created",
            "session.updated",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
            # The output of a tool makes the model say nothing until it is asked to.
            "conversation.item.added",
            "conversation.item.done",
        ]


async def test_a_barge_in_closes_what_was_begun_and_cancels_the_response() -> None:
    script = [say("This is going to be a rather long answer to a very short question.", 10)]
    async with ScriptedModel(script, timing=Timing(first_audio=0.01)) as model, RawClient(model.url) as client:
        await client.configure(turn_detection={"type": "server_vad", "create_response": False})
        await client.send("response.create")
        await client.expect("response.output_audio.delta")
        await model.session().speech_started()
        await client.expect("rate_limits.updated")
        at = client.kinds().index("input_audio_buffer.speech_started")
        assert client.kinds()[at:] == [
            "input_audio_buffer.speech_started",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        response = (await client.expect("response.done"))["response"]
        assert response["status"] == "cancelled"
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert response["output"][0]["status"] == "incomplete"
