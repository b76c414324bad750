"""The scripted model as a process of its own, as benchmarks use it."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from gateway.testing.model import RawClient, compare_frames, encode_frame

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_it_prints_where_it_listens_and_at_the_end_what_it_saw(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps([[{"say": "One moment.", "seconds": 0.5}, {"call": "look"}], {"fail": "server_error"}])
    )
    options = ["--script", str(script), "--speed", "1000", "--first-audio", "0", "--seconds", "1"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.testing.model", *options, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = json.loads(await process.stdout.readline())["url"]
    async with RawClient(url) as client:
        await client.configure(turn_detection=None)
        await client.hear(b"".join(map(encode_frame, (0, 1, 2, 4))))
        statuses = []
        for _ in range(3):
            await client.send("response.create")
            statuses.append((await client.expect("response.done"))["response"]["status"])
        assert statuses == ["completed", "failed", "completed"]
        assert compare_frames(client.audio(), range(75)).perfect
    process.send_signal(signal.SIGTERM)
    summary = json.loads(await process.stdout.readline())
    assert await process.wait() == 0
    heard = {"frames": 4, "lost": 1, "repeated": 0, "reordered": 0, "other_bytes": 0}
    assert summary["sessions"][0] == {
        "number": 0,
        "appended_bytes": 640,
        "frames_spoken": 75,
        "answers": 3,
        "close_code": 1000,
        "heard": heard,
    }
