"""The server's side of the Realtime protocol, seen by a client that checks every event against the documents' types."""

import asyncio
import base64
import json
from collections.abc import Iterable

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.local]

ANSWER = [
    "response.created",
    "rate_limits.updated",
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
]
LONG = (
    "Say: This is the first sentence of a rather long answer. Then comes the second one, and it goes on and on and on."
)


def first_of_each(types: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(types))


async def test_session_is_created_and_updated_in_parts(wire):
    created = await wire.until("session.created")
    assert created["session"]["model"] == "tiny"
    assert created["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    updated = await wire.configure(instructions="Be brief.", tools=[{"type": "function", "name": "zank"}])
    assert updated["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    await wire.send("session.update", session={"type": "realtime", "audio": {"output": {"speed": 1.2}}})
    updated = (await wire.until("session.updated"))["session"]
    assert updated["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert updated["audio"]["output"]["speed"] == 1.2
    assert updated["instructions"] == "Be brief."
    assert updated["tools"][0]["name"] == "zank"


async def test_spoken_turn_goes_through_all_events(wire, recorded):
    await wire.configure()
    await wire.hear(recorded("cmu_goforward"))
    response = await wire.done()
    started, stopped = wire.of("input_audio_buffer.speech_started"), wire.of("input_audio_buffer.speech_stopped")
    assert len(started) == len(stopped) == 1
    # The words begin at about 1.0 s and end at about 2.7 s, measured by eye; 300 ms of padding, 500 ms of silence.
    assert 600 <= started[0]["audio_start_ms"] <= 900
    assert 2900 <= stopped[0]["audio_end_ms"] <= 3500
    [committed] = wire.of("input_audio_buffer.committed")
    assert committed["item_id"] == started[0]["item_id"] == stopped[0]["item_id"]
    [heard] = wire.of("conversation.item.input_audio_transcription.completed")
    assert heard["item_id"] == committed["item_id"]
    assert heard["transcript"].lower().startswith("go forward")
    deltas = wire.of("conversation.item.input_audio_transcription.delta")
    assert "".join(one["delta"] for one in deltas) == heard["transcript"]
    turn = first_of_each(one for one in wire.types() if one.startswith(("input_audio", "conversation.item.")))
    assert turn[:5] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert response["status"] == "completed"
    assert response["usage"]["input_token_details"]["audio_tokens"] >= 20


async def test_answer_has_its_events_in_order_and_sound_beside_its_words(wire, engine, sound):
    await wire.configure()
    await wire.send("response.create", response={"instructions": 'Say exactly: "Thank you for calling. How are you?"'})
    response = await wire.done()
    types = wire.types()
    assert first_of_each(types[types.index("response.created") :]) == ANSWER
    deltas = [one["delta"] for one in wire.of("response.output_audio_transcript.delta")]
    assert "".join(deltas) == "Thank you for calling. How are you?"
    assert len(deltas) == 7
    assert response["output"][0]["content"] == [{"type": "output_audio", "transcript": "".join(deltas)}]
    assert (
        (await engine.recognize(sound.decoder("audio/pcmu")(wire.sound()))).lower().startswith("thank you for calling")
    )
    audio_tokens = response["usage"]["output_token_details"]["audio_tokens"]
    assert abs(audio_tokens * 50 * 8 - len(wire.sound())) <= 800


async def test_audio_comes_in_bursts_faster_than_real_time(wire):
    await wire.configure()
    await wire.send("response.create", response={"instructions": LONG})
    loop = asyncio.get_running_loop()
    await wire.until("response.output_audio.delta")
    first = loop.time()
    await wire.done()
    assert len(wire.sound()) / 8000 > 3 * (loop.time() - first)


async def test_pcm_is_spoken_and_heard_as_well(wire, engine, sound, recorded):
    await wire.until("session.created")
    heard = sound.resample(sound.decoder("audio/pcmu")(recorded("cmu_goforward")), 8000, 24000)
    pcm = sound.encode(heard, "audio/pcm")
    await wire.send("session.update", session={"type": "realtime", "audio": {"input": {"transcription": {}}}})
    for start in range(0, len(pcm), 4801):  # odd on purpose: half a sample waits for its other half
        await wire.send("input_audio_buffer.append", audio=base64.b64encode(pcm[start : start + 4801]).decode())
    completed = await wire.until("conversation.item.input_audio_transcription.completed")
    assert "ten meters" in completed["transcript"].lower()
    await wire.done()
    answer = sound.decoder("audio/pcm")(wire.sound())
    assert (await engine.recognize(answer)).strip()


async def test_text_only_answers_have_no_sound(wire):
    await wire.configure(output_modalities=["text"])
    await wire.send("response.create", response={"instructions": "Say: Good day."})
    response = await wire.done()
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "Good day."}]
    assert wire.sound() == b""
    assert "response.output_text.done" in wire.types()


async def test_barge_in_cancels_the_answer_and_truncation_forgets_what_was_not_heard(wire, recorded):
    await wire.configure()
    await wire.send("response.create", response={"instructions": LONG})
    item_id = (await wire.until("response.output_audio.delta"))["item_id"]
    await wire.hear(recorded("cmu_something"))
    response = await wire.done()
    if response["status"] == "cancelled":  # else all of it had been sent before the caller was heard
        assert response["status_details"]["reason"] == "turn_detected"
        assert response["output"][0]["status"] == "incomplete"
    await wire.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1000)
    assert (await wire.until("conversation.item.truncated"))["audio_end_ms"] == 1000
    await wire.send("conversation.item.retrieve", item_id=item_id)
    item = (await wire.until("conversation.item.retrieved"))["item"]
    assert "This is the first".startswith(item["content"][0]["transcript"][:8])
    assert len(item["content"][0]["transcript"].split()) <= 5
    assert len(base64.b64decode(item["content"][0]["audio"])) == 8000


