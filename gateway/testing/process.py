"""The real ``gateway serve`` as a process of its own, wired to the doubles: for tests from the outside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from gateway.testing.twilio import FakeTwilio

PUBLIC_URL = "https://gw.example"
VOICE_URL = PUBLIC_URL + "/twilio/voice"
STARTS_WITHIN = 60.0


class GatewayProcess:
    """A gateway that serves a folder of lines, for ``async with``.

    Its carrier is ``twilio`` (whose public addresses then lead here), its model ``model_url``. ``environment`` adds to
    what it is told, or replaces it; nothing of this process's own environment is passed on but PATH.

    Attributes:
        base_url: where it really listens; the carrier knows it as ``https://gw.example``.
        data: its data folder.
    """

    def __init__(
        self,
        config_dir: str | os.PathLike[str],
        *,
        twilio: FakeTwilio,
        model_url: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = ""
        self.data = Path()
        self._config_dir = Path(config_dir).resolve()
        self._twilio = twilio
        self._model_url = model_url
        self._environment = dict(environment or {})
        self._variables: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._log_file = Path()
        self._stack = ExitStack()

    async def __aenter__(self) -> Self:
        """Start it, and wait until it is ready; an AssertionError holds what it said when it ends instead."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        self.data, self._log_file = folder / "data", folder / "log"
        port = _free_port()
        self.base_url = f"http://127.0.0.1:{port}"
        self._variables = self._told(port, folder)
        with self._log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway",
                "serve",
                cwd=folder,
                env=self._variables,
                stdout=log,
                stderr=log,
            )
        try:
            await self._until_ready()
        except BaseException:
            await self._end()
            raise
        self._twilio.connect_to = self.base_url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, if it still runs."""
        await self._end()

    def _told(self, port: int, folder: Path) -> dict[str, str]:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "GATEWAY_PUBLIC_URL": PUBLIC_URL,
            "GATEWAY_SECRET_KEY": "0123456789abcdef" * 4,
            "GATEWAY_CONFIG_DIR": str(self._config_dir),
            "GATEWAY_DATA_DIR": str(self.data),
            "TWILIO_ACCOUNT_SID": self._twilio.account.sid,
            "TWILIO_AUTH_TOKEN": self._twilio.account.auth_token,
            "TWILIO_API_BASE_URL": self._twilio.api_base_url,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_REALTIME_URL": self._model_url,
            "LOG_FORMAT": "json",
        }
        return variables | self._environment

    async def _until_ready(self) -> None:
        async with asyncio.timeout(STARTS_WITHIN):
            while True:
                if self.process.returncode is not None:
                    raise AssertionError(f"gateway serve ended with {self.process.returncode}:\n{self.output}")
                try:
                    if (await self.get("/readyz")).status_code == httpx2.codes.OK:
                        return
                except httpx2.TransportError:
                    pass  # it does not listen yet
                await asyncio.sleep(0.1)

    async def _end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        self._stack.close()

    # ---- What a test asks and does -----------------------------------------------------------------------------------

    @property
    def process(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("a GatewayProcess runs within 'async with' only")
        return self._process

    @property
    def output(self) -> str:
        """Everything it has printed."""
        return self._log_file.read_text(errors="replace")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one event, as they are so far."""
        entries = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [entry for entry in entries if entry.get("event") == event]

    async def wait_until_logged(self, event: str, count: int = 1, timeout: float = 10) -> dict[str, Any]:
        """Wait for the ``count``-th log line of an event, and give it."""
        async with asyncio.timeout(timeout):
            while len(self.logged(event)) < count:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
        return self.logged(event)[count - 1]

    async def get(self, path: str) -> httpx2.Response:
        """Ask one of its endpoints, where it really listens."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.get(self.base_url + path)

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run another ``gateway`` command with what this process is told; give its exit status and what it printed."""
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", *arguments),
            cwd=self._log_file.parent,
            env=self._variables | {"COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await command.communicate()
        return await command.wait(), printed.decode()

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def stopped(self, timeout: float = 15) -> int:
        """Wait until it has ended; give its exit status."""
        async with asyncio.timeout(timeout):
            return await self.process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
