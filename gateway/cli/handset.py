"""A call from a terminal: the softphone's messages, spoken by this process to a gateway on this machine."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from gateway.cli.devices import Device, Speaker
from gateway.errors import GatewayError

LAST_WORDS = 5.0
"""Seconds for what is told of a call after its stream has ended."""


class Handset:
    """One call to a line.

    Args:
        base_url: the gateway, on this machine.
        told: gets each news of the call: its kind and what it says.
    """

    def __init__(self, base_url: str, told: Callable[[str, dict[str, Any]], None]) -> None:
        self.speaker = Speaker(self._reached)
        self._base_url = base_url
        self._told = told
        self._client = httpx2.AsyncClient(base_url=base_url, headers={"Origin": base_url}, trust_env=False)
        self._asides: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._call = ""
        self._sid = f"MZ{secrets.token_hex(16)}"

    async def call(self, line: str, device: Device) -> None:
        """Call a line, and talk until one of both hangs up or the device has no more to say.

        Raises:
            GatewayError: there is no such line, or the gateway does not take the call.
        """
        offer = await self._offer(line)
        self._call = offer["call_id"]
        for said in offer["before"]:
            self._told("plan", {"verbs": [said]})
        async with anyio.create_task_group() as tasks:
            over = anyio.Event()
            tasks.start_soon(self._follow, over)
            await self._talk(offer, device)
            with anyio.move_on_after(LAST_WORDS):
                await over.wait()
            tasks.cancel_scope.cancel()

    def press(self, digit: str) -> None:
        """Press a key of the telephone."""
        self._asides.put_nowait({"event": "dtmf", "dtmf": {"digit": digit}})

    async def aclose(self) -> None:
        """Let go of the connection to the gateway."""
        await self._client.aclose()

    async def _offer(self, line: str) -> dict[str, Any]:
        try:
            answer = await self._client.post("/console/softphone/calls", json={"line": line}, timeout=20.0)
            offer: dict[str, Any] = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise GatewayError(f"{self._base_url} is no gateway that can be called: {error}") from error
        if not answer.is_success:
            raise GatewayError(str(offer.get("error", f"the gateway answered {answer.status_code}")))
        return offer

    # ---- The stream -------------------------------------------------------------------------------------------------

    async def _talk(self, offer: dict[str, Any], device: Device) -> None:
        url = self._base_url.replace("http", "ws", 1) + offer["stream"]
        try:
            async with connect(url, origin=self._base_url, compression=None, proxy=None) as socket:  # type: ignore[arg-type]  # a plain str does
                await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
                await socket.send(self._start(offer))
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._hear, socket, tasks.cancel_scope)
                    tasks.start_soon(self._send_asides, socket)
                    try:
                        await self._speak(socket, device)
                    finally:
                        with anyio.CancelScope(shield=True):
                            await self._send(socket, {"event": "stop", "streamSid": self._sid, "stop": {}})
                    tasks.cancel_scope.cancel()
        except (OSError, InvalidHandshake) as error:
            raise GatewayError(f"the gateway did not take the stream: {error}") from error

    def _start(self, offer: dict[str, Any]) -> str:
        start = {
            "accountSid": offer["account_sid"],
            "callSid": offer["call_sid"],
            "streamSid": self._sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": offer["parameters"],
        }
        return json.dumps({"event": "start", "streamSid": self._sid, "start": start})

    async def _speak(self, socket: ClientConnection, device: Device) -> None:
        timestamp = 0
        async for frame in device.frames():
            payload = base64.b64encode(frame).decode("ascii")
            body = {"track": "inbound", "timestamp": str(timestamp), "payload": payload}
            await self._send(socket, {"event": "media", "streamSid": self._sid, "media": body})
            timestamp += len(frame) // 8

    async def _hear(self, socket: ClientConnection, talking: anyio.CancelScope) -> None:
        async for text in socket:
            match json.loads(text):
                case {"event": "media", "media": {"payload": payload}}:
                    self.speaker.play(base64.b64decode(payload))
                case {"event": "mark", "mark": {"name": name}}:
                    self.speaker.mark(name)
                case {"event": "clear"}:
                    self.speaker.clear()
        talking.cancel()

    async def _send_asides(self, socket: ClientConnection) -> None:
        """Send marks and keys as they come."""
        while True:
            await self._send(socket, {"streamSid": self._sid, **await self._asides.get()})

    async def _send(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        with suppress(ConnectionClosed):  # who hears ends the call
            await socket.send(json.dumps(message))

    def _reached(self, mark: str) -> None:
        """Take a mark that was reached, on any thread."""
        self._loop.call_soon_threadsafe(self._asides.put_nowait, {"event": "mark", "mark": {"name": mark}})

    # ---- The news ---------------------------------------------------------------------------------------------------

    async def _follow(self, over: anyio.Event) -> None:
        """Read server-sent events until the call's record is closed."""
        kind = ""
        path = f"/console/softphone/calls/{self._call}/events"
        async with self._client.stream("GET", path, timeout=None) as answer:
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self._told(kind, json.loads(value))
        over.set()
