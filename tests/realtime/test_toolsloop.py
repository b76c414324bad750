import asyncio
import gc
import json
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.errors import ToolError
from gateway.realtime.tool_output import OUTPUT_LIMIT, text_of
from gateway.realtime.toolsloop import CallTools, ToolsLoop
from gateway.realtime.toolsthread import Job
from tests.realtime.lab import Ticks

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def loop() -> Iterator[ToolsLoop]:
    tools = ToolsLoop(stuck_after=0.2)
    yield tools
    tools.close()


@pytest.fixture
def call(loop: ToolsLoop) -> CallTools:
    return loop.for_call("call-1")


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no words")


# ---- Hazard K1: tools that misbehave --------------------------------------------------------------------------------


async def raises() -> str:
    raise LookupError("secret-of-the-database")


async def refuses() -> str:
    raise ToolError("There is no order 7.")


async def answers() -> str:
    return "yes"


async def returns_a_megabyte() -> str:
    return "ä" * 1_000_000


async def returns_no_json() -> object:
    return {"at": Unprintable(), "cycle": ...}


async def returns_binary() -> bytes:
    return b"\x00\xff" * 500


async def returns_nothing() -> None:
    return None


async def never_returns() -> None:
    await asyncio.Event().wait()


async def blocks() -> str:
    time.sleep(0.6)
    return "slept"


async def exits() -> str:
    sys.exit(3)


async def cancels_itself() -> str:
    raise asyncio.CancelledError


async def stops_the_loop() -> str:
    asyncio.get_running_loop().stop()
    return "stopped"


async def ignores_cancellation() -> str:
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    return "late"


def endless(items: list[Any]) -> list[Any]:
    items.append(items)
    return items


async def returns_itself() -> object:
    return endless([])


async def stops_iterating() -> str:
    return await asyncio.to_thread(lambda: next(iter(())))


BAD: list[tuple[Callable[[], Any], str]] = [
    (raises, "failed"),
    (refuses, "There is no order 7."),
    (returns_a_megabyte, "cut"),
    (returns_no_json, "no text"),
    (returns_binary, "1000 bytes"),
    (returns_nothing, "null"),
    (returns_itself, "no text"),
    (never_returns, "longer than 0.5 seconds"),
    (blocks, "longer than 0.5 seconds"),
    (exits, "failed"),
    (cancels_itself, "cancelled"),
    (stops_the_loop, "stopped"),
    (ignores_cancellation, "longer than 0.5 seconds"),
    (stops_iterating, "failed"),
]


@pytest.mark.parametrize(("tool", "words"), BAD, ids=lambda value: getattr(value, "__name__", None))
async def test_a_bad_tool_ends_in_words(call: CallTools, tool: Callable[[], Any], words: str) -> None:
    answer = await call.text(tool.__name__, tool, timeout=0.5)
    assert words in answer
    assert len(answer.encode()) <= OUTPUT_LIMIT
    assert "secret" not in answer
    assert await call.text("next", returns_nothing) == "null"


async def test_twenty_of_each_bad_tool_leave_the_rest_alone(loop: ToolsLoop) -> None:
    calls = [loop.for_call(f"c{n}") for n in range(20)]
    quick = [tool for tool, _ in BAD if tool not in (blocks, stops_the_loop)]
    answers = await asyncio.gather(*(call.text("t", tool, timeout=0.5) for call in calls for tool in quick))
    assert len(answers) == 20 * len(quick)
    assert all(isinstance(answer, str) for answer in answers)


@pytest.mark.parametrize("busy", [False, True], ids=["sleeping", "spinning"])
async def test_a_tool_that_blocks_does_not_hold_up_the_serving_loop(call: CallTools, busy: bool) -> None:
    """Hazard K3; design rule 13."""
    times = []

    async def blocks_for_a_while() -> None:
        times.append(time.monotonic())
        while busy and time.monotonic() < times[0] + 0.5:
            pass
        if not busy:
            time.sleep(0.5)
        times.append(time.monotonic())

    async with Ticks() as ticks:
        assert await call.text("blocks", blocks_for_a_while) == "null"
    assert ticks.within(times) > 10


async def test_while_one_tool_blocks_others_run_on_another_loop(loop: ToolsLoop) -> None:
    free = threading.Event()

    async def waits() -> str:
        free.wait(20)
        return "free"

    blocked = asyncio.create_task(loop.for_call("a").text("waits", waits, timeout=30))
    await asyncio.sleep(0.05)
    assert await loop.for_call("b").text("quick", returns_nothing, timeout=15) == "null"
    assert loop.blocked == 1
    free.set()
    assert await blocked == "free"
    await until(lambda: loop.blocked == 0)


# ---- Limits, ends, leaks --------------------------------------------------------------------------------------------


async def test_four_tools_of_a_call_run_at_once_and_waiting_counts_towards_the_timeout(call: CallTools) -> None:
    running = most = 0

    async def slow() -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1
        return "done"

    assert await asyncio.gather(*(call.text("slow", slow) for _ in range(9))) == ["done"] * 9
    assert most == 4
    hold = [asyncio.create_task(call.text("hold", never_returns, timeout=5)) for _ in range(4)]
    await asyncio.sleep(0.05)
    assert "longer than 0.1 seconds" in await call.text("fifth", slow, timeout=0.1)
    for task in hold:
        task.cancel()


