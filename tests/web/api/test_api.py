"""The API: who is let in, what is found, what may be done."""

import json
import uuid

import anyio
import pytest

from gateway.call.events import ApprovalAsked
from gateway.store import audit, tokens
from gateway.store.recording.shelf import Recordings

pytestmark = pytest.mark.anyio


def path_of(operation, call_id="018bcfe5-6800-7000-8000-000000000000"):
    return operation.path.replace("{call_id}", call_id).replace("{tool_call_id}", "t1").replace("{line}", "desk")


async def test_nothing_is_answered_without_a_token(node):
    client = await node.client()
    paths = [
        "/openapi.json",
        "/nowhere",
        "/",
        "/calls/%0A",
        "/new%0Aline/x",
        *{path_of(operation) for operation in node.operations},
    ]
    for path in paths:
        for method in ("GET", "POST", "DELETE", "PUT"):
            answer = await client.request(method, path)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_what_is_no_token_is_none(node):
    client = await node.client()
    unknown = "Bearer gw_000000000000_" + "A" * 43
    for shown in ("", "Basic eDp5", "Bearer", "Bearer gw_", unknown, unknown + "%00"):
        assert (await client.get("/calls", headers={"Authorization": shown})).status_code == 401


async def test_a_token_of_one_letter_less_of_no_time_or_revoked_is_none(node):
    made, shown = await tokens.create(node.database, "x", ["read"], by="tests")
    client = await node.client()

    async def status(text):
        return (await client.get("/calls", headers={"Authorization": f"Bearer {text}"})).status_code

    assert await status(shown) == 200
    assert await status(shown[:-1]) == 401
    assert await status(shown[:-1] + ("A" if shown[-1] != "A" else "B")) == 401
    _, old = await tokens.create(node.database, "x", ["read"], by="tests", expires=1.0)
    assert await status(old) == 401
    assert await tokens.revoke(node.database, made.id, by="tests")
    assert not await tokens.revoke(node.database, made.id, by="tests")
    assert await status(shown) == 401


async def test_each_operation_refuses_a_token_without_its_scope(node):
    clients = {
        scope: await node.client(*[other for other in tokens.SCOPES if other != scope]) for scope in tokens.SCOPES
    }
    assert len(node.operations) > 12
    for operation in node.operations:
        answer = await clients[operation.scope].request(operation.method.upper(), path_of(operation), json={})
        assert answer.status_code == 403, operation.name
        assert answer.json()["error"]["code"] == "scope-needed"


async def test_calls_are_found_by_what_they_were(node):
    client = await node.client("read")
    everything = (await client.get("/calls")).json()
    assert [call["id"] for call in everything["calls"]] == [call.call_id for call in reversed(node.calls)]
    assert everything["next"] is None
    first = (await client.get("/calls", params={"limit": 2})).json()
    rest = (await client.get("/calls", params={"limit": 2, "cursor": first["next"]})).json()
    assert first["calls"] + rest["calls"] == everything["calls"]
    for query, count in (
        ({"caller": "+14155550121"}, 1),
        ({"caller": "+14155550199"}, 0),
        ({"line": "desk", "result": "success", "reason": "caller-hung-up", "live": "false"}, 3),
        ({"live": "true"}, 0),
        ({"status": "completed"}, 3),
        ({"status": "busy"}, 0),
        ({"since": "2023-11-14T23:00:00Z"}, 2),
        ({"until": "2023-11-14T23:00:00+00:00"}, 1),
        ({"since": "0001-01-01", "until": "9999-12-31T23:59:60-12:00"}, 3),
        ({"call_sid": node.calls[0].log_sid}, 1),
    ):
        assert len((await client.get("/calls", params=query)).json()["calls"]) == count, query


