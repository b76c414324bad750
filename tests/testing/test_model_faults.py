"""Every named fault of the scripted model, as a client sees it."""

import asyncio
import contextlib
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.testing.model import (
    SILENCE,
    Fault,
    Faults,
    RawClient,
    ScriptedModel,
    Timing,
    call_tool,
    compare_frames,
    encode_frame,
    say,
)

pytestmark = pytest.mark.anyio

QUICK = Timing(first_audio=0, speed=1000, transcription=0, late_transcription=0.2, slow_first_audio=0.2)
SPEECH = b"".join(map(encode_frame, range(25)))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def answer(client: RawClient, *, done: bool = True) -> dict[str, Any]:
    await client.send("response.create")
    if not done:
        return {}
    response: dict[str, Any] = (await client.expect("response.done"))["response"]
    return response


# ---- The modes ----------------------------------------------------------------------------------------------------------


def test_a_fault_is_on_for_good_or_for_a_number_of_times() -> None:
    model = Faults(Fault.RATE_LIMITED)
    session = Faults(above=model)
    session.on(Fault.RESET, times=2)
    assert [session.take(Fault.RESET) for _ in range(3)] == [True, True, False]
    assert all(session.take(Fault.RATE_LIMITED) for _ in range(5))
    assert Fault.RATE_LIMITED in session
    model.off()
    assert Fault.RATE_LIMITED not in session
    assert not session.take(Fault.FROZEN)


# ---- At the handshake ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 429, 500])
async def test_the_handshake_is_refused(status: int) -> None:
    async with ScriptedModel(faults=[Fault(f"http-{status}")]) as model:
        with pytest.raises(InvalidStatus) as caught:
            await RawClient(model.url).__aenter__()
        assert caught.value.response.status_code == status
        model.faults.off()
        async with RawClient(model.url) as client:
            await client.expect("session.created")
        assert (model.attempts, len(model.sessions)) == (2, 1)


async def test_the_handshake_is_slow() -> None:
    loop = asyncio.get_running_loop()
    async with ScriptedModel(faults=[Fault.SLOW_HANDSHAKE], timing=Timing(handshake_delay=0.3)) as model:
        begun = loop.time()
        async with RawClient(model.url) as client:
            await client.expect("session.created")
        assert loop.time() - begun >= 0.29


async def test_the_connection_is_refused_and_accepted_again_on_the_same_port() -> None:
    async with ScriptedModel() as model, RawClient(model.url) as client:
        url = model.url
        await model.refuse_connections()
        with pytest.raises(OSError, match="Connect call failed"):
            await RawClient(url).__aenter__()
        await answer(client)  # who is in stays in
        await model.accept_connections()
        assert model.url == url
        async with RawClient(url) as other:
            await other.expect("session.created")


async def test_a_fault_can_be_asked_for_in_the_url() -> None:
    async with ScriptedModel() as model:
        async with RawClient(f"{model.url}?model=x&fault=rate-limited") as client:
            assert (await answer(client))["status"] == "failed"
        async with RawClient(model.url) as client:
            assert (await answer(client))["status"] == "completed"


# ---- At session.update --------------------------------------------------------------------------------------------------


async def test_session_updated_never_comes() -> None:
    async with ScriptedModel(faults=[Fault.NO_SESSION_UPDATED]) as model, RawClient(model.url) as client:
        await client.send("session.update", session={"type": "realtime", "instructions": "x"})
        await answer(client)
        assert "session.updated" not in client.kinds()
        assert model.session().config["instructions"] == "x"


async def test_the_format_is_ignored() -> None:
    script = [say("Static", 1)]
    async with (
        ScriptedModel(script, faults=[Fault.FORMAT_IGNORED], timing=QUICK) as model,
        RawClient(model.url) as client,
    ):
        updated = await client.configure()
        pcm = {"type": "audio/pcm", "rate": 24000}
        assert updated["audio"]["input"]["format"] == updated["audio"]["output"]["format"] == pcm
        await answer(client)
        assert len(client.audio()) == 48_000


async def test_session_update_is_refused() -> None:
    async with ScriptedModel(faults=[Fault.UPDATE_REFUSED]) as model, RawClient(model.url) as client:
        event_id = await client.send("session.update", session={"type": "realtime", "instructions": "x"})
        error = (await client.expect("error"))["error"]
        assert (error["type"], error["event_id"]) == ("invalid_request_error", event_id)
        assert model.session().config["instructions"] == ""


# ---- To the connection --------------------------------------------------------------------------------------------------

CLOSING = "Your session hit the maximum duration of 60 minutes."