async def test_interrupt_and_create_can_be_switched_off(wire, recorded):
    detection = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    await wire.configure(audio={"input": {"turn_detection": detection}})
    await wire.send("response.create", response={"instructions": LONG})
    await wire.until("response.output_audio.delta")
    await wire.hear(recorded("cmu_goforward"))
    await wire.until("conversation.item.input_audio_transcription.completed")
    await wire.send("response.cancel") if "response.done" not in wire.types() else None
    if "response.done" not in wire.types():
        await wire.done()
    assert wire.types().count("response.created") == 1


async def test_silence_and_padding_are_honoured(wire, recorded):
    detection = {"type": "server_vad", "silence_duration_ms": 900, "prefix_padding_ms": 100}
    await wire.configure(audio={"input": {"turn_detection": detection}})
    await wire.hear(recorded("cmu_goforward"))
    started = await wire.until("input_audio_buffer.speech_started")
    stopped = await wire.until("input_audio_buffer.speech_stopped")
    assert 800 <= started["audio_start_ms"] <= 1100
    assert 3300 <= stopped["audio_end_ms"] <= 3900
    await wire.done()


async def test_semantic_vad_is_a_silence_by_eagerness(wire, recorded):
    await wire.configure(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}})
    await wire.hear(recorded("cmu_goforward"))
    assert 2700 <= (await wire.until("input_audio_buffer.speech_stopped"))["audio_end_ms"] <= 3300
    await wire.done()


async def test_client_commits_where_no_turns_are_detected(wire, recorded):
    await wire.configure(audio={"input": {"turn_detection": None}})
    await wire.send("input_audio_buffer.commit")
    assert (await wire.error())["code"] == "input_audio_buffer_commit_empty"
    await wire.hear(recorded("cmu_cards_003"))
    await wire.send("input_audio_buffer.clear")
    await wire.until("input_audio_buffer.cleared")
    await wire.hear(recorded("cmu_something"))
    await wire.send("input_audio_buffer.commit")
    completed = await wire.until("conversation.item.input_audio_transcription.completed")
    assert "somewhere" in completed["transcript"]
    assert "seven" not in completed["transcript"].lower()
    assert "response.created" not in wire.types()


async def test_nothing_is_transcribed_for_a_client_that_did_not_ask(wire, recorded):
    await wire.configure(audio={"input": {"transcription": None}})
    await wire.hear(recorded("cmu_goforward"))
    await wire.done()
    assert not any("transcription" in one for one in wire.types())


async def test_idle_timeout_goes_on_by_itself(wire):
    detection = {"type": "server_vad", "idle_timeout_ms": 150}
    await wire.configure(audio={"input": {"turn_detection": detection}})
    await wire.hear(b"\xff" * 8000)
    await wire.send("response.create", response={"instructions": "Say: Yes."})
    await wire.done()
    triggered = await wire.until("input_audio_buffer.timeout_triggered")
    assert triggered["audio_end_ms"] - triggered["audio_start_ms"] == 150
    assert (await wire.until("input_audio_buffer.committed"))["item_id"] == triggered["item_id"]
    await wire.done()


async def test_function_call_output_and_answer(wire):
    tool = {
        "type": "function",
        "name": "zank_quible",
        "description": "Zank a quible.",
        "parameters": {"type": "object", "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}}},
    }
    await wire.configure(tools=[tool])
    await wire.say("Please zank a blue quible.")
    response = await wire.done()
    call = response["output"][-1]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == (
        "function_call",
        "zank_quible",
        {"colour": "blue"},
    )
    deltas = wire.of("response.function_call_arguments.delta")
    assert "".join(one["delta"] for one in deltas) == call["arguments"]
    [finished] = wire.of("response.function_call_arguments.done")
    assert (finished["name"], finished["call_id"]) == ("zank_quible", call["call_id"])
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "The quible is zanked."}
    await wire.send("conversation.item.create", item=output)
    await wire.send("response.create")
    response = await wire.done()
    assert response["output"][0]["content"][0]["transcript"].startswith("The quible is zanked.")