async def test_calls_are_found_by_what_was_said(node):
    client = await node.client("read")
    found = (await client.get("/calls", params={"q": 'umbrella "other hall"', "limit": 2})).json()
    assert len(found["calls"]) == 2
    assert "umbrella" in found["calls"][0]["match"]
    rest = (await client.get("/calls", params={"q": 'umbrella "other hall"', "cursor": found["next"]})).json()
    assert [call["id"] for call in rest["calls"]] == [node.calls[0].call_id]
    assert (await client.get("/calls", params={"q": '"hall other"'})).json()["calls"] == []
    # What was generated and not heard is not found.
    assert (await client.get("/calls", params={"q": "station"})).json()["calls"] == []
    for odd in ('"', "'", "*", "a AND", "NEAR(", "!!", "umbrella)", "text:x", "%", "a\\", '"""'):
        assert (await client.get("/calls", params={"q": odd})).status_code == 200, odd


async def test_one_call_its_transcript_and_its_events(node):
    client = await node.client("read")
    call_id = node.calls[0].call_id
    call = (await client.get(f"/calls/{call_id}")).json()
    assert [leg["target"] for leg in call["legs"]] == ["", "sales"]
    assert [tool["tool"] for tool in call["tool_calls"]] == ["find_item", "refund"]
    turns = (await client.get(f"/calls/{call_id}/transcript")).json()["turns"]
    assert [turn["speaker"] for turn in turns] == ["agent", "caller", "agent", "caller"]
    first = (await client.get(f"/calls/{call_id}/events", params={"limit": 3})).json()
    rest = (await client.get(f"/calls/{call_id}/events", params={"after": first["next"]})).json()
    numbers = [event["number"] for event in first["events"] + rest["events"]]
    assert numbers == sorted(set(numbers))
    assert rest["next"] is None


async def test_an_id_that_nobody_was_given_is_not_there(node):
    client = await node.client(*tokens.SCOPES)
    near = str(uuid.UUID(int=uuid.UUID(node.calls[0].call_id).int + 1))
    for operation in node.operations:
        if "{call_id}" in operation.path:
            body = {"approved": True} if "tool" in operation.path else {"seconds": 1}
            answer = await client.request(operation.method.upper(), path_of(operation, near), json=body)
            assert answer.status_code == 404, operation.name