@pytest.mark.parametrize("fault", [Fault.EXPIRED, Fault.EXPIRED_SILENTLY])
async def test_the_session_expires(fault: Fault) -> None:
    async with ScriptedModel([say("Long", 60)], faults=[fault]) as model, RawClient(model.url) as client:
        await client.configure()
        await answer(client, done=False)
        assert await client.closed() == 1001
        assert client.socket.close_reason == CLOSING
        errors = [event["error"]["code"] for event in client.events if event["type"] == "error"]
        assert errors == (["session_expired"] if fault is Fault.EXPIRED else [])
        assert client.kinds().count("response.output_audio.delta") == 2
        await model.session().closed.wait()


async def test_the_connection_is_reset() -> None:
    async with ScriptedModel([say("Long", 60)], faults=[Fault.RESET]) as model, RawClient(model.url) as client:
        await client.configure()
        await answer(client, done=False)
        assert await client.closed() == 1006
        with pytest.raises(ConnectionClosed):
            await client.send("response.cancel")


async def test_a_frozen_server_neither_reads_nor_answers_nor_closes() -> None:
    async with ScriptedModel([say("Long", 60)], faults=[Fault.FROZEN]) as model, RawClient(model.url) as client:
        await client.configure()
        await answer(client, done=False)
        while client.kinds().count("response.output_audio.delta") < 2:
            await asyncio.sleep(0.01)
        seen = len(client.events)
        pong = await client.socket.ping()
        await client.send("response.cancel")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 0.5)
        assert len(client.events) == seen
        assert client.socket.state.name == "OPEN"
        model.session().link.thaw()
        await asyncio.wait_for(pong, 5)
        assert (await client.expect("response.done"))["response"]["status"] == "cancelled"


async def test_a_frozen_server_can_be_left() -> None:
    async with ScriptedModel() as model:
        client = await RawClient(model.url).__aenter__()
        await client.expect("session.created")
        await model.session().strike(Fault.FROZEN)
    assert await client.closed() == 1006
    await client.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("fault", "begins"),
    [
        (Fault.INVALID_JSON, '{"type": "response.output_audio.delta", "delta": '),
        (Fault.NOT_AN_OBJECT, '["response.output_audio.delta"]'),
    ],
)
async def test_a_message_is_broken_and_the_server_goes_on(fault: Fault, begins: str) -> None:
    async with ScriptedModel([say("Hi", 1)], faults=[fault], timing=QUICK) as model, RawClient(model.url) as client:
        await client.configure()
        await answer(client)
        assert client.raw == [begins]
        assert compare_frames(client.audio(), range(50)).perfect


@pytest.mark.parametrize(("fault", "size"), [(Fault.UNKNOWN_EVENT, 8), (Fault.HUGE_MESSAGE, 9_000_000)])
async def test_an_event_is_unknown_or_huge(fault: Fault, size: int) -> None:
    async with ScriptedModel() as model, RawClient(model.url) as client:
        await client.expect("session.created")
        await model.session().strike(fault)
        assert len((await client.expect("response.output_scent.delta"))["delta"]) == size
        await answer(client)


async def test_only_faults_of_the_connection_can_strike() -> None:
    async with ScriptedModel() as model, RawClient(model.url):
        session = await model.connected()
        with pytest.raises(ValueError, match="not a fault of a connection"):
            await session.strike(Fault.RATE_LIMITED)


# ---- To responses -------------------------------------------------------------------------------------------------------


async def test_response_done_is_lost_though_the_response_is_over() -> None:
    async with ScriptedModel(timing=QUICK) as model, RawClient(model.url) as client:
        model.faults.on(Fault.DONE_LOST, times=1)
        await answer(client, done=False)
        await client.expect("response.output_item.done")
        await asyncio.sleep(0.05)
        assert "response.done" not in client.kinds()
        assert (await answer(client))["status"] == "completed"


@pytest.mark.parametrize(
    ("fault", "status", "details"),
    [
        (Fault.RATE_LIMITED, "failed", {"code": "rate_limit_exceeded"}),
        (Fault.SERVER_ERROR, "failed", {"type": "server_error"}),
        (Fault.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}),
        (Fault.MAX_OUTPUT_TOKENS, "incomplete", {"reason": "max_output_tokens"}),
    ],
)
async def test_a_response_does_not_complete(fault: Fault, status: str, details: dict[str, str]) -> None:
    async with ScriptedModel(timing=QUICK) as model, RawClient(model.url) as client:
        model.faults.on(fault, times=2)
        for _ in range(2):
            response = await answer(client)
            assert response["status"] == response["status_details"]["type"] == status
            assert details.items() <= (response["status_details"].get("error") or response["status_details"]).items()
        assert (await answer(client))["status"] == "completed"