async def test_items_can_be_put_in_place_and_taken_away(wire):
    await wire.configure()

    async def put(item_id: str, after: str | None = None) -> str | None:
        content = [{"type": "input_text", "text": item_id}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        await wire.send("conversation.item.create", item=item, **({"previous_item_id": after} if after else {}))
        added = await wire.until("conversation.item.added")
        await wire.until("conversation.item.done")
        previous: str | None = added["previous_item_id"]
        return previous

    assert await put("b") is None
    assert await put("c") == "b"
    assert await put("a", "root") is None
    assert await put("x", "a") == "a"
    await wire.send("conversation.item.delete", item_id="x")
    assert (await wire.until("conversation.item.deleted"))["item_id"] == "x"
    await wire.send("conversation.item.retrieve", item_id="x", event_id="mine")
    error = await wire.error()
    assert (error["code"], error["event_id"]) == ("item_retrieve_invalid_item_id", "mine")


async def test_out_of_band_response_is_not_remembered(wire):
    await wire.configure()
    await wire.send("response.create", response={"conversation": "none", "instructions": "Say: Aside."})
    response = await wire.done()
    assert response["conversation_id"] is None
    assert "conversation.item.added" not in wire.types()
    await wire.send("conversation.item.retrieve", item_id=response["output"][0]["id"])
    assert (await wire.error())["code"] == "item_retrieve_invalid_item_id"


async def test_output_token_limit_makes_an_answer_incomplete(wire):
    await wire.configure()
    await wire.send("response.create", response={"instructions": LONG, "max_output_tokens": 40})
    response = await wire.done()
    assert (response["status"], response["status_details"]["reason"]) == ("incomplete", "max_output_tokens")


async def test_voice_is_fixed_once_it_was_heard(wire):
    await wire.configure(audio={"output": {"voice": "cedar"}})
    await wire.send("response.create", response={"instructions": "Say: Yes."})
    await wire.done()
    await wire.configure(audio={"output": {"voice": "cedar"}})
    await wire.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "ash"}}})
    assert (await wire.error())["code"] == "cannot_update_voice"


WRONG = [
    ('{"type": "no.such.event"}', "invalid_value", "type"),
    ('{"no": "type"}', "missing_required_parameter", "type"),
    ("not json", "invalid_json", None),
    ('{"type": "session.update", "session": {"type": "realtime", "colour": 1}}', "unknown_parameter", "session.colour"),
    ('{"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"format": {"type": "mp3"}}}}}',
     "invalid_value", "session.audio.input.format.type"),
    ('{"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": 9}}}}',
     "invalid_value", "session.audio.output.speed"),
    ('{"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text", "audio"]}}',
     "invalid_value", "session.output_modalities"),
    ('{"type": "input_audio_buffer.append"}', "missing_required_parameter", "audio"),
    ('{"type": "input_audio_buffer.append", "audio": "***"}', "invalid_value", "audio"),
    ('{"type": "response.cancel"}', "response_cancel_not_active", None),
    ('{"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 5}',
     "item_truncate_invalid_item_id", "item_id"),
    ('{"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "x", "output": ""}}',
     "invalid_tool_call_id", "item.call_id"),
    ('{"type": "output_audio_buffer.clear"}', "invalid_value", "type"),
]  # fmt: skip


async def test_what_is_wrong_is_an_error_and_the_session_goes_on(wire):
    await wire.configure()
    for text, code, param in WRONG:
        await wire.send_text(text)
        error = await wire.error()
        assert (error["code"], error["param"]) == (code, param), text
        assert error["type"] == "invalid_request_error"
    await wire.say("hello")
    assert (await wire.done())["status"] == "completed"


async def test_only_one_response_at_a_time(wire):
    await wire.configure()
    await wire.send("response.create", response={"instructions": LONG})
    await wire.send("response.create", event_id="second")
    error = await wire.error()
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
    await wire.send("response.cancel")
    response = await wire.done()
    assert response["status_details"]["reason"] == "client_cancelled"


async def test_truncation_beyond_the_end_is_refused(wire):
    await wire.configure()
    await wire.send("response.create", response={"instructions": "Say: Yes."})
    item_id = (await wire.done())["output"][0]["id"]
    await wire.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=60_000)
    assert "already shorter than 60000ms" in (await wire.error())["message"]
