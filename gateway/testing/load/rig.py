"""Starting the programs of a benchmark, each on its core, and reading what they cost from /proc."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.testing.load.carrier import ACCOUNT, PUBLIC_URL, TOKEN
from gateway.testing.load.model import TOOL

READY_WITHIN: Final = 60.0
PRIORITY: Final = 10
_NS: Final = 1e-9
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

LINE: Final = f"""\
# The line of a benchmark: an agent with a tool, transcripts on both sides, a guardrail, and a recording.
default: true
instructions: You answer questions about orders.
tools: ["bench_tools:{TOOL}"]
guardrails: [no_card_numbers]
limits: {{silence: 1h, max_duration: 3h}}
recording: {{mode: dual, consent: not-needed, reason: A benchmark has no callers.}}
model:
  transcription: {{model: gpt-4o-mini-transcribe}}
  turn_detection: {{type: server_vad}}
"""
LEAVES_OUT: Final = {
    "recording": ("recording: {mode: dual, consent: not-needed, reason: A benchmark has no callers.}\n", ""),
    "transcription": ("transcription: {model: gpt-4o-mini-transcribe}", "transcription: off"),
    "metrics": ("", ""),
    "records": ("", ""),
}
"""What a gateway may be run without: what the line then says in which place. The others are settings of the gateway."""
TOOLS: Final = f'''\
"""The tool of a benchmark."""


async def {TOOL}(number: str) -> str:
    """Look up an order.

    Args:
        number: The order's number.
    """
    return f"Order {{number}} left on Monday."
'''


@dataclass(frozen=True, slots=True)
class Placing:
    """Where programs run: the gateway's core and the load's; None leaves it to the system."""

    gateway_core: int | None
    load_core: int | None
    real_time: bool

    @classmethod
    def best(cls) -> Placing:
        """Two cores, one each, and real-time scheduling where this machine has and allows them."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        two = len(cores) > 1
        return cls(cores[0] if two else None, cores[1] if two else None, two and _may_be_real_time())

    def put(self, pid: int, core: int | None) -> None:
        """Bind a process with all its threads to a core."""
        for thread in _threads(pid):
            with contextlib.suppress(ProcessLookupError):  # a thread may end in the meantime
                if core is not None:
                    os.sched_setaffinity(thread, {core})
                if self.real_time:
                    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(PRIORITY))


def _may_be_real_time() -> bool:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        os.sched_setscheduler(child.pid, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError:
        return False
    finally:
        child.kill()
        child.wait()
    return True


def _threads(pid: int) -> list[int]:
    folder = Path(f"/proc/{pid}/task")
    return [int(each.name) for each in folder.iterdir()] if folder.exists() else []


def cpu_seconds(pid: int) -> float:
    """CPU time of a live process so far, of all its threads, to the microsecond."""
    total = 0
    for thread in _threads(pid):
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    return total * _NS


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def open_files(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class LoadProcess:
    """The load, told what to do."""

    def __init__(self, process: asyncio.subprocess.Process, model_port: int) -> None:
        self.pid = process.pid
        self.model_port = model_port
        self._process = process

    async def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order and wait for its answer.

        Raises:
            RuntimeError: it could not be carried out.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 - it was started with pipes
        stdin.write(json.dumps(order).encode() + b"\n")
        return _read(await stdout.readline())


def _read(line: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(line) if line else {"failed": "the load has ended"}
    if "failed" in answer:
        raise RuntimeError(f"the load: {answer['failed']}")
    return answer


@contextlib.asynccontextmanager
async def load_process(
    traffic: Mapping[str, Any], placing: Placing, certificate: Path | None
) -> AsyncIterator[LoadProcess]:
    """Start the load; it ends with the block."""
    arguments = [json.dumps(traffic), *([str(certificate)] if certificate else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.testing.load.process",
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        limit=1 << 24,
    )
    placing.put(process.pid, placing.load_core)
    try:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        yield LoadProcess(process, _read(await process.stdout.readline())["model_port"])
    finally:
        await _end(process)


@contextlib.asynccontextmanager
async def program_under_test(
    name: str,
    folder: Path,
    model_url: str,
    placing: Placing,
    certificate: Path | None,
    without: Collection[str] = (),
) -> AsyncIterator[tuple[int, int]]:
    """Start a gateway or the relay in ``folder``; gives its process id and its port once it is ready.

    Args:
        name: ``relay``; everything else is a gateway.
        folder: its working folder, with a gateway's line.
        model_url: the model.
        placing: on which core.
        certificate: the model's, if it speaks TLS.
        without: what the gateway leaves out (:data:`LEAVES_OUT`).

    Raises:
        RuntimeError: it does not get ready.
    """
    port = _free_port()
    module = ["gateway.testing.load.relay"] if name == "relay" else ["gateway", "serve"]
    environment = {**os.environ, **_environment(folder, port, model_url)}
    environment["GATEWAY_WITHOUT"] = ",".join(each for each in ("metrics", "records") if each in without)
    if certificate is not None:
        environment["SSL_CERT_FILE"] = str(certificate)
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *module, cwd=folder, env=environment, stdout=output, stderr=output
        )
    placing.put(process.pid, placing.gateway_core)
    try:
        await _ready(process, port, log)
        placing.put(process.pid, placing.gateway_core)
        yield process.pid, port
    finally:
        await _end(process)


def _environment(folder: Path, port: int, model_url: str) -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")))),
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "GATEWAY_PUBLIC_URL": PUBLIC_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "GATEWAY_SECRET_KEY": "bench-secret-key-bench-secret-key",
        "OPENAI_API_KEY": "bench",
        "OPENAI_REALTIME_URL": model_url,
        "GATEWAY_CONFIG_DIR": str(folder / "agents_config"),
        "GATEWAY_DATA_DIR": str(folder / "data"),
        "GATEWAY_MAX_CALLS": "5000",
        "GATEWAY_DRAIN_TIMEOUT": "1",
        "LOG_LEVEL": "warning",
    }


def write_line(folder: Path, without: Collection[str] = ()) -> None:
    """Write the configuration that the gateway of a benchmark answers with."""
    line = LINE
    for each in without:
        line = line.replace(*LEAVES_OUT[each])
    tools = folder / "agents_config" / "tools"
    tools.mkdir(parents=True)
    (tools / "bench_tools.py").write_text(TOOLS)
    (folder / "agents_config" / "bench.yaml").write_text(line)


def make_certificate(folder: Path) -> Path:
    """Make a certificate for loopback with its key, both in one file, by the program openssl.

    Raises:
        RuntimeError: openssl is not there, or refuses.
    """
    path, key = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    extension = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(path)]
    try:
        made = subprocess.run([*command.split(), *extension], capture_output=True, check=False)  # noqa: S603 - fixed
    except FileNotFoundError as error:
        raise RuntimeError("TLS on the model's leg needs the program openssl") from error
    if made.returncode:
        raise RuntimeError(f"openssl: {made.stderr.decode().strip()}")
    path.write_text(path.read_text() + key.read_text())
    return path


async def _ready(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    for _ in range(int(READY_WITHIN / 0.05)):
        if process.returncode is not None:
            raise RuntimeError(f"{log.name} says: {log.read_text()[-2000:]}")  # noqa: ASYNC240 - nothing else runs
        if await _is_ready(port):
            return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"not ready within {READY_WITHIN:.0f} s; see {log}")


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n\r\n")
        return (await reader.readline()).startswith(b"HTTP/1.1 200")
    finally:
        writer.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        process.kill()
        await process.wait()
