"""The carrier's end: signed webhooks, media streams with frames on a true clock, and a playout that echoes marks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import html
import json
import re
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Final
from urllib.parse import urlencode, urlsplit

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from gateway.testing.load.call import RING, CallState
from gateway.testing.load.numbered import FRAME_FILLER, blocks, numbers, size_of
from gateway.testing.load.tally import Tally

TOKEN: Final = "bench-auth-token-bench-auth-token"  # noqa: S105 - a name, and what both sides of a benchmark know
ACCOUNT: Final = "AC" + "0" * 32
PUBLIC_URL: Final = "https://gw.example"
SLOTS: Final = 20
"""Calls are spread over the milliseconds of a frame, as real ones are."""

_STREAM: Final = re.compile(r'<Stream[^>]* url="([^"]+)"')
_PARAMETER: Final = re.compile(r'<Parameter name="([^"]+)" value="([^"]*)"')


def sign(url: str, form: Mapping[str, str]) -> str:
    """Sign a request as "Secure webhooks" says: the URL, then each field's name and value, sorted by name."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(TOKEN.encode(), text.encode(), hashlib.sha1)).decode()


async def post(port: int, path: str, form: Mapping[str, str]) -> str:
    """Send a signed webhook and return the body of the answer.

    Raises:
        OSError: the server is not there, or its answer is no success.
    """
    body = urlencode(form).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: gw.example\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"X-Twilio-Signature: {sign(PUBLIC_URL + path, form)}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + body
        )
        answer = (await reader.read()).decode()
    finally:
        writer.close()
    head, _, text = answer.partition("\r\n\r\n")
    if not head.startswith("HTTP/1.1 2"):
        raise OSError(f"{path}: {head.splitlines()[0] if head else 'no answer'}")
    return text


