"""After a call: its outcome is found out, and whoever is to know is told, over real sockets."""

import asyncio
import email
import hashlib
import hmac
import json
import time
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import anyio
import httpx2
import pytest
from aiosmtpd.smtp import SMTP

from gateway.config.loader import load
from gateway.delivery.after import AfterCalls
from gateway.delivery.outcome import Model, Rules
from gateway.delivery.send import Sender, signature
from gateway.exchange import TOKEN_GOOD_FOR
from gateway.store import hooks, retention
from gateway.store.calls import CallFilter, find_calls, get_call
from gateway.store.database import Database
from gateway.store.log import LogWriter
from gateway.store.projector import Projector
from gateway.store.rebuild import rebuild
from gateway.store.recording.shelf import Recordings
from gateway.store.recovery import TAKEN_UP_WITHIN
from tests.receiver import Receiver

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("brisk")]

DONE = {"ended": 1_700_000_100.0, "result": "success", "reason": "done"}
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "enum": ["lost-item", "booking", "other"]},
        "seat": {"type": ["string", "null"]},
    },
    "required": ["reason"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """What is due is delivered at once."""
    monkeypatch.setattr("gateway.delivery.after.LOOK", 0.05)


def line_of(schema, *to):
    text = "default: true\ninstructions: Be brief.\n"
    text += f"outcome: {{schema: {json.dumps(schema)}}}\n" if schema else ""
    return text + (f"deliver: {json.dumps(to)}\n" if to else "")


@asynccontextmanager
async def after_calls(url, folder, line, *, filler=None, smtp_url=""):
    (folder / "lines").mkdir(exist_ok=True)
    (folder / "lines" / "desk.yaml").write_text(line)
    directory = load(folder / "lines")
    database = Database(url)
    projector = Projector(url, folder / "calls")
    projector.start()
    async with httpx2.AsyncClient() as http, anyio.create_task_group() as tasks:
        sender = Sender(http, b"secret", smtp_url)
        after = AfterCalls(database, folder / "calls", projector, lambda: directory, filler or Rules(), sender)
        tasks.start_soon(after.run)
        yield SimpleNamespace(database=database, after=after, http=http, projector=projector)
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(projector.stop)
    await database.close()


@pytest.fixture
def over(whole, writer):
    """Two calls whose records are closed."""
    calls = [whole(wall=1_700_000_000.0), whole(wall=1_700_003_600.0)]
    writer.stop()
    return calls


async def take(here, call, folder):
    await rebuild(here.database, folder / "calls")
    here.after.over({"id": call.call_id, "line": "desk", **DONE})


async def until(condition, seconds=10.0):
    with anyio.fail_after(seconds):
        while not await condition():
            await anyio.sleep(0.05)


async def settled(here, states, seconds=10.0):
    async def same():
        return sorted(row["state"] for row in await hooks.listed(here.database)) == sorted(states)

    await until(same, seconds)


async def test_a_webhook_is_signed_retried_and_told_what_the_call_came_to(url, tmp_path, over, monkeypatch):
    monkeypatch.setattr(hooks, "PAUSES", (0.1, 0.1, 0.1))
    async with (
        Receiver().running() as crm,
        after_calls(url, tmp_path, line_of(SCHEMA, {"webhook": crm.url + "/in"})) as here,
    ):
        crm.answers = [(500, ""), (0, "")]  # then 200
        await take(here, over[0], tmp_path)
        await settled(here, ["delivered"])
        assert [got.path for got in crm.got] == ["/in"] * 3
        got = crm.got[-1]
        at = got.headers["gateway-signature"].split(",")[0].removeprefix("t=")
        expected = hmac.new(b"secret", f"{at}.".encode() + got.body, hashlib.sha256).hexdigest()
        assert got.headers["gateway-signature"] == f"t={at},v1={expected}" == signature(b"secret", got.body, int(at))
        assert len({each.headers["gateway-delivery"] for each in crm.got}) == 1
        told = json.loads(got.body)
        assert told["event"] == "call.completed"
        assert told["call"]["id"] == over[0].call_id
        assert told["call"]["outcome_status"] in {"filled", "invalid"}
        [hook] = await hooks.listed(here.database)
        assert hook["attempts"] == 3


async def test_what_can_not_be_delivered_is_dead_in_order_and_may_be_tried_again(url, tmp_path, over, monkeypatch):
    monkeypatch.setattr(hooks, "PAUSES", (0.05,))
    async with Receiver().running() as crm, after_calls(url, tmp_path, line_of(None, {"webhook": crm.url})) as here:
        crm.answers = [(503, ""), (503, "")]
        async with here.database.write() as connection:
            for number in range(3):
                await hooks.add(connection, "c1", "desk", "webhook", crm.url, "test", {"number": number})
        await settled(here, ["dead", "delivered", "delivered"])
        assert [json.loads(got.body)["number"] for got in crm.got] == [0, 0, 1, 2]
        crm.answers = [(410, "")]  # hopeless: no second try
        assert await hooks.retry(here.database) == 1

        async def tried():
            return len(crm.got) == 5 and (await hooks.listed(here.database, state="dead"))

        await until(tried)
        [dead] = await hooks.listed(here.database, state="dead")
        assert dead["error"] == "status 410"
        assert await hooks.retry(here.database, dead["id"]) == 1
        await settled(here, ["delivered"] * 3)


async def test_an_email_and_a_slack_message_are_read_by_people(url, tmp_path, over):
    letters = []

    class Mailbox:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
            letters.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content)))
            return "250 taken"

    loop = asyncio.get_running_loop()
    mailbox = await loop.create_server(lambda: SMTP(Mailbox(), loop=loop), "127.0.0.1", 0)
    port = mailbox.sockets[0].getsockname()[1]
    async with mailbox, Receiver().running() as slack:
        line = line_of(None, {"email": "desk@acme.example"}, {"slack": slack.url})
        async with after_calls(url, tmp_path, line, smtp_url=f"smtp://127.0.0.1:{port}") as here:
            await take(here, over[0], tmp_path)
            await settled(here, ["delivered", "delivered"])
    [(to, letter)] = letters
    assert to == ["desk@acme.example"]
    assert letter["Subject"] == "Call for desk from +14155550123"
    text = json.loads(slack.got[0].body)["text"]
    assert "success: caller-hung-up" in text
    content: Any = letter.get_payload(decode=True)
    assert content.decode().replace("\r\n", "\n") == text


