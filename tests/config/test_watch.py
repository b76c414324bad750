import shutil

import anyio
import pytest
from structlog.testing import capture_logs

from gateway.config.loader import load
from gateway.config.watch import Watcher
from gateway.errors import Fault

pytestmark = pytest.mark.anyio

GOOD = "instructions: A\nlabel: One\n"


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Told:
    """What a watcher said."""

    def __init__(self) -> None:
        self.swaps: list[tuple[str, str]] = []
        self.faults: list[list[str]] = []

    def swapped(self, before, after):
        self.swaps.append((before.hash, after.hash))

    def refused(self, faults):
        self.faults.append([str(fault).rpartition("/")[2] for fault in faults])


@pytest.fixture
def watching(write):
    told = Told()
    watcher = Watcher(load(write({"a.yaml": GOOD})), on_swap=told.swapped, on_faults=told.refused)
    return watcher, told


async def test_a_good_edit_swaps_the_whole_snapshot(watching, write):
    watcher, told = watching
    before = watcher.current
    write({"a.yaml": "instructions: A\nlabel: Two\n", "b.yaml": "instructions: B\n"})
    assert await watcher.reload()
    assert (before.lines["a"].label, [*before.lines]) == ("One", ["a"])
    assert (watcher.current.lines["a"].label, [*watcher.current.lines]) == ("Two", ["a", "b"])
    assert told.swaps == [(before.hash, watcher.current.hash)]


async def test_a_broken_edit_keeps_the_old_snapshot_and_says_so_once(watching, write):
    watcher, told = watching
    before = watcher.current
    write({"a.yaml": "instructions: A\nlabl: Two\n"})
    assert not await watcher.reload()
    assert not await watcher.reload()
    assert watcher.current is before
    assert told.faults == [["a.yaml:2:1: unknown key labl (did you mean label?)"]]
    assert len(watcher.faults) == 1
    write({"a.yaml": GOOD})
    with capture_logs() as logged:
        assert await watcher.reload()
        assert await watcher.reload()
    assert watcher.current is before
    assert watcher.faults == ()
    assert [(each["event"], each["snapshot"]) for each in logged] == [("config-mended", before.hash)]


async def test_the_same_break_again_is_told_again(watching, write):
    watcher, told = watching
    for text in ("label: A\n", GOOD, "label: A\n"):
        write({"a.yaml": text})
        await watcher.reload()
    assert len(told.faults) == 2
    assert told.swaps == []


async def test_a_folder_that_is_gone_keeps_the_old_snapshot(watching):
    watcher, told = watching
    shutil.rmtree(watcher.folder)
    assert not await watcher.reload()
    assert watcher.current.lines["a"].label == "One"
    assert len(told.faults) == 1


async def test_what_can_not_be_proven_is_refused(write):
    told, proven = Told(), []

    def prove(directory):
        proven.append(directory.hash)
        return [Fault("tools/x.py", 1, 1, "fails when it is loaded")] if "b" in directory.lines else []

    watcher = Watcher(load(write({"a.yaml": GOOD})), prove=prove, on_faults=told.refused)
    write({"b.yaml": GOOD})
    assert not await watcher.reload()
    assert not await watcher.reload()
    assert [*watcher.current.lines] == ["a"]
    assert (len(proven), told.faults) == (1, [["x.py:1:1: fails when it is loaded"]])


async def test_an_edit_is_seen_and_asking_helps(watching, write):
    watcher, told = watching
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.run)
        write({"a.yaml": "instructions: A\nlabel: Two\n"})
        with anyio.fail_after(30):
            while not told.swaps:
                await anyio.sleep(0.05)
        write({"a.yaml": "instructions: A\nlabel: Three\n"})
        watcher.ask()
        with anyio.fail_after(30):
            while watcher.current.lines["a"].label != "Three":
                await anyio.sleep(0.05)
        group.cancel_scope.cancel()