class Clock:
    """Sends every call's frame each 20 ms, late ones at once, so that no clock drifts."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._slots: list[list[MediaStream]] = [[] for _ in range(SLOTS)]
        self._streams = 0

    def add(self, stream: MediaStream) -> None:
        self._slots[self._streams % SLOTS].append(stream)
        self._streams += 1

    def discard(self, stream: MediaStream) -> None:
        for slot in self._slots:
            if stream in slot:
                slot.remove(stream)

    async def run(self) -> None:
        """Tick until cancelled; a tick is a millisecond."""
        tick, began = 0, monotonic()
        while True:
            due = began + tick / 1000
            now = monotonic()
            if due > now:
                await asyncio.sleep(due - now)
                continue
            slot = self._slots[tick % SLOTS]
            if slot and self._tally.open:
                self._tally.late.append(now - due)
            for stream in slot:
                stream.tick()
            tick += 1


class MediaStream(WSListener):
    """The media stream of one call."""

    def __init__(self, call: CallState, tally: Tally, parameters: Mapping[str, str]) -> None:
        self._call = call
        self._tally = tally
        self._transport: WSTransport | None = None
        self._sid = f"MZ{call.index:032x}"
        self._parameters = parameters
        self._marks: deque[tuple[float, str]] = deque()
        self._tail = f'{FRAME_FILLER}"}},"streamSid":"{self._sid}"}}'
        self._number = f"{call.index:08d}"
        self.closed = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say what the stream is."""
        self._transport = transport
        start = {
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "accountSid": ACCOUNT,
                "streamSid": self._sid,
                "callSid": call_sid(self._call.index),
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(self._parameters),
            },
            "streamSid": self._sid,
        }
        transport.send(WSMsgType.TEXT, b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
        transport.send(WSMsgType.TEXT, json.dumps(start, separators=(",", ":")).encode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Note a stream that the server ended."""
        del transport
        self._transport = None
        if not self._call.over:
            self._call.over = True
            self._tally.dropped += 1
        self.closed.set()

    def tick(self) -> None:
        """Send a frame, and the marks that the ear has reached."""
        transport, call = self._transport, self._call
        if transport is None:
            return
        now = monotonic()
        while self._marks and self._marks[0][0] <= now:
            self._echo(self._marks.popleft()[1])
        call.frame = count = call.frame + 1
        text = (
            f'{{"event":"media","sequenceNumber":"{count + 2}","media":{{"track":"inbound","chunk":"{count + 1}",'
            f'"timestamp":"{count * 20}","payload":"{self._number}{count:08d}{self._tail}'
        )
        call.frame_at[count % RING] = monotonic()
        transport.send(WSMsgType.TEXT, text.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a message of the gateway."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        if frame.msg_type != WSMsgType.TEXT:
            return
        text = frame.get_payload_as_ascii_text()
        event = text[text.find('"event":') + 8 :].lstrip()[1:2]
        if event == "m" and '"media":' in text:
            self._play(text)
        elif event == "m":
            self._mark(json.loads(text)["mark"]["name"])
        elif event == "c":
            self._clear()
        else:
            self._tally.fault(f"stream message {text[:60]}")

    def _play(self, text: str) -> None:
        call, tally, now = self._call, self._tally, monotonic()
        at = text.find('"', text.find('"payload":') + 10) + 1
        payload = text[at : text.index('"', at)]
        for header in blocks(payload):
            try:
                index, count = numbers(payload, header)
            except ValueError:
                tally.fault("audio without a number")
                return
            if index != call.index:
                tally.fault("audio of another call")
                return
            if count < call.cleared:
                tally.stale += tally.open
                continue
            # Of a cut answer some blocks never come, and that is right.
            if tally.follow(call.played, count, gap_allowed=call.played < call.cut_block <= count):
                call.played = count
            if tally.open:
                delay = now - call.block_at[count % RING]
                tally.to_carrier.append(delay)
                if count in call.first_blocks:
                    tally.first_audio.append(delay)
            call.first_blocks.discard(count)
        call.plays_until = max(call.plays_until, now) + size_of(payload) / 8000

    def _mark(self, name: str) -> None:
        due = self._call.plays_until
        if due <= monotonic():
            self._echo(name)
        else:
            self._marks.append((due, name))

    def _clear(self) -> None:
        call, now = self._call, monotonic()
        if call.cut_at is not None:
            if self._tally.open:
                self._tally.clear.append(now - call.cut_at)
            call.cut_at = None
            call.cleared = call.cut_block
        call.plays_until = now
        while self._marks:
            self._echo(self._marks.popleft()[1])

    def _echo(self, name: str) -> None:
        if self._transport is not None:
            text = f'{{"event":"mark","sequenceNumber":"1","streamSid":"{self._sid}","mark":{{"name":"{name}"}}}}'
            self._transport.send(WSMsgType.TEXT, text.encode())

    def stop(self) -> None:
        """End the stream as a caller does who hangs up."""
        self._call.over = True
        if self._transport is not None:
            text = (
                f'{{"event":"stop","sequenceNumber":"1","stop":{{"accountSid":"{ACCOUNT}",'
                f'"callSid":"{call_sid(self._call.index)}"}},"streamSid":"{self._sid}"}}'
            )
            self._transport.send(WSMsgType.TEXT, text.encode())
            self._transport.send_close()
            self._transport.disconnect()


def call_sid(index: int) -> str:
    """The carrier's id of a call."""
    return f"CA{index:032x}"


async def dial(port: int, call: CallState, tally: Tally) -> MediaStream:
    """Place one call: the webhook, its TwiML, the stream.

    Raises:
        OSError: the gateway does not take it.
    """
    form = {
        "CallSid": call_sid(call.index),
        "AccountSid": ACCOUNT,
        "From": f"+1415{call.index:07d}",
        "To": "+14155550100",
        "CallStatus": "ringing",
        "Direction": "inbound",
        "ApiVersion": "2010-04-01",
    }
    twiml = await post(port, "/twilio/voice", form)
    found = _STREAM.search(twiml)
    if found is None:
        raise OSError(f"no stream in {twiml[:200]}")
    url = html.unescape(found[1])
    parameters = {html.unescape(name): html.unescape(value) for name, value in _PARAMETER.findall(twiml)}
    path = urlsplit(url).path
    _, stream = await ws_connect(
        lambda: MediaStream(call, tally, parameters),
        f"ws://127.0.0.1:{port}{path}",
        extra_headers={"X-Twilio-Signature": sign(url, {}), "Host": "gw.example"},
        websocket_handshake_timeout=20,
    )
    assert isinstance(stream, MediaStream)  # noqa: S101 - what the factory makes
    return stream


async def hang_up(port: int, call: CallState) -> None:
    """Report the end of a call, as a status callback."""
    form = {"CallSid": call_sid(call.index), "AccountSid": ACCOUNT, "CallStatus": "completed"}
    await post(port, "/twilio/status", form)