async def test_a_message_reaches_a_person(url, tmp_path, talk, writer):
    from gateway.call import events as e  # noqa: PLC0415

    call = talk()
    call.begin()
    call.say(e.ToolStarted("take_message", '{"message": "Call me back", "name": "Ann"}', "t1"))
    call.say(e.ToolEnded("take_message", "noted", "t1"), 0.1)
    call.ends()
    writer.stop()
    async with Receiver().running() as slack:
        line = line_of(None, {"slack": slack.url, "messages_only": True})
        async with after_calls(url, tmp_path, line) as here:
            await take(here, call, tmp_path)
            await settled(here, ["delivered"])
    text = json.loads(slack.got[0].body)["text"]
    assert "Message for desk" in text
    assert "message: Call me back" in text


async def test_a_model_fills_the_schema_is_corrected_once_and_its_words_are_found(url, tmp_path, over):
    def answered(values):
        return (200, json.dumps({"choices": [{"message": {"content": values}}]}))

    async with Receiver().running() as model, httpx2.AsyncClient() as http:
        filler = Model(model.url + "/v1", "small", "key", http)
        async with after_calls(url, tmp_path, line_of(SCHEMA), filler=filler) as here:
            model.answers = [
                answered('{"reason": "else"}'),
                answered('{"reason": "lost-item", "seat": "fourteen-charlie"}'),
            ]
            await take(here, over[0], tmp_path)

            async def there():
                async with here.database.read() as connection:
                    return (await get_call(connection, over[0].call_id) or {})["outcome_status"] == "filled"

            await until(there)
            async with here.database.read() as connection:
                call = await get_call(connection, over[0].call_id)
                assert call is not None
                assert call["outcome"] == {"reason": "lost-item", "seat": "fourteen-charlie"}
                rows, _ = await find_calls(connection, CallFilter(words="charlie"), limit=5)
                assert [row["id"] for row in rows] == [over[0].call_id]
            first, second = (json.loads(got.body) for got in model.got)
            assert model.got[0].path == "/v1/chat/completions"
            assert model.got[0].headers["authorization"] == "Bearer key"
            asked = first["messages"][1]["content"]
            assert "caller: I lost my blue umbrella" in asked
            assert "station" not in asked  # generated, and never heard
            assert "'else' is not one of" in second["messages"][-1]["content"]
            model.answers = [(500, "")] * 2
            await take(here, over[1], tmp_path)

            async def failed():
                async with here.database.read() as connection:
                    return (await get_call(connection, over[1].call_id) or {})["outcome_status"] == "failed"

            await until(failed)
            await rebuild(here.database, tmp_path / "calls")
            async with here.database.read() as connection:
                again = await get_call(connection, over[0].call_id)
            assert again is not None
            assert again["outcome"] == call["outcome"]


