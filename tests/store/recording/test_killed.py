"""A process with calls is killed: every recording can be played, and lacks less than a second."""

import mmap
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.audio.wav import HEADER_BYTES, read_channels

CALLS = 25

CHILD = """
import mmap, random, struct, sys, time
from base64 import b64encode
from pathlib import Path
from gateway.call.commands import Play
from gateway.call.events import AgentAudio, CallerAudio, StreamStarted
from gateway.call.playout import Placed
from gateway.call.policy import Policy
from gateway.store.log import LogWriter
from gateway.store.log_lines import Header
from gateway.store.recording.shelf import Recordings

folder, calls = Path(sys.argv[1]), int(sys.argv[2])
recordings, logs = Recordings(folder / "recordings"), LogWriter(folder / "calls")
recordings.start()
logs.start()
sound = b64encode(bytes([7]) * 160).decode()
with (folder / "progress").open("r+b") as file:
    progress = mmap.mmap(file.fileno(), 0)
zero = time.monotonic()
header = lambda name: Header(name, "CA", "line", "hash", "1", 0.0, 0.0, Policy("line"), {})
open_calls = [logs.open(header(f"call{n}"), [recordings.record(f"call{n}")]) for n in range(calls)]
for call in open_calls:
    call.append(0.0, StreamStarted("MZ", 1), [], (Placed(1, 0, 0.0),))
print("begun", flush=True)
tick = 0
while True:
    for number, call in enumerate(open_calls):
        now = time.monotonic() - zero
        call.append(now, CallerAudio(sound, 160, tick * 20), [])
        call.append(now, AgentAudio(1, "r", "i", 0, sound, 160), [Play(sound, 160)])
        struct.pack_into("<I", progress, number * 4, tick * 20 + 20)
    tick += 1
    time.sleep(max(0.0, zero + tick * 0.02 - time.monotonic()))
"""


@pytest.mark.slow
@pytest.mark.alone
def test_a_hundred_recordings_survive_kill_9(tmp_path: Path) -> None:
    """A call of less than a second may have no recording yet: then all of it counts as lost."""
    lost: list[int] = []
    moments = random.Random(22)
    for run in range(4):
        folder = tmp_path / str(run)
        folder.mkdir()
        (folder / "progress").write_bytes(bytes(4 * CALLS))
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), str(CALLS)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            time.sleep(moments.uniform(0.5, 3.0))
            child.kill()
        with (folder / "progress").open("r+b") as file, mmap.mmap(file.fileno(), 0) as progress:
            told = struct.unpack(f"<{CALLS}I", progress[:])
        for number, milliseconds in enumerate(told):
            path = folder / "recordings" / f"call{number}.wav"
            if not path.exists():
                lost += [milliseconds, milliseconds]
                continue
            data = path.read_bytes()
            size = struct.unpack_from("<I", data, HEADER_BYTES - 4)[0]
            assert struct.unpack_from("<I", data, 4)[0] == HEADER_BYTES - 8 + size
            assert len(data) >= HEADER_BYTES + size
            caller, agent = read_channels(data)
            assert set(caller) <= {7}
            lost += [milliseconds - len(caller) // 8, milliseconds - len(agent.rstrip(b"\xff")) // 8]
    print(f"killed recordings: n={len(lost) // 2} lost max={max(lost)} ms")  # noqa: T201
    assert len(lost) == 8 * CALLS
    assert max(lost) <= 1000
