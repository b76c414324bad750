"""``gateway serve``: the gateway itself."""

from __future__ import annotations

import typer

from gateway.cli.records import Records, with_records


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(serve)


def serve() -> None:
    """Answer calls. Settings come from the environment; docs/settings.md names them."""
    from gateway.doorway import Doorway  # noqa: PLC0415
    from gateway.settings import environment, read_settings  # noqa: PLC0415 (each command imports what it needs, when it runs)
    from gateway.telemetry import logs  # noqa: PLC0415

    settings = read_settings()
    logs.configure(settings.log_level, settings.log_format)
    doorway = Doorway(settings.host, settings.port)
    with_records(_nothing)
    from gateway.app import Gateway, create_app  # noqa: PLC0415 (the Agents SDK takes seconds to import)
    from gateway.server import GatewayServer  # noqa: PLC0415

    gateway = Gateway(settings, environment())
    server = GatewayServer(create_app(gateway), gateway.sockets, gateway.exchange, settings, gateway.watcher.ask)
    server.once_started(doorway.close)
    server.run([doorway.socket])


async def _nothing(_records: Records) -> None:
    """Have the database opened and brought up to this version, so that a fault of it is one clear line."""