async def test_a_response_is_empty() -> None:
    async with ScriptedModel(faults=[Fault.EMPTY_RESPONSE]) as model, RawClient(model.url) as client:
        response = await answer(client)
        assert (response["status"], response["output"]) == ("completed", [])


async def test_deltas_come_late_after_a_cancel() -> None:
    script = [say("Long", 60)]
    async with ScriptedModel(script, faults=[Fault.LATE_DELTAS]) as model, RawClient(model.url) as client:
        await client.configure()
        await answer(client, done=False)
        await client.expect("response.output_audio.delta")
        await client.send("response.cancel")
        await client.expect("rate_limits.updated")
        await answer(client, done=False)
        await client.expect("response.created")
        kinds = client.kinds()
        assert kinds[kinds.index("rate_limits.updated") :].count("response.output_audio.delta") >= 3
        late = client.events[kinds.index("rate_limits.updated") + 1]
        assert late["response_id"] == model.session().answers[0].id


async def test_a_tool_is_called_twice_with_one_id_or_is_unknown() -> None:
    script = [call_tool("look"), call_tool("look")]
    async with ScriptedModel(script, timing=QUICK) as model, RawClient(model.url) as client:
        model.faults.on(Fault.DUPLICATE_CALL_IDS, times=1)
        output = (await answer(client))["output"]
        assert output[0]["call_id"] == output[1]["call_id"]
        assert output[0]["id"] != output[1]["id"]
        model.faults.on(Fault.UNKNOWN_TOOL, times=1)
        assert (await answer(client))["output"][0]["name"] == "no_such_tool"


async def test_the_first_audio_is_slow() -> None:
    loop = asyncio.get_running_loop()
    async with ScriptedModel(timing=QUICK, faults=[Fault.SLOW_FIRST_AUDIO]) as model, RawClient(model.url) as client:
        await answer(client, done=False)
        await client.expect("response.created")
        begun = loop.time()
        await client.expect("response.output_audio.delta")
        assert loop.time() - begun >= 0.15


async def test_deltas_have_odd_lengths() -> None:
    script = [say("Odd", 5)]
    async with (
        ScriptedModel(script, timing=QUICK, faults=[Fault.ODD_DELTAS]) as model,
        RawClient(model.url) as client,
    ):
        await client.configure()
        await answer(client)
        deltas = [event["delta"] for event in client.events if event["type"] == "response.output_audio.delta"]
        sizes = [len(each) * 3 // 4 - each.count("=") for each in deltas]
        assert all(size % 3 and size % 160 for size in sizes[:-1])
        assert compare_frames(client.audio(), range(250)).perfect


# ---- To the transcription -----------------------------------------------------------------------------------------------


async def transcribed(*faults: Fault, turns: int = 1) -> list[str]:
    kind = "conversation.item.input_audio_transcription."
    async with ScriptedModel(timing=QUICK, faults=faults) as model, RawClient(model.url) as client:
        await client.configure(transcription={"model": "whisper-1"}, turn_detection=None)
        for _ in range(turns):
            await client.hear(SPEECH)
            await client.send("input_audio_buffer.commit")
            await client.expect("conversation.item.done")
        await answer(client)
        with contextlib.suppress(TimeoutError):
            await client.expect(kind + "completed", timeout=1)
        results = [event for event in client.events if event["type"] in {kind + "completed", kind + "failed"}]
        numbers = {item.id: number for number, item in enumerate(model.session().items, 1)}
        before = client.kinds().index("response.done")
        return [
            f"{numbers[each['item_id']]} {each.get('transcript') or each['error']['code']}"
            + (" late" if client.events.index(each) > before else "")
            for each in results
        ]


async def test_transcripts_fail_or_come_late_or_out_of_order() -> None:
    assert await transcribed(Fault.TRANSCRIPTION_LATE) == ["1 caller turn 1 late"]
    assert await transcribed(Fault.TRANSCRIPTION_OUT_OF_ORDER, turns=2) == ["2 caller turn 2", "1 caller turn 1"]
    assert (await transcribed(Fault.TRANSCRIPTION_FAILED))[0].startswith("1 transcription_failed")


async def test_silence_is_silence() -> None:
    async with ScriptedModel() as model, RawClient(model.url) as client:
        await client.configure()
        await client.hear(bytes([SILENCE]) * 16_000)
        await answer(client)
        assert "input_audio_buffer.speech_started" not in client.kinds()