async def test_a_malformed_query_is_told(node):
    client = await node.client("read")
    wrong = (
        "limit=0",
        "limit=x",
        "cursor=1",
        "since=soon",
        "line=a%00b",
        "colour=red",
        "live=maybe",
    )
    for query in (*wrong, "line=a&line=b"):
        answer = await client.get(f"/calls?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["error"]["code"] == "malformed"
    said = (await client.get("/calls?since=soon")).json()["error"]["message"]
    assert said == "since: write a moment such as 2026-11-25T08:30:00Z"


async def test_a_recording_is_given_whole_or_in_parts_and_listening_is_audited(node):
    client = await node.client("listen")
    call_id = node.calls[0].call_id
    assert (await client.get(f"/calls/{call_id}/recording")).json()["error"]["code"] == "no-recording"
    node.record(call_id)
    whole = await client.get(f"/calls/{call_id}/recording")
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.content.startswith(b"RIFF")
    size = len(whole.content)
    for asked, span in (
        ("bytes=0-9", (0, 10)),
        ("bytes=100-", (100, size)),
        ("bytes=-7", (size - 7, size)),
        ("bytes=5-999999999", (5, size)),
    ):
        part = await client.get(f"/calls/{call_id}/recording", headers={"Range": asked})
        assert part.status_code == 206
        assert part.content == whole.content[slice(*span)]
        assert part.headers["content-range"] == f"bytes {span[0]}-{span[1] - 1}/{size}"
    for asked in (f"bytes={size}-", "bytes=9-3"):
        refused = await client.get(f"/calls/{call_id}/recording", headers={"Range": asked})
        assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{size}")
    for asked in ("bytes=0-1,4-5", "lines=1-2", "bytes=-"):
        assert (await client.get(f"/calls/{call_id}/recording", headers={"Range": asked})).status_code == 200
    async with node.database.read() as connection:
        listened = [entry async for entry in audit.entries(connection) if entry["action"] == "recording-listened"]
        assert await audit.broken_at(connection) is None
    assert {entry["subject"] for entry in listened} == {call_id}
    assert listened[0]["actor"] == "token:tests"


async def test_a_live_call_is_followed_and_ended(node):
    client = await node.client("read", "operate")
    live = node.live()
    news = []

    async def follow():
        async with client.stream("GET", f"/calls/{live.call_id}/live") as answer:
            async for line in answer.aiter_lines():
                news.append(line)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        await anyio.sleep(0.2)
        assert (await client.post(f"/calls/{live.call_id}/recording/pause")).json()["error"]["code"] == "not-recorded"
        assert (await client.post(f"/calls/{live.call_id}/end")).status_code == 202
    assert "event: ended" in news
    assert json.loads(news[news.index("event: ended") + 1].removeprefix("data: "))["reason"] == "operator-hung-up"
    assert (await client.post(f"/calls/{live.call_id}/end")).status_code == 409
    again = await client.get(f"/calls/{node.calls[0].call_id}/live")
    assert "event: ended" in again.text
    assert (await client.get(f"/calls/{live.call_id}/live", headers={"Last-Event-ID": "x"})).status_code == 400


async def test_a_tool_gets_its_yes(node):
    client = await node.client("operate")
    live = node.live()
    live.bridge.emit(ApprovalAsked("refund", "{}", "t1"))
    path = f"/calls/{live.call_id}/tools"
    assert (await client.post(f"{path}/t9", json={"approved": True})).json()["error"]["code"] == "no-such-tool"
    for wrong in ("{", "[]", "{}", '{"approved": "perhaps"}', '{"approved": true, "more": 1}'):
        assert (await client.post(f"{path}/t1", content=wrong)).status_code == 400
    assert (await client.post(f"{path}/t1", json={"approved": True})).status_code == 202
    assert live.bridge.call.approvals == ()
    large = b'{"approved": true, "x": "' + b"x" * 70_000 + b'"}'
    assert (await client.post(f"{path}/t1", content=large)).status_code == 413


async def test_lines_and_figures(node):
    client = await node.client("read")
    node.live()
    lines = (await client.get("/lines")).json()
    assert [(line["id"], line["numbers"], line["live"]) for line in lines["lines"]] == [("desk", ["+14155550100"], 1)]
    assert (await client.get("/lines/desk")).json() == lines["lines"][0]
    assert (await client.get("/lines/none")).status_code == 404
    asked = {"since": "2023-11-14T00:00:00Z", "until": "2023-11-16T00:00:00Z"}
    figures = (await client.get("/summary", params=asked)).json()
    [group] = figures["groups"]
    assert (group["line"], group["result"], group["calls"], group["barge_ins"]) == ("desk", "success", 3, 3)
    assert figures["live"] == 1


async def test_a_call_is_erased(node):
    client = await node.client("read", "erase")
    call_id = node.calls[0].call_id
    node.record(call_id)
    assert (await client.delete(f"/calls/{call_id}")).status_code == 200
    assert (await client.delete(f"/calls/{call_id}")).json()["error"]["code"] == "call-erased"
    assert (await client.get(f"/calls/{call_id}/transcript")).json()["error"]["code"] == "call-erased"
    assert node.recordings.find(call_id) is None
    assert len((await client.get("/calls")).json()["calls"]) == 2


async def test_a_store_of_recordings_that_is_away_is_said_so_and_nothing_is_erased(node, tmp_path):
    client = await node.client("read", "listen", "erase")
    call_id = node.calls[0].call_id
    away = "s3://calls/node1?endpoint=http://127.0.0.1:9&region=x&access_key_id=k&secret_access_key=s"
    node.recordings._store = Recordings(tmp_path, away)._store
    for answer in (await client.get(f"/calls/{call_id}/recording"), await client.delete(f"/calls/{call_id}")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store-away")
    assert (await client.get(f"/calls/{call_id}")).status_code == 200
