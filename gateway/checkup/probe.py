"""A small application in the gateway's place that watches how the carrier behaves on one call."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator

from gateway.audio.g711 import peak
from gateway.audio.tones import beep
from gateway.carriers.twilio.signature import SIGNATURE_HEADER
from gateway.carriers.twilio.twiml import socket_url

BASE: Final = "/twilio/doctor"
MARKS: Final = 200
PARAMETERS: Final = 40
LISTENS: Final = 3.0
"""Seconds in which frames are counted before the beep."""
KEY_WAIT: Final = 8.0
"""Seconds in which the caller may press a key after the beep."""
MARK_WAIT: Final = 5.0
LOUD: Final = 0.03
"""Peak (of 1) above which a frame holds more than the line's noise."""
JSON: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Seen:
    """What was seen of one call; None and empty where it was not seen."""

    call_sid: str = ""
    webhook_at: float = 0.0
    voice: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    upgrade: dict[str, str] = field(default_factory=dict)
    upgrade_signed: str = ""
    """Which form of the URL was signed; ``none`` fits no form."""
    connected_after: float | None = None
    start: JSON = field(default_factory=dict)
    frames: list[tuple[float, int, int]] = field(default_factory=list)
    """When each came, its timestamp, its bytes."""
    marks: int = 0
    key: str = ""
    loud_at_key: bool | None = None
    """Whether a tone was in the audio around the key."""
    actions: dict[str, dict[str, str]] = field(default_factory=dict)
    """The fields of the requests to ``<Connect action>``, by the number of the stream."""
    fallback: dict[str, str] = field(default_factory=dict)


