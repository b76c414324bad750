"""An S3 server on this machine: moto's, which speaks its real protocol."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

STARTS_WITHIN = 60.0


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Run a server with a bucket called calls, whose log is in a folder; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "moto.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=out, stderr=out
        )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + STARTS_WITHIN
    try:
        while not _has_bucket(address):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _has_bucket(address: str) -> bool:
    try:
        return httpx2.put(f"{address}/calls").is_success
    except httpx2.TransportError:
        return False


def bucket(address: str) -> str:
    """Return what GATEWAY_RECORDINGS_URL says for that bucket."""
    return f"s3://calls/node1?endpoint={address}&region=us-east-1&access_key_id=k&secret_access_key=s"
