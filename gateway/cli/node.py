"""A gateway inside a command, on this machine: its port, its model, and the server until the command is over."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import anyio

    from gateway.app import Gateway
    from gateway.settings import Settings

LOOPBACK = "127.0.0.1"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
DRAIN = "5s"
"""What live calls get to end once a person has pressed Ctrl-C."""
WITHOUT_CARRIER = {"TWILIO_ACCOUNT_SID": "", "TWILIO_AUTH_TOKEN": ""}


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else is started; 0 takes a free one.

    Raises:
        typer.Exit: it can't be had; the remedy was said.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        typer.echo(f"Can't listen on {host} port {port}: {error.strerror}. Choose another: PORT={port + 1}", err=True)
        raise typer.Exit(1) from None
    return listener


def settings_with(variables: Mapping[str, str]) -> Settings:
    """Read the settings as they are with other variables of the environment; what a carrier would need is made up.

    Raises:
        SettingsError: something else is wrong.
    """
    from gateway.settings import environment, read_settings  # noqa: PLC0415 - heavy

    own = dict(environment())
    made = {"HOST": LOOPBACK, "GATEWAY_DRAIN_TIMEOUT": DRAIN, "GATEWAY_SECRET_KEY": secrets.token_hex(32)}
    known = {name for name in own if own[name]} | {name.removesuffix("_FILE") for name in own if name in os.environ}
    return read_settings(own | {name: value for name, value in made.items() if name not in known} | dict(variables))


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a command's work on an event loop; SIGINT and SIGTERM cancel it, and what it has begun is undone.

    uvicorn has its own way with these signals while it serves, and raises them once more afterwards: that comes here.

    Raises:
        Exception: what the work raised, without the groups that task groups put around it.
    """
    import anyio  # noqa: PLC0415 - heavy

    async def until_asked() -> None:
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:
            for number in SIGNALS:
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(scope.cancel))
            await work()

    try:
        anyio.run(until_asked)
    except BaseExceptionGroup as group:
        raise _only(group) from None


def _only(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def model_for(settings: Settings) -> AsyncIterator[dict[str, str]]:
    """Start the model of this machine where no other is named; gives the variables that lead to it.

    Raises:
        typer.Exit: it can't be started; the remedy was said.
    """
    import anyio  # noqa: PLC0415 - heavy

    from gateway.errors import ModelError  # noqa: PLC0415
    from gateway.local import LocalModel  # noqa: PLC0415

    if settings.openai_realtime_url or settings.openai_api_key:
        yield {}
        return
    typer.echo("No OPENAI_API_KEY: starting the model of this machine ...", err=True)
    model = LocalModel(llm_url=settings.local_llm_url)
    try:
        url = await model.start()
    except ModelError as error:
        typer.echo(f"{error}\nOr set OPENAI_API_KEY to talk to OpenAI's model.", err=True)
        raise typer.Exit(1) from None
    try:
        yield {"OPENAI_REALTIME_URL": url, "OPENAI_API_KEY": "local"}
    finally:
        with anyio.CancelScope(shield=True):
            await model.stop()


@asynccontextmanager
async def serving(
    settings: Settings, listener: socket.socket, *, drains: bool = True
) -> AsyncIterator[tuple[Gateway, anyio.Event]]:
    """Serve a gateway on a socket that is bound; it is up when this is entered, and down when it is left.

    The event says that it has gone down by itself: a signal had it drained, unless signals are the command's own
    business (``drains`` false).

    Raises:
        ConfigError: the folder of lines has faults.
        typer.Exit: it did not start; why is in the log.
    """
    import anyio  # noqa: PLC0415 - heavy

    from gateway.app import Gateway, create_app  # noqa: PLC0415 (the Agents SDK takes seconds to import)
    from gateway.errors import ConfigError  # noqa: PLC0415
    from gateway.server import GatewayServer  # noqa: PLC0415
    from gateway.settings import environment  # noqa: PLC0415

    gateway = Gateway(settings, environment())
    if faults := await anyio.to_thread.run_sync(gateway.agents.check, gateway.watcher.current):
        raise ConfigError(list(faults))
    server = GatewayServer(create_app(gateway), gateway.sockets, gateway.exchange, settings)
    over = anyio.Event()

    async def serve() -> None:
        with anyio.CancelScope(shield=True):  # it goes down in its own way
            await server.serve([listener])
        over.set()

    ours = [(number, signal.getsignal(number)) for number in SIGNALS]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            while not server.started:
                await anyio.sleep(0.05)
                if over.is_set():
                    typer.echo("The gateway did not start; its log says why.", err=True)
                    raise typer.Exit(1)
            for number, handler in () if drains else ours:
                signal.signal(number, handler)
            yield gateway, over
        finally:
            server.should_exit = True
