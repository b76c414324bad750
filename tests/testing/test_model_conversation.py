"""What clients do to the conversation of the scripted model, and what it then remembers."""

import asyncio
import base64
import json
from typing import Any

import pytest

from gateway.testing.model import (
    PHONE,
    SILENCE,
    Asked,
    Content,
    ModelSession,
    RawClient,
    ScriptedModel,
    Timing,
    Turn,
    call_tool,
    compare_frames,
    encode_frame,
    say,
)

pytestmark = pytest.mark.anyio

QUICK = Timing(first_audio=0, speed=1000, transcription=0)
SPEECH = b"".join(map(encode_frame, range(25)))
PAUSE = bytes([SILENCE]) * 4000
TEN_WORDS = "one two three four five six seven eight nine ten"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def answered(client: RawClient, **response: Any) -> dict[str, Any]:
    await client.send("response.create", response=response)
    done: dict[str, Any] = (await client.expect("response.done"))["response"]
    return done


async def refused(client: RawClient, kind: str, **fields: Any) -> dict[str, Any]:
    event_id = await client.send(kind, **fields)
    error: dict[str, Any] = (await client.expect("error"))["error"]
    assert error["event_id"] == event_id
    assert error["type"] == "invalid_request_error"
    return error


# ---- The connection -----------------------------------------------------------------------------------------------------


async def test_the_upgrade_is_recorded() -> None:
    async with ScriptedModel() as model:
        url = f"{model.url}?model=gpt-realtime-2.1&deployment=x"
        async with RawClient(url, headers={"Authorization": "Bearer k", "api-key": "a"}) as client:
            created = await client.expect("session.created")
        session = model.session()
        assert (session.path, session.query) == ("/v1/realtime", {"model": ["gpt-realtime-2.1"], "deployment": ["x"]})
        assert (session.headers["Authorization"], session.headers["api-key"]) == ("Bearer k", "a")
        assert created["session"]["model"] == "gpt-realtime-2.1"
        await session.closed.wait()
        assert session.close_code == 1000
        with pytest.raises(LookupError):
            model.session(1)


