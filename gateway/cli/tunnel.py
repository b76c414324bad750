"""The user's own tunnel program, started for as long as a command runs, and the public address that it gives us."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import typer

from gateway.cli.dev import Kind

if TYPE_CHECKING:
    from anyio.abc import Process

UP_SECONDS = 30.0
STOP_SECONDS = 5.0

_CLOUDFLARED = re.compile(r"https://[a-z0-9-]+\.trycloudflare\.com")
_INSTALL = {
    "cloudflared": "https://developers.cloudflare.com/cloudflare-one/connections/connect-networks/downloads/",
    "ngrok": "https://ngrok.com/download",
}


def installed() -> Kind:
    """Return the program that is installed, or ``NONE``."""
    return next((kind for kind in (Kind.CLOUDFLARED, Kind.NGROK) if shutil.which(kind)), Kind.NONE)


def command(kind: Kind, port: int) -> list[str]:
    """Return the command that leads a public address to a port of this machine.

    Raises:
        typer.Exit: the program is not installed; where to get it was said.
    """
    program = shutil.which(kind)
    if program is None:
        typer.echo(
            f"{kind} is not installed (or not in PATH). Install it from {_INSTALL[kind]} and run again.", err=True
        )
        raise typer.Exit(1)
    if kind is Kind.CLOUDFLARED:
        return [program, "tunnel", "--no-autoupdate", "--url", f"http://127.0.0.1:{port}"]
    return [program, "http", str(port), "--log", "stdout", "--log-format", "json"]


def address_in(kind: Kind, line: str) -> str:
    """Return the public address that a line of the program's output says; an empty text where it says none."""
    if kind is Kind.CLOUDFLARED:
        found = _CLOUDFLARED.search(line)
        return found.group() if found else ""
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    if isinstance(said, dict) and said.get("msg") == "started tunnel":
        return str(said.get("url", ""))
    return ""


@asynccontextmanager
async def tunnel(kind: Kind, port: int) -> AsyncIterator[str]:
    """Run the program; gives the public address, which may not be reachable yet.

    Raises:
        typer.Exit: it ended, or said no address in time; its last words were passed on.
    """
    # A session of its own: Ctrl-C is for us, and the tunnel has to stay until the webhooks are restored.
    process = await anyio.open_process(
        command(kind, port),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said: list[str] = []
        address = ""
        lines = _lines(process)
        with anyio.move_on_after(UP_SECONDS):
            async for line in lines:
                said.append(line)
                if address := address_in(kind, line):
                    break
        if not address:
            words = "\n".join(f"  {line}" for line in said[-5:]) or "  (it said nothing)"
            typer.echo(f"{kind} gave no public address:\n{words}", err=True)
            raise typer.Exit(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_drain, lines, kind, process)
            yield address.rstrip("/")
            tasks.cancel_scope.cancel()
    finally:
        await _stop(process)


async def check(address: str, snapshot: str, patience: float) -> None:
    """Ask ourselves at the public address, as Twilio would, until it works: a request and an upgrade.

    Args:
        address: the public address.
        snapshot: the hash of our lines, by which we know ourselves.
        patience: seconds until it has to work.

    Raises:
        typer.Exit: it does not work.
    """
    import httpx2  # noqa: PLC0415 - heavy

    why = "no answer"
    async with httpx2.AsyncClient(timeout=5.0) as client:
        with anyio.move_on_after(patience):
            while True:
                try:
                    why = _judge(await client.get(f"{address}/readyz"), snapshot)
                except httpx2.HTTPError as error:
                    why = type(error).__name__
                if not why:
                    why = await _upgrade(address)
                if not why:
                    return
                await anyio.sleep(1.0)
    typer.echo(
        f"{address} does not lead to this gateway: {why}. No number was changed.\n"
        "Let it lead to this port, or take GATEWAY_PUBLIC_URL away and have cloudflared or ngrok installed. "
        "(Where it can't be reached from here alone, gateway serve and gateway numbers sync --apply don't ask.)",
        err=True,
    )
    raise typer.Exit(1)


def _judge(answer: Any, snapshot: str) -> str:
    try:
        known = answer.json().get("snapshot") == snapshot
    except (ValueError, AttributeError):
        known = False
    return "" if known else f"somebody else answers there (status {answer.status_code})"


async def _upgrade(address: str) -> str:
    """Try a WebSocket that is not signed: ours alone refuses it with 403."""
    from websockets.asyncio.client import connect  # noqa: PLC0415 - heavy
    from websockets.exceptions import InvalidHandshake, InvalidStatus  # noqa: PLC0415

    try:
        async with connect(address.replace("http", "ws", 1) + "/twilio/media", open_timeout=5.0, proxy=None):
            return "a WebSocket was opened without a signature"
    except InvalidStatus as error:
        status = error.response.status_code
        return "" if status == 403 else f"WebSockets are answered with {status}"  # noqa: PLR2004 - Forbidden
    except (InvalidHandshake, OSError, TimeoutError) as error:
        return f"WebSockets do not come through ({type(error).__name__})"


async def _lines(process: Process) -> AsyncIterator[str]:
    rest = b""
    if process.stdout is not None:
        async for block in process.stdout:
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace").strip()


async def _drain(lines: AsyncIterator[str], kind: Kind, process: Process) -> None:
    """Read what the program says, so that it never waits for a reader; its end is told."""
    async for _ in lines:
        pass
    await process.wait()
    typer.echo(f"{kind} has ended (status {process.returncode}): calls don't reach this gateway any more.", err=True)


async def _stop(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(STOP_SECONDS):
            await process.wait()
        if process.returncode is None:
            process.kill()
        await process.aclose()
