"""``gateway dev``: everything for trying lines out, on the machine of who writes them."""

from __future__ import annotations

import enum
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import UNREACHABLE

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.carriers.twilio.numbers import Numbers
    from gateway.carriers.twilio.pointing import Pointed
    from gateway.config.directory import Directory

RESTORE_SECONDS = 20.0
TUNNEL_SECONDS = 45.0
"""The names that tunnels make up take a while until they can be looked up everywhere."""
NAMED_SECONDS = 5.0


class Kind(enum.StrEnum):
    """The programs that can be used, and whether to use one."""

    AUTO = "auto"
    CLOUDFLARED = "cloudflared"
    NGROK = "ngrok"
    NONE = "none"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(dev)


def dev(
    *,
    tunnel: Annotated[
        Kind, typer.Option(help="The installed program that leads Twilio's calls here; auto needs Twilio's keys.")
    ] = Kind.AUTO,
    number: Annotated[
        list[str] | None, typer.Option(help="A number of the account to point here, beside those that lines name.")
    ] = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the softphone in a browser.")] = True,
) -> None:
    """Serve this folder of lines and open the softphone; a change to a line or its Python is in effect at once.

    Without any key the model of this machine answers, with OPENAI_API_KEY that of OpenAI. With Twilio's keys a tunnel
    is started and the numbers are pointed here until Ctrl-C, which puts everything back.
    """
    from gateway.cli import node  # noqa: PLC0415 - heavy
    from gateway.telemetry import logs  # noqa: PLC0415

    logs.configure("info", "console")
    node.run(partial(_dev, tunnel, tuple(number or ()), browser=browser))


async def _dev(kind: Kind, numbers: tuple[str, ...], *, browser: bool) -> None:
    """Put one thing upon the other, and take them down in the opposite order whatever happens."""
    from gateway.cli import node  # noqa: PLC0415 - heavy
    from gateway.cli.tunnel import tunnel  # noqa: PLC0415
    from gateway.config.loader import load  # noqa: PLC0415
    from gateway.settings import environment  # noqa: PLC0415

    first = node.settings_with(node.WITHOUT_CARRIER)
    load(first.config_dir, environment(), first.env)  # faults are told before anything is started
    named = first.public_url
    plain = node.settings_with({"GATEWAY_PUBLIC_URL": named or f"http://{node.LOOPBACK}"})  # the tunnel comes later
    listener = node.listen(plain.host, plain.port)
    port = listener.getsockname()[1]
    kind = _choose(kind, twilio=plain.answers_twilio, named=named)
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        variables = await stack.enter_async_context(node.model_for(plain))
        if kind is not Kind.NONE:
            typer.echo(f"Starting {kind} ...", err=True)
            named = await stack.enter_async_context(tunnel(kind, port))
        if not named:
            variables |= node.WITHOUT_CARRIER
        settings = node.settings_with(variables | {"GATEWAY_PUBLIC_URL": named or f"http://{node.LOOPBACK}:{port}"})
        gateway, over = await stack.enter_async_context(node.serving(settings, listener))
        _welcome(f"http://localhost:{port}/console/softphone", browser=browser)
        if named and settings.answers_twilio:
            await _point_here(stack, gateway, numbers, TUNNEL_SECONDS if kind is not Kind.NONE else NAMED_SECONDS)
        await over.wait()


def _choose(kind: Kind, *, twilio: bool, named: str) -> Kind:
    """Say which tunnel to start: none without Twilio's keys, or where there is a public address already."""
    from gateway.cli.tunnel import installed  # noqa: PLC0415

    if kind is not Kind.AUTO:
        return kind
    if not twilio or named:
        return Kind.NONE
    found = installed()
    if found is Kind.NONE:
        typer.echo(
            "Twilio's keys are set, but neither cloudflared nor ngrok is installed: serving the softphone alone. "
            "Install one of them, or set GATEWAY_PUBLIC_URL to an address that leads here.",
            err=True,
        )
    return found


def _welcome(url: str, *, browser: bool) -> None:
    import webbrowser  # noqa: PLC0415 - looks for browsers

    typer.echo(f"\nSoftphone: {url}\nEdit agents_config/: what is saved is in effect. Ctrl-C ends.\n")
    if browser and not webbrowser.open(url):
        typer.echo("No browser could be opened; the address above works in any on this machine.", err=True)


async def _point_here(stack: AsyncExitStack, gateway: Gateway, numbers: tuple[str, ...], patience: float) -> None:
    """Check the public address, and point the numbers here until ``stack`` is left.

    Raises:
        typer.Exit: the address does not lead here, or Twilio refused.
    """
    import httpx2  # noqa: PLC0415 - heavy

    from gateway.carriers.twilio.numbers import Numbers, accounts_of  # noqa: PLC0415
    from gateway.cli.tunnel import check  # noqa: PLC0415
    from gateway.config.numbers import Account  # noqa: PLC0415
    from gateway.errors import CarrierError  # noqa: PLC0415

    settings, directory = gateway.settings, gateway.watcher.current
    await check(settings.public_url, directory.hash, patience)
    typer.echo(f"{settings.public_url} leads here.")
    own = Account("", settings.twilio_account_sid, settings.twilio_auth_tokens)
    client = await stack.enter_async_context(httpx2.AsyncClient())  # the gateway's own is closed before numbers go back
    accounts = accounts_of(own, directory, settings.twilio_api_base_url, client)
    here = Numbers(accounts, directory, settings.public_url, settings.data_dir / "dev-numbers.json")
    try:
        await here.restore()  # what an earlier run was killed before it could
        rows = [row for _, row in await here.compare() if row.number]
        chosen = _chosen(rows, directory, numbers)
        stack.push_async_callback(_put_back, here)
        await here.sync(apply=True, only=chosen)
    except CarrierError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNREACHABLE) from None
    for row in rows:
        if row.phone_number in chosen:
            unchanged = row.remedy if row.state not in {"ours", "differs"} else ""
            typer.echo(f"{row.phone_number}: {unchanged or f'calls to it come here, to line {row.line}'}")
    if not chosen:
        names = ", ".join(row.phone_number for row in rows) or "it has none"
        typer.echo(f"No line names a number of this account ({names}); --number says which to point here.", err=True)


def _chosen(rows: list[Pointed], directory: Directory, numbers: tuple[str, ...]) -> set[str]:
    """Choose the numbers to point here: those that lines name, not all that a default line would answer."""
    named = {claim.pattern.text for claim in directory.claims if not claim.pattern.is_block} | set(numbers)
    chosen = {row.phone_number for row in rows if row.phone_number in named}
    alone = len(rows) == 1 and directory.default is not None
    return chosen or ({rows[0].phone_number} if alone else set())


async def _put_back(numbers: Numbers) -> None:
    """Restore what the numbers did before; what can't be restored now is restored by the next start."""
    import anyio  # noqa: PLC0415 - heavy

    from gateway.errors import CarrierError  # noqa: PLC0415

    try:
        with anyio.CancelScope(shield=True), anyio.fail_after(RESTORE_SECONDS):
            changes = await numbers.restore()
    except (CarrierError, TimeoutError) as error:
        typer.echo(f"The numbers were not put back ({error}): gateway dev does it at its next start.", err=True)
        return
    for number in dict.fromkeys(change[0] for change in changes):
        typer.echo(f"{number} is as it was.")
