"""``gateway talk``: a call to a line from this terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from gateway.cli.devices import Device, Speaker
    from gateway.cli.handset import Handset

    Opens: TypeAlias = Callable[[Speaker], AbstractAsyncContextManager[Device]]

KEYS = "0123456789*#"
HINT = "Talk (headphones keep the agent from hearing itself). Digits and Enter press keys, Ctrl-C hangs up."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(talk)


def talk(
    line: Annotated[str, typer.Argument(help="The line to call.")],
    *,
    url: Annotated[str, typer.Option(help="A gateway that runs on this machine; without it one is started.")] = "",
    microphone: Annotated[Path | None, typer.Option(help="A WAV file (8 kHz, mono) to say; then hang up.")] = None,
    speaker: Annotated[Path | None, typer.Option(help="A WAV file to write what is heard to.")] = None,
) -> None:
    """Call a line with this machine's microphone and speakers; what is said and done is shown."""
    from gateway.cli import node  # noqa: PLC0415 - heavy
    from gateway.errors import GatewayError  # noqa: PLC0415
    from gateway.telemetry import logs  # noqa: PLC0415

    logs.configure("error", "console")
    try:
        node.run(partial(_talk, line, url.rstrip("/"), microphone, speaker))
    except GatewayError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _talk(line: str, url: str, microphone: Path | None, heard: Path | None) -> None:
    from gateway.cli import devices, node  # noqa: PLC0415 - heavy
    from gateway.cli.handset import Handset  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        screen = Screen()
        opened: Opens = partial(devices.file_device, microphone=microphone, heard=heard)
        if microphone is None and heard is None:
            opened = devices.sound_device
            async with opened(devices.Speaker(_ignore)):
                pass  # a machine without sound is told so before anything slow is started
        if not url:
            plain = node.settings_with(node.WITHOUT_CARRIER)
            variables = await stack.enter_async_context(node.model_for(plain))
            listener = node.listen(node.LOOPBACK, 0)
            stack.callback(listener.close)
            url = f"http://{node.LOOPBACK}:{listener.getsockname()[1]}"
            settings = node.settings_with(variables | node.WITHOUT_CARRIER | {"GATEWAY_PUBLIC_URL": url})
            await stack.enter_async_context(node.serving(settings, listener, drains=False))
        handset = Handset(url, screen.told)
        stack.push_async_callback(handset.aclose)
        device = await stack.enter_async_context(opened(handset.speaker))
        typer.echo(HINT, err=True)
        with _keys(handset):
            await handset.call(line, device)


@contextmanager
def _keys(handset: Handset) -> Iterator[None]:
    """Press the telephone's keys that are typed, each line when Enter ends it; without a terminal nobody types."""
    if not sys.stdin.isatty():
        yield
        return

    def typed() -> None:
        for character in sys.stdin.readline():
            if character in KEYS:
                handset.press(character)

    import asyncio  # noqa: PLC0415 - the command line starts without it

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), typed)
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin.fileno())


def _ignore(_mark: str) -> None:
    """Nobody waits for marks of a device that was only tried."""


class Screen:
    """Prints a call: each turn once it is complete, and what the agents do when they do it."""

    def __init__(self) -> None:
        self._printed: set[str] = set()
        self._tools: dict[str, str] = {}

    def told(self, kind: str, data: dict[str, Any]) -> None:
        """Take a news of the call."""
        match kind:
            case "turn":
                self._turn(data)
            case "tool":
                self._tool(data)
            case "handoff" if data["before"]:
                typer.echo(f"  {data['before']} -> {data['after']}")
            case "cut" if data["by"] in {"caller", "time"}:
                typer.echo("  (you cut in)")
            case "guardrail":
                typer.echo(f"  guardrail: {', '.join(data['guardrails'])}")
            case "model-lost" | "model-error":
                typer.echo(f"  the model: {data.get('reason') or data.get('code')}")
            case "plan":
                typer.echo(f"  next: {_plan(data['verbs'])}")
            case "ended":
                typer.echo(f"The call is over: {data['reason']} ({data['result']}).")

    def _turn(self, turn: dict[str, Any]) -> None:
        done = turn["ended"] is not None or turn["lost"]
        if turn["turn"] in self._printed or not done or not (turn["heard"] or turn["unheard"]):
            return
        self._printed.add(turn["turn"])
        who = "you" if turn["speaker"] == "caller" else turn["agent"] or "agent"
        never = f" [never heard: {turn['unheard']}]" if turn["unheard"] else ""
        waited = f" ({turn['waited']:.2f} s)" if turn["waited"] is not None else ""
        typer.echo(f"{who}{waited}: {turn['heard']}{never}")

    def _tool(self, tool: dict[str, Any]) -> None:
        name = self._tools.setdefault(tool["id"], tool.get("tool", ""))
        match tool["state"]:
            case "waiting":
                typer.echo(f"  {name} {tool['arguments']} waits for your yes: press 1, or 2 for no")
            case "running":
                typer.echo(f"  {name} {tool['arguments']}")
            case "done":
                typer.echo(f"  {name}: {tool['output']}")
            case state:
                typer.echo(f"  {name}: {state}")


def _plan(verbs: Sequence[dict[str, Any]]) -> str:
    return ", then ".join(f"{verb['verb']} {verb.get('text') or verb.get('to') or ''}".strip() for verb in verbs)