async def test_plain_functions_have_a_bounded_number_of_threads(loop: ToolsLoop) -> None:
    small = ToolsLoop(threads=2)
    free = threading.Event()
    call = small.for_call("c")

    async def waits() -> str:
        await asyncio.to_thread(free.wait)
        return "done"

    held = [asyncio.create_task(call.text("waits", waits)) for _ in range(2)]
    await asyncio.sleep(0.1)
    assert "Too many tools" in await call.text("third", waits)
    free.set()
    assert await asyncio.gather(*held) == ["done", "done"]
    assert await call.text("again", waits) == "done"
    small.close()


async def test_what_was_given_up_and_still_runs_is_counted(loop: ToolsLoop, call: CallTools) -> None:
    free = threading.Event()

    async def hangs_in_a_thread() -> None:
        await asyncio.to_thread(free.wait)

    await call.text("hangs", hangs_in_a_thread, timeout=0.1)
    await call.text("ignores", ignores_cancellation, timeout=0.1)
    assert loop.leaked == 2
    free.set()
    await until(lambda: loop.leaked == 0)


async def test_the_end_of_the_call_cancels_its_tools_and_no_others(loop: ToolsLoop) -> None:
    cancelled = threading.Event()

    async def tool() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    one, two = loop.for_call("one"), loop.for_call("two")
    first = asyncio.create_task(one.text("tool", tool))
    other = asyncio.create_task(two.text("other", lambda: asyncio.sleep(0.3, "done")))
    await asyncio.sleep(0.1)
    one.close()
    assert await first == "The call is over."
    assert await one.text("late", tool) == "The call is over."
    assert await other == "done"
    assert cancelled.is_set()
    await until(lambda: loop.leaked == 0)


async def test_cancelling_the_waiter_cancels_the_tool_and_is_passed_on(loop: ToolsLoop, call: CallTools) -> None:
    cancelled = threading.Event()

    async def tool() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(call.text("tool", tool))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(cancelled.is_set)
    assert loop.leaked == 0


async def test_tools_never_run_on_the_serving_loop(call: CallTools) -> None:
    async def where() -> tuple[str, bool]:
        return threading.current_thread().name, threading.current_thread().daemon

    assert await call.run("where", where) == ("tools", True)


async def test_run_raises_what_the_work_raised(call: CallTools) -> None:
    async def times_out_itself() -> None:
        raise TimeoutError("of a database")

    with pytest.raises(LookupError):
        await call.run("raises", raises)
    with pytest.raises(TimeoutError, match="database"):
        await call.run("times_out", times_out_itself)
    with pytest.raises(ToolError, match="longer than"):
        await call.run("never", never_returns, timeout=0.05)


async def test_a_job_is_begun_by_one_loop_alone(loop: ToolsLoop) -> None:
    """While it is moved from loop to loop, a tool with an effect must not run twice."""
    count = 0

    async def books() -> int:
        nonlocal count
        count += 1
        return count

    nervous = ToolsLoop(stuck_after=0.0)
    results = await asyncio.gather(*(nervous.for_call(f"c{n}").run("books", books) for n in range(200)))
    assert sorted(results) == list(range(1, 201))
    nervous.close()


async def test_a_job_that_was_given_up_before_it_began_never_begins() -> None:
    job = Job("late", "c", never_returns)
    job.give_up()
    assert not job.begin(job.worker)  # type: ignore[arg-type]
    assert job.future.cancelled()


# ---- Results as text ------------------------------------------------------------------------------------------------


@dataclass
class Seat:
    row: int
    letter: str


class Flight(BaseModel):
    number: str
    seats: set[int] = {1}


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("plain", "plain"),
        (None, "null"),
        (True, "true"),
        ({"à": [1, 2.5]}, '{"à": [1, 2.5]}'),
        (Seat(7, "C"), '{"row": 7, "letter": "C"}'),
        ([Seat(7, "C")], '[{"row": 7, "letter": "C"}]'),
        (Flight(number="LX 1"), '{"number":"LX 1","seats":[1]}'),
        ({"s": {1}}, '{"s": [1]}'),
        ("\ud800broken", "?broken"),
        (ValueError("as a value"), '"as a value"'),
    ],
)
def test_results_become_text(result: object, text: str) -> None:
    said = text_of(result)
    try:
        assert json.loads(said) == json.loads(text)
    except json.JSONDecodeError:
        assert said == text


@pytest.mark.parametrize("result", ["ä" * 9000, ["x" * 100] * 1000, "x" * 8193, {"k": "€" * 5000}])
def test_long_results_are_cut_at_a_character_and_say_so(result: object) -> None:
    said = text_of(result)
    assert OUTPUT_LIMIT - 8 <= len(said.encode()) <= OUTPUT_LIMIT
    assert said.endswith("too much]")


def test_a_result_of_just_the_limit_is_whole() -> None:
    assert text_of("x" * OUTPUT_LIMIT) == "x" * OUTPUT_LIMIT


def test_a_huge_result_is_not_read_to_its_end() -> None:
    began = time.monotonic()
    text_of([list(range(100))] * 1_000_000)
    assert time.monotonic() - began < 1.0


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    assert condition()


async def test_a_job_that_is_over_is_gone_without_collecting_garbage(loop: ToolsLoop) -> None:
    """There is none collected while there are calls."""
    gc.collect()
    gc.disable()
    try:
        job = Job("tool", "call-1", answers)
        gone = weakref.ref(job)
        assert await loop.carry_out(job) == "yes"
        del job
        for _ in range(100):
            if gone() is None:
                break
            await asyncio.sleep(0.02)
        assert gone() is None
    finally:
        gc.enable()
