"""``gateway serve``: the gateway itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gateway.cli.records import Records, with_records

if TYPE_CHECKING:
    from gateway.app import Gateway


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(serve)


def serve() -> None:
    """Answer calls. Settings come from the environment; docs/settings.md names them."""
    from gateway.doorway import Doorway  # noqa: PLC0415
    from gateway.settings import environment, read_settings  # noqa: PLC0415 (each command imports what it needs, when it runs)
    from gateway.telemetry import logs  # noqa: PLC0415

    settings = read_settings()
    tally = logs.configure(settings.log_level, settings.log_format)
    doorway = Doorway(settings.host, settings.port)
    with_records(_nothing)
    from gateway.app import Gateway, create_app  # noqa: PLC0415 (the Agents SDK takes seconds to import)
    from gateway.server import GatewayServer  # noqa: PLC0415

    gateway = Gateway(settings, environment(), tally.counts)
    server = GatewayServer(create_app(gateway), gateway.sockets, gateway.exchange, settings, gateway.watcher.ask)

    def started() -> None:
        doorway.close()
        _tell(gateway, doorway.socket.getsockname()[1])

    server.once_started(started)
    server.run([doorway.socket])


def _tell(gateway: Gateway, port: int) -> None:
    """Say in the log what is answered from now on, and what is not, with the remedy."""
    import structlog  # noqa: PLC0415 (each command imports what it needs, when it runs)

    from gateway.checkup import here  # noqa: PLC0415

    log, settings, directory = structlog.get_logger(), gateway.settings, gateway.watcher.current
    taken = f"Twilio, at {settings.public_url}" if settings.answers_twilio or directory.accounts else ""
    taken = taken or f"the softphone alone, at http://localhost:{port}/console/softphone"
    log.info("serving", port=port, calls_from=taken, lines=sorted(directory.lines), snapshot=directory.hash)
    for finding in here.keys(settings, directory):
        if finding.state != "ok":
            tell = log.info if finding.state == "left-out" else log.warning
            tell("setting", name=finding.subject, found=finding.found, remedy=finding.remedy)


async def _nothing(_records: Records) -> None:
    """Have the database opened and brought up to this version, so that a fault of it is one clear line."""