async def test_rules_fill_what_they_can():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "phone_number": {"type": "string"}},
        "required": ["name"],
    }
    turns = [
        {"speaker": "agent", "heard": "What is your name?"},
        {"speaker": "caller", "heard": "My name is Anna Smith."},
    ]
    found = await Rules().fill(schema, turns)
    assert (found.status, found.values) == ("filled", {"name": "Anna Smith"})
    assert (await Rules().fill(schema, [])).status == "invalid"


async def test_rules_take_no_seat_for_a_name_and_no_floor_for_a_telephone():
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "callback_number": {"type": "string"}}}
    said = ["I am Ann Miller, I lost my umbrella, seat 14C. My callback number is +14155550777.", "On floor 2."]
    found = await Rules().fill(schema, [{"speaker": "caller", "heard": each} for each in said])
    assert found.values == {"name": "Ann Miller", "callback_number": "14155550777"}


async def test_a_call_whose_process_died_is_told_once_nobody_can_take_it_up(url, tmp_path, talk, writer, monkeypatch):
    """Of two lost calls the one that another process takes up is told with its real end, and once."""
    assert TAKEN_UP_WITHIN > TOKEN_GOOD_FOR
    lost = [talk(wall=time.time() - 60.0), talk(wall=time.time() - 60.0)]
    for call in lost:
        call.begin()
        call.answers("greet", "Hello.")
    writer.stop()
    monkeypatch.setattr("gateway.delivery.after.TAKEN_UP_WITHIN", 59.5)
    async with Receiver().running() as crm, after_calls(url, tmp_path, line_of(None, {"webhook": crm.url})) as here:
        rows = [await row_of(here, call) for call in lost]  # which the projector has closed
        again = LogWriter(tmp_path / "calls", here.projector.told)
        again.start()
        call = talk(writer=again, call_id=lost[1].call_id, wall=time.time())
        call.begin()
        call.answers("b1", "Hello again.")
        await until(partial(_is_live, here, call))
        for row in rows:
            here.after.over(row)
        await settled(here, ["delivered"], 20)
        assert time.time() >= rows[0]["ended"] + 59.5
        call.ends()
        again.stop()
        await until(partial(_is_over, here, call))
        here.after.over(await row_of(here, call))
        await settled(here, ["delivered", "delivered"])
        told = {got["id"]: got["reason"] for got in (json.loads(each.body)["call"] for each in crm.got)}
        assert told == {lost[0].call_id: "process-lost", lost[1].call_id: "caller-hung-up"}
        assert len(crm.got) == 2


async def _is_live(here, call):
    return (await row_of(here, call))["ended"] is None


async def _is_over(here, call):
    return not await _is_live(here, call)


async def row_of(here, call):
    """Return a call's row, once it is there."""
    found: list[dict[str, Any]] = []

    async def there():
        async with here.database.read() as connection:
            found[:] = [row] if (row := await get_call(connection, call.call_id)) else []
        return bool(found)

    await until(there)
    return found[0]


async def test_an_erased_call_is_told_to_nobody(url, tmp_path, over):
    async with Receiver().running() as crm, after_calls(url, tmp_path, line_of(None, {"webhook": crm.url})) as here:
        await rebuild(here.database, tmp_path / "calls")
        shelf = retention.Shelf(here.database, tmp_path / "calls", Recordings(tmp_path / "recordings"))
        await retention.erase(shelf, [over[0].call_id], by="tests", why="asked")
        for call in over:
            here.after.over({"id": call.call_id, "line": "desk", **DONE})
        await settled(here, ["delivered"])
        assert json.loads(crm.got[0].body)["call"]["id"] == over[1].call_id