class Probe:
    """Answers the one call's webhooks and streams; nobody else is let in.

    Args:
        public_url: what the carrier signs.
        token: of the account.
        redirect: sends the call to other TwiML over REST.
    """

    def __init__(self, public_url: str, token: str, redirect: Any) -> None:
        self.seen = Seen()
        self.called = anyio.Event()
        self.second = anyio.Event()
        """The second stream has begun."""
        self.over = anyio.Event()
        """The last webhook was answered."""
        self._public_url = public_url.rstrip("/")
        self._validator = RequestValidator(token)
        self._redirect = redirect
        self._streams = 0
        self.app = Starlette(
            routes=[
                Route(f"{BASE}/{name}", endpoint, methods=["GET", "POST"])
                for name, endpoint in {
                    "voice": self._voice,
                    "action": self._action,
                    "broken": self._broken,
                    "fallback": self._fallback,
                }.items()
            ]
            + [WebSocketRoute(f"{BASE}/media{slash}", self._media) for slash in ("", "/")]
        )

    def url(self, name: str) -> str:
        return f"{self._public_url}{BASE}/{name}"

    # ---- Webhooks ---------------------------------------------------------------------------------------------------

    async def _form(self, request: Request) -> dict[str, str] | None:
        """Return the fields of a request that the account signed; None of any other."""
        form = {name: str(value) for name, value in (await request.form()).items()}
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        signature = request.headers.get(SIGNATURE_HEADER, "")
        signed = any(
            self._validator.compute_signature(url, form) == signature for url in _with_port(self._public_url + path)
        )
        return form if signed else None

    async def _voice(self, request: Request) -> Response:
        form = await self._form(request)
        if form is None:
            return Response(status_code=403)
        self.seen.call_sid, self.seen.voice = form.get("CallSid", ""), form
        self.seen.headers = dict(request.headers)
        self.seen.webhook_at = time.monotonic()
        self.called.set()
        parameters = "".join(f'<Parameter name="p{number}" value="{number}"/>' for number in range(PARAMETERS))
        return self._connect(1, parameters)

    async def _action(self, request: Request) -> Response:
        form = await self._form(request)
        if form is None:
            return Response(status_code=403)
        number = request.query_params.get("stream", "")
        self.seen.actions[number] = form
        if number == "1" and not self.second.is_set():
            return self._connect(2)
        return _twiml("<Hangup/>")

    async def _broken(self, _request: Request) -> Response:
        return Response(status_code=500)

    async def _fallback(self, request: Request) -> Response:
        form = await self._form(request)
        if form is None:
            return Response(status_code=403)
        self.seen.fallback = form
        self.over.set()
        return _twiml("<Say>Thank you. All has been measured. Goodbye.</Say><Hangup/>")

    def _connect(self, number: int, parameters: str = "") -> Response:
        media = socket_url(self._public_url) + f"{BASE}/media"
        action = self.url(f"action?stream={number}")
        return _twiml(f'<Connect action="{action}" method="POST"><Stream url="{media}">{parameters}</Stream></Connect>')

    # ---- Streams ----------------------------------------------------------------------------------------------------

    async def _media(self, socket: WebSocket) -> None:
        signed = self._signed_as(socket.headers.get(SIGNATURE_HEADER, ""))
        if signed == "none":
            self.seen.upgrade_signed = self.seen.upgrade_signed or signed
            await socket.close()
            return
        await socket.accept()
        self._streams += 1
        try:
            if self._streams == 1:
                self.seen.upgrade_signed = signed
                self.seen.upgrade = dict(socket.headers)
                self.seen.connected_after = time.monotonic() - self.seen.webhook_at
                await self._first(socket)
            else:
                await self._second(socket)
        except WebSocketDisconnect:
            return

    def _signed_as(self, signature: str) -> str:
        plain = socket_url(self._public_url) + f"{BASE}/media"
        for form, url in (
            *zip(("as in the TwiML", "with its port"), _with_port(plain), strict=True),
            *zip(("with a slash at its end", "with its port and a slash"), _with_port(plain + "/"), strict=True),
        ):
            if self._validator.compute_signature(url, {}) == signature:
                return form
        return "none"

    async def _first(self, socket: WebSocket) -> None:
        """Count frames, play a beep with many marks, wait for a key, and close as one does."""
        seen = self.seen
        stream_sid = await self._start(socket)
        began = time.monotonic()
        played_at = pressed_at = 0.0
        loud: list[float] = []
        while True:
            now = time.monotonic() - began
            if not played_at and now > LISTENS:
                played_at = now
                await self._play(socket, stream_sid)
            done = bool(seen.key) and now > pressed_at + 1 and (seen.marks >= MARKS or now > played_at + MARK_WAIT)
            if played_at and (done or now > played_at + KEY_WAIT):
                break
            message: JSON = {}
            with anyio.move_on_after(0.5):
                message = msgspec.json.decode(await socket.receive_text())
            match message.get("event"):
                case "media":
                    sound = base64.b64decode(message["media"]["payload"])
                    seen.frames.append((now, int(message["media"]["timestamp"]), len(sound)))
                    if peak(sound) > LOUD:
                        loud.append(now)
                case "mark":
                    seen.marks += 1
                case "dtmf":
                    seen.key, pressed_at = message["dtmf"]["digit"], now
                case "stop":
                    return
        if seen.key:
            seen.loud_at_key = any(abs(at - pressed_at) < 0.5 for at in loud)  # noqa: PLR2004 - a press and its delay
        await socket.close(1000)

    async def _start(self, socket: WebSocket) -> str:
        while True:
            message: JSON = msgspec.json.decode(await socket.receive_text())
            if message.get("event") == "start":
                if self._streams == 1:
                    self.seen.start = message["start"]
                return str(message["streamSid"])

    async def _play(self, socket: WebSocket, stream_sid: str) -> None:
        payload = base64.b64encode(beep(400)).decode()
        await socket.send_json({"event": "media", "streamSid": stream_sid, "media": {"payload": payload}})
        for number in range(MARKS):
            await socket.send_json({"event": "mark", "streamSid": stream_sid, "mark": {"name": str(number)}})

    async def _second(self, socket: WebSocket) -> None:
        """Have REST take the call away, to an address that fails."""
        await self._start(socket)
        self.second.set()
        await self._redirect(self.seen.call_sid, f"<Response><Redirect>{self.url('broken')}</Redirect></Response>")
        while True:
            await socket.receive_text()


def _twiml(content: str) -> Response:
    return Response(f'<?xml version="1.0" encoding="UTF-8"?><Response>{content}</Response>', media_type="text/xml")


def _with_port(url: str) -> tuple[str, str]:
    """A URL as it is, and with the port that its scheme has anyway."""
    parts = urlsplit(url)
    if parts.port:
        return url, url
    port = 443 if parts.scheme in {"https", "wss"} else 80
    return url, urlunsplit(parts._replace(netloc=f"{parts.netloc}:{port}"))
