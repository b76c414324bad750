"""What is erased while the gateway runs is nowhere any more: not in its database, files, logs nor object store."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import httpx2
import pytest

from gateway.testing.model import call_tool, say
from tests import canaries as shared
from tests.receiver import Receiver
from tests.s3 import bucket, s3_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(240)]
LINE = """
number: "+15550100"
greeting: Hello.
instructions: You answer the phone.
tools: ["records:find", take_message, hang_up]
model: {{transcription: {{model: whisper-1}}}}
recording: {{mode: dual, consent: not-needed, reason: a test}}
outcome: {{schema: {{type: object, properties: {{callback_number: {{type: string}}}}}}}}
deliver: [{{webhook: "{receiver}/good"}}, {{webhook: "http://127.0.0.1:9/nobody-listens"}}]
"""
ERASED, KEPT = (0, 1, 2), 3
"""The second and the third call are from one number."""


def canaries(number: int) -> dict[str, str]:
    """Seven things of one call: names, numbers, digits and words."""
    return shared.canaries(number) | {
        "phone": shared.canaries(1 if number == 2 else number)["phone"],
        "callback": f"1708555{6000 + number}",
        "message": f"messagecanary{number:06}",
    }


async def brain(session, asked):
    own = canaries(session.number)
    match asked.number:
        case 1:
            session.ears.transcripts.append(f"I am {own['caller']}, my callback number is +{own['callback']}.")
            return say(f"Hello {own['agent']}. What is your callback number?", 0.5)
        case 2:
            return call_tool("find", {"customer": own["caller"]})
        case 3:
            return call_tool("take_message", {"message": own["message"], "name": own["caller"]})
        case 4:
            return say("Press your number.", 0.5)
        case _:
            return call_tool("hang_up")


async def call(world, number, ids):
    caller = await shared.call(world, canaries(number))
    began = next(entry for entry in world.gateway.logged("call-began") if entry["call_sid"] == caller.call.sid)
    ids[number] = began["call_id"]


async def calls(world):
    """Make all calls, one a little after the other, so that their model sessions have their numbers; give their ids."""
    ids: dict[int, str] = {}
    async with anyio.create_task_group() as tasks:
        for number in (*ERASED, KEPT):
            tasks.start_soon(call, world, number, ids)
            await world.model.connected(number)
    return ids


class Search:
    """Everything that a gateway may have written, byte by byte."""

    def __init__(self, world, address, database):
        self._world, self._store, self._database = world, address, database

    async def contents(self):
        gateway = self._world.gateway
        found = {path.name: path.read_bytes() for path in gateway.data.rglob("*") if path.is_file()}
        found |= {"what it printed": gateway.output.encode(), "/metrics": (await gateway.get("/metrics")).content}
        found |= await anyio.to_thread.run_sync(self._database.contents)
        async with httpx2.AsyncClient(trust_env=False) as client:
            listed = (await client.get(f"{self._store}/calls")).text
            for name in (part.partition("</Key>")[0] for part in listed.split("<Key>")[1:]):
                found[name] = (await client.get(f"{self._store}/calls/{name}")).content
        return found

    async def canaries(self, numbers):
        """Return which canaries of some calls are there, and where."""
        contents = await self.contents()
        wanted = [each.encode() for number in numbers for each in canaries(number).values()]
        return {(each.decode(), name) for each in wanted for name, content in contents.items() if each in content}


@dataclass(frozen=True)
class Served:
    """A database on a server: what the gateway is told of it, and what is in it. SQLite's is among the files."""

    environment: dict[str, str] = field(default_factory=dict)
    contents: Callable[[], dict[str, bytes]] = dict


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    if request.param == "sqlite":
        yield Served()
        return
    cluster = request.getfixturevalue("cluster")
    cluster.run("CREATE DATABASE erased TEMPLATE template_records")
    yield Served({"DATABASE_URL": cluster.url("erased")}, lambda: {"the dump": cluster.dump("erased")})
    cluster.run("DROP DATABASE erased WITH (FORCE)")


async def until(condition, seconds=20):
    with anyio.fail_after(seconds):
        while not await condition():
            await anyio.sleep(0.1)


async def test_nothing_of_an_erased_call_is_left(begin, tmp_path, database):
    shared.add_tool(tmp_path / "agents_config")
    (tmp_path / "moto").mkdir()
    with s3_server(tmp_path / "moto") as store:
        async with (
            Receiver().running() as receiver,
            begin(
                brain,
                lines={"desk.yaml": LINE.format(receiver=receiver.url)},
                environment={"GATEWAY_RECORDINGS_URL": bucket(store), **database.environment},
            ) as world,
        ):
            ids = await calls(world)
            search = Search(world, store, database)

            async def settled():
                """Whether all is uploaded and delivered that will be, and so there to be found."""
                contents = await search.contents()
                told = sum(request.path == "/good" for request in receiver.got)
                return told == 2 * len(ids) and all(f"node1/{each}.wav" in contents for each in ids.values())

            await until(settled)
            there = await search.canaries((*ERASED, KEPT))
            assert {each for each, _ in there} == {
                each for number in (*ERASED, KEPT) for each in canaries(number).values()
            }
            assert len({each for each, _ in await search.canaries(ERASED)}) == 20

            talking = await world.twilio.dial("+15550100")  # which has its records written meanwhile
            await talking.wait_for_speech()
            status, token = await world.gateway.command("tokens", "create", "tests", "-s", "read", "-s", "erase")
            assert status == 0, token
            headers = {"Authorization": f"Bearer {token.strip()}"}
            async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
                api = world.gateway.base_url + "/api/v1/calls"
                found = await client.get(api, params={"q": canaries(0)["caller"]})
                assert [each["id"] for each in found.json()["calls"]] == [ids[0]]
                assert (await client.delete(f"{api}/{ids[0]}")).status_code == 200
                status, said = await world.gateway.command("people", "erase", f"+{canaries(1)['phone']}", "--yes")
                assert (status, said) == (0, "2 calls are erased.\n")

                assert await search.canaries(ERASED) == set()
                contents = await search.contents()
                erased = [ids[number] for number in ERASED]
                assert not any(each in name for each in erased for name in contents)
                assert f"node1/{ids[KEPT]}.wav" in contents
                found = await client.get(api, params={"q": canaries(KEPT)["caller"]})
                assert [each["id"] for each in found.json()["calls"]] == [ids[KEPT]]
                for each in erased:
                    assert (await client.get(f"{api}/{each}")).json()["error"]["code"] == "call-erased"
                    named = {name for name, content in contents.items() if each.encode() in content}
                    assert named <= {"gateway.db", "gateway.db-wal", "the dump", "what it printed"}

            talking.hang_up()  # whose record may not be closed yet when all that ended goes
            await talking.wait_for_end()
            status, said = await world.gateway.command("purge", "--older-than", "0m", "--yes", "--json")
            assert (status, json.loads(said)["calls"] >= 1) == (0, True)
            assert await search.canaries((*ERASED, KEPT)) == set()
            world.gateway.signal()
            await world.gateway.stopped()
            left = b"".join(path.read_bytes() for path in world.gateway.data.rglob("*") if path.is_file())
            left += b"".join(database.contents().values())
            words = [each for number in (*ERASED, KEPT) for each in canaries(number).values()]
            assert [each for each in words if each.encode() in left] == []