async def test_what_came_is_recorded_with_its_time() -> None:
    async with ScriptedModel() as model, RawClient(model.url) as client:
        updated = await client.configure(noise_reduction={"type": "far_field"})
        await client.hear(SPEECH)
        await client.send("input_audio_buffer.clear")
        await client.expect("input_audio_buffer.cleared")
        session = model.session()
        assert session.config == updated
        assert updated["audio"]["input"]["format"] == updated["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        assert bytes(session.appended) == SPEECH
        assert compare_frames(bytes(session.appended), range(25)).perfect
        assert [message.type for message in session.received[:2]] == ["session.update", "input_audio_buffer.append"]
        assert all(a.at <= b.at for a, b in zip(session.received, session.received[1:], strict=False))
        assert session.received[0].event["session"]["audio"]["input"]["noise_reduction"] == {"type": "far_field"}


async def test_the_same_seed_sends_the_same_events() -> None:
    async def once(seed: int) -> list[dict[str, Any]]:
        async with ScriptedModel([say("Hello.", 1)], timing=QUICK, seed=seed) as model, RawClient(model.url) as client:
            await client.configure()
            await answered(client)
            await client.expect("rate_limits.updated")
            return client.events

    first = await once(7)
    assert await once(7) == first
    assert await once(8) != first


# ---- Speaking -----------------------------------------------------------------------------------------------------------


async def test_audio_comes_as_numbered_frames_in_bursts_faster_than_real_time() -> None:
    timing = Timing(first_audio=0.05, first_delta_ms=100, delta_ms=200, speed=5)
    async with ScriptedModel([say(TEN_WORDS, 2)], timing=timing) as model, RawClient(model.url) as client:
        await client.configure()
        response = await answered(client)
        assert compare_frames(client.audio(), range(100), tag=0).perfect
        sent = model.session().sent
        deltas = [message for message in sent if message.type == "response.output_audio.delta"]
        assert [len(base64.b64decode(each.event["delta"])) // 8 for each in deltas] == [100, *[200] * 9, 100]
        assert deltas[-1].at - deltas[0].at >= 1.9 / 5 - 0.01
        transcripts = [each.event["delta"] for each in sent if each.type == "response.output_audio_transcript.delta"]
        assert len(transcripts) == len(deltas)
        assert "".join(transcripts) == TEN_WORDS
        assert response["output"][0]["content"] == [{"type": "output_audio", "transcript": TEN_WORDS}]
        assert response["usage"]["output_token_details"]["audio_tokens"] == 2000 // 50
        content = model.session().items[0].content[0]
        assert (content.first_frame, content.duration_ms) == (0, 2000)


async def test_frames_are_numbered_on_and_each_session_has_its_tag() -> None:
    async with ScriptedModel([say("a", 1), say("b", 1) + say("c", 1)], timing=QUICK) as model:
        for number in range(2):
            async with RawClient(model.url) as client:
                await client.configure()
                await answered(client)
                response = await answered(client)
                assert len(response["output"]) == 2
                assert compare_frames(client.audio(), range(150), tag=number).perfect
                assert compare_frames(client.audio(response["output"][1]["id"]), range(100, 150)).perfect


async def test_a_brain_answers_what_it_is_asked() -> None:
    async def brain(session: ModelSession, asked: Asked) -> Turn:
        role, heard = session.remembered()[-1]
        return say(f"{asked.number} {asked.cause} {role} {heard} {asked.response.get('instructions', '')}", 0.2)

    async with ScriptedModel(brain, timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure(transcription={"model": "whisper-1"})
        await client.expect("session.created")
        await model.session().speech_started()
        await model.session().speech_stopped(transcript="What time is it?")
        await client.expect("conversation.item.input_audio_transcription.completed")
        await client.expect("response.done")
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
        await client.send("conversation.item.create", item=item)
        response = await answered(client, instructions="briefly")
        assert response["output"][0]["content"][0]["transcript"] == "2 client user Hi briefly"
        assert model.session().answers[0].asked.cause == "speech"


async def test_a_brain_that_fails_is_reported_at_the_end() -> None:
    async def brain(_session: ModelSession, _asked: Asked) -> Turn:
        raise ZeroDivisionError

    async def once() -> None:
        async with ScriptedModel(brain) as model, RawClient(model.url) as client:
            await client.send("response.create")
            assert await client.closed() == 1011

    with pytest.raises(ExceptionGroup) as caught:
        await once()
    assert caught.group_contains(ZeroDivisionError)


async def test_each_connection_may_have_a_script_of_its_own() -> None:
    async with ScriptedModel([say("c")], scripts=[[say("a")], [say("b")]], timing=QUICK) as model:
        said = []
        for _ in range(3):
            async with RawClient(model.url) as client:
                said.append((await answered(client))["output"][0]["content"][0]["transcript"])
        assert said == ["a", "b", "c"]


async def test_text_only() -> None:
    async with ScriptedModel([say("Only words.")], timing=QUICK) as model, RawClient(model.url) as client:
        await client.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
        response = await answered(client)
        assert response["output"][0]["content"] == [{"type": "output_text", "text": "Only words."}]
        assert "response.output_audio.delta" not in client.kinds()


# ---- One response at a time ---------------------------------------------------------------------------------------------


async def test_a_second_response_is_refused_while_one_is_being_given() -> None:
    async with ScriptedModel([say("Long", 60)]) as model, RawClient(model.url) as client:
        await client.configure()
        await client.send("response.create")
        first = (await client.expect("response.created"))["response"]["id"]
        error = await refused(client, "response.create")
        assert error["code"] == "conversation_already_has_active_response"
        assert first in error["message"]
        await client.send("response.cancel")
        response = (await client.expect("response.done"))["response"]
        assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        error = await refused(client, "response.cancel")
        assert error["code"] == "response_cancel_not_active"


async def test_after_a_cancel_nothing_of_the_response_comes_and_what_came_is_remembered() -> None:
    async with (
        ScriptedModel([say(TEN_WORDS, 10)], timing=Timing(first_audio=0, speed=10)) as model,
        RawClient(model.url) as client,
    ):
        await client.configure()
        await client.send("response.create")
        for _ in range(4):
            await client.expect("response.output_audio.delta")
        await client.send("response.cancel")
        await client.expect("response.done")
        heard = len(client.audio())
        await asyncio.sleep(0.1)
        assert len(client.audio()) == heard
        content = model.session().items[0].content[0]
        assert len(content.audio) == heard
        assert content.text
        assert TEN_WORDS.startswith(content.text)
        assert content.text != TEN_WORDS


async def test_a_response_outside_the_conversation_runs_beside_it_and_is_not_remembered() -> None:
    async with ScriptedModel([say("Long", 60), say("Aside", 0.2)]) as model, RawClient(model.url) as client:
        await client.configure()
        await client.send("response.create")
        await client.expect("response.output_audio.delta")
        await client.send("response.create", response={"conversation": "none", "metadata": {"topic": "aside"}})
        response = (await client.expect("response.done"))["response"]
        assert (response["conversation_id"], response["metadata"]) == (None, {"topic": "aside"})
        assert [item.response_id for item in model.session().items] == [model.session().answers[0].id]
        await client.send("response.cancel", response_id=model.session().answers[0].id)
        assert (await client.expect("response.done"))["response"]["status"] == "cancelled"


async def test_the_output_of_a_tool_triggers_nothing_until_a_response_is_asked_for() -> None:
    script = [call_tool("find_seat", {"row": 3}), say("Seat 3A.", 0.2)]
    async with ScriptedModel(script, timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure()
        call = (await answered(client))["output"][0]
        assert (call["type"], call["name"], json.loads(call["arguments"])) == ("function_call", "find_seat", {"row": 3})
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "3A"}
        await client.send("conversation.item.create", item=output)
        await asyncio.sleep(0.1)
        assert client.kinds().count("response.created") == 1
        await answered(client)
        assert model.session().remembered() == [
            ("function_call", 'find_seat({"row": 3})'),
            ("function_call_output", "3A"),
            ("assistant", "Seat 3A."),
        ]
        output = {"type": "function_call_output", "call_id": "call_of_nobody", "output": "3A"}
        error = await refused(client, "conversation.item.create", item=output)
        assert error["code"] == "invalid_tool_call_id"


# ---- Truncating, deleting, retrieving -----------------------------------------------------------------------------------


async def test_what_was_not_heard_is_out_of_the_memory_after_a_truncate() -> None:
    async with ScriptedModel([say(TEN_WORDS, 5)], timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure()
        item_id = (await answered(client))["output"][0]["id"]
        await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1740)
        truncated = await client.expect("conversation.item.truncated")
        assert (truncated["item_id"], truncated["content_index"], truncated["audio_end_ms"]) == (item_id, 0, 1740)
        assert model.session().remembered() == [("assistant", "one two three")]
        assert model.session().items[0].content[0].duration_ms == 1740
        await client.send("conversation.item.retrieve", item_id=item_id)
        content = (await client.expect("conversation.item.retrieved"))["item"]["content"][0]
        assert content["transcript"] is None
        assert base64.b64decode(content["audio"]) == client.audio()[: 1740 * 8]


async def test_truncating_beyond_the_audio_is_refused() -> None:
    async with ScriptedModel([say(TEN_WORDS, 5)], timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure()
        where: dict[str, Any] = {"item_id": (await answered(client))["output"][0]["id"], "content_index": 0}
        error = await refused(client, "conversation.item.truncate", **where, audio_end_ms=5001)
        assert error["message"] == "Audio content of 5000ms is already shorter than 5001ms"
        assert model.session().remembered() == [("assistant", TEN_WORDS)]
        await client.send("conversation.item.truncate", **where, audio_end_ms=5000)
        await client.expect("conversation.item.truncated")
        error = await refused(client, "conversation.item.truncate", **where, audio_end_ms=-1)
        assert error["code"] == "integer_below_min_value"
        where["item_id"] = "item_of_nobody"
        error = await refused(client, "conversation.item.truncate", **where, audio_end_ms=0)
        assert error["code"] == "item_truncate_invalid_item_id"


async def test_only_the_model_s_own_audio_can_be_truncated() -> None:
    async with (
        ScriptedModel([say("x", 1)], timing=Timing(first_audio=0, speed=0.1)) as model,
        RawClient(model.url) as client,
    ):
        await client.configure()
        item = {"id": "hi", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
        await client.send("conversation.item.create", item=item)
        await client.expect("conversation.item.done")
        error = await refused(client, "conversation.item.truncate", item_id="hi", content_index=0, audio_end_ms=0)
        assert error["message"] == "Only model output audio messages can be truncated"


async def test_a_truncated_item_forgets_what_is_still_generated() -> None:
    async with (
        ScriptedModel([say(TEN_WORDS, 3)], timing=Timing(first_audio=0, speed=20)) as model,
        RawClient(model.url) as client,
    ):
        await client.configure()
        await client.send("response.create")
        delta = await client.expect("response.output_audio.delta")
        where = {"item_id": delta["item_id"], "content_index": 0}
        await client.send("conversation.item.truncate", **where, audio_end_ms=40)
        await client.expect("response.done")
        assert model.session().items[0].content[0].duration_ms == 40


async def test_deleted_items_are_forgotten() -> None:
    async with ScriptedModel([say("secret", 1)], timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure()
        item_id = (await answered(client))["output"][0]["id"]
        await client.send("conversation.item.delete", item_id=item_id)
        assert (await client.expect("conversation.item.deleted"))["item_id"] == item_id
        assert model.session().remembered() == []
        error = await refused(client, "conversation.item.delete", item_id=item_id)
        assert error["code"] == "item_delete_invalid_item_id"
        error = await refused(client, "conversation.item.retrieve", item_id=item_id)
        assert error["code"] == "item_retrieve_invalid_item_id"


async def test_a_history_can_be_replayed_in_any_place() -> None:
    def message(item_id: str, role: str, kind: str) -> dict[str, Any]:
        return {"id": item_id, "type": "message", "role": role, "content": [{"type": kind, "text": item_id}]}

    async with ScriptedModel() as model, RawClient(model.url) as client:
        await client.send("conversation.item.create", item=message("b", "user", "input_text"))
        await client.send("conversation.item.create", item=message("c", "assistant", "output_text"))
        item = message("a", "system", "input_text")
        await client.send("conversation.item.create", item=item, previous_item_id="root")
        item = {"id": "f", "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
        await client.send("conversation.item.create", item=item, previous_item_id="b")
        item = {"id": "o", "type": "function_call_output", "call_id": "call_1", "output": "seen"}
        await client.send("conversation.item.create", item=item, previous_item_id="f")
        for _ in range(5):
            await client.expect("conversation.item.done")
        assert [item.id for item in model.session().items] == ["a", "b", "f", "o", "c"]
        before = [event["previous_item_id"] for event in client.events if event["type"] == "conversation.item.added"]
        assert before == [None, "b", None, "b", "f"]
        error = await refused(client, "conversation.item.create", item=message("b", "user", "input_text"))
        assert error["code"] == "item_create_duplicate_item_id"
        item = message("z", "user", "input_text")
        error = await refused(client, "conversation.item.create", item=item, previous_item_id="y")
        assert error["param"] == "previous_item_id"
        error = await refused(client, "conversation.item.create", item=message("z", "assistant", "input_text"))
        assert error["param"] == "item.content[0].type"
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "audio": ""}]}
        error = await refused(client, "conversation.item.create", item=item)
        assert error["param"] == "item.content[0].type"


# ---- Listening ----------------------------------------------------------------------------------------------------------


async def test_the_caller_s_item_holds_what_was_said_and_the_positions_are_those_of_the_audio() -> None:
    async with ScriptedModel() as model, RawClient(model.url) as client:
        await client.configure(
            turn_detection={
                "type": "server_vad",
                "prefix_padding_ms": 100,
                "silence_duration_ms": 300,
                "create_response": False,
            }
        )
        await client.hear(PAUSE + SPEECH + PAUSE)
        started = await client.expect("input_audio_buffer.speech_started")
        stopped = await client.expect("input_audio_buffer.speech_stopped")
        assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (400, 1300)
        item = (await client.expect("conversation.item.done"))["item"]
        assert started["item_id"] == stopped["item_id"] == item["id"]
        content: Content = model.session().items[0].content[0]
        assert bytes(content.audio) == (PAUSE + SPEECH + PAUSE)[400 * 8 : 1300 * 8]
        await asyncio.sleep(0.05)
        assert "response.created" not in client.kinds()


async def test_without_turn_detection_only_a_commit_makes_an_item() -> None:
    async with ScriptedModel() as model, RawClient(model.url) as client:
        await client.configure(turn_detection=None)
        await client.hear(SPEECH + PAUSE)
        await client.send("input_audio_buffer.commit")
        await client.expect("conversation.item.done")
        assert "input_audio_buffer.speech_started" not in client.kinds()
        assert bytes(model.session().items[0].content[0].audio) == SPEECH + PAUSE
        error = await refused(client, "input_audio_buffer.commit")
        assert error["code"] == "input_audio_buffer_commit_empty"
        assert "0.00ms" in error["message"]


async def test_speech_does_not_interrupt_where_it_must_not() -> None:
    async with ScriptedModel([say("Long", 60)]) as model, RawClient(model.url) as client:
        await client.configure(turn_detection={"type": "server_vad", "interrupt_response": False})
        await client.send("response.create")
        await client.expect("response.output_audio.delta")
        await model.session().speech_started()
        await model.session().speech_stopped()
        error = (await client.expect("error"))["error"]
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", None)
        assert "response.done" not in client.kinds()


async def test_the_caller_is_understood_as_the_script_says() -> None:
    async with ScriptedModel(timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure(transcription={"model": "whisper-1"}, turn_detection=None)
        model.session().ears.transcripts.append("Do you fly to Zurich?")
        for expected in ("Do you fly to Zurich?", "caller turn 2"):
            await client.hear(SPEECH)
            await client.send("input_audio_buffer.commit")
            completed = await client.expect("conversation.item.input_audio_transcription.completed")
            assert completed["transcript"] == expected
        assert model.session().remembered() == [("user", "Do you fly to Zurich?"), ("user", "caller turn 2")]


async def test_the_idle_timeout_commits_the_silence_and_speaks() -> None:
    async with ScriptedModel([say("Hello", 0.2)], timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure(turn_detection={"type": "server_vad", "idle_timeout_ms": 5000})
        await client.hear(PAUSE)
        await answered(client)
        await model.session().idle_timeout()
        triggered = await client.expect("input_audio_buffer.timeout_triggered")
        assert (await client.expect("input_audio_buffer.committed"))["item_id"] == triggered["item_id"]
        await client.expect("response.done")
        assert model.session().answers[-1].asked.cause == "idle"


# ---- Nonsense -----------------------------------------------------------------------------------------------------------


async def test_nonsense_gets_an_error_and_the_session_goes_on() -> None:
    async with ScriptedModel(timing=QUICK) as model, RawClient(model.url) as client:
        assert (await refused(client, "response.sing"))["param"] == "type"
        assert (await refused(client, "input_audio_buffer.append", audio="%%%"))["param"] == "audio"
        assert (await refused(client, "input_audio_buffer.append"))["code"] == "missing_required_parameter"
        assert (await refused(client, "session.update", session={"audio": {}}))["param"] == "session.type"
        update = json.loads(json.dumps(PHONE)) | {"temperature": 1}
        assert (await refused(client, "session.update", session=update))["code"] == "unknown_parameter"
        await client.socket.send("{broken")
        assert (await client.expect("error"))["error"]["event_id"] is None
        await client.socket.send("[1]")
        await client.expect("error")
        assert model.session().config["audio"]["input"]["format"]["type"] == "audio/pcm"
        await answered(client)
