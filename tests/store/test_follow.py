"""Following a call's log while another thread writes it."""

import anyio
import pytest

from gateway.call.events import DigitPressed
from gateway.call.policy import Policy
from gateway.call.reason import EndReason
from gateway.errors import LogError
from gateway.store.follow import appearing, follow
from gateway.store.log import LogWriter
from gateway.store.log_lines import Closed, Entry, Header

pytestmark = pytest.mark.anyio
HEADER = Header("c1", "CA1", "desk", "hash", "0", 0.0, 0.0, Policy("desk"), {})


async def test_lines_come_as_they_are_written_until_the_record_is_closed(tmp_path):
    writer = LogWriter(tmp_path / "calls")
    seen = []
    first = anyio.Event()

    async def read():
        async for line in follow(await appearing(tmp_path / "calls")):
            seen.append(line)
            if len(seen) == 2:
                first.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.sleep(0.05)
        writer.start()
        log = writer.open(HEADER)
        log.append(0.5, DigitPressed("1"), [])
        with anyio.fail_after(5):
            await first.wait()
        assert isinstance(seen[0], Header)
        log.append(0.7, DigitPressed("2"), [])
        log.close(1.0, EndReason("success", "done"), {"usage": {}, "turns": []})
    writer.stop()
    assert [line.event for line in seen if isinstance(line, Entry)] == [DigitPressed("1"), DigitPressed("2")]
    assert seen[-1] == Closed(1.0, EndReason("success", "done"))


async def test_half_a_line_is_waited_for_and_a_damaged_one_named(tmp_path):
    path = tmp_path / "c1.jsonl"
    whole = b'["e",1,0.5,["DigitPressed",{"digit":"1"}],[]]\n'
    path.write_bytes(whole[:20])
    lines = follow(path)

    async def finish():
        await anyio.sleep(0.15)
        with path.open("ab") as file:
            file.write(whole[20:] + b'["e",2]\n')

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(finish)
        with anyio.fail_after(5):
            assert await anext(lines) == Entry(1, 0.5, DigitPressed("1"), [])
    with pytest.raises(LogError, match=r"c1\.jsonl:2: "):
        await anext(lines)
