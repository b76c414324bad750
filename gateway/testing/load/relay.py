"""The baseline: the smallest Starlette program that moves the same messages between the same two ends.

No SDK, no ledger, no log, nothing checked: what a gateway has to cost at least if it is built in the usual way, with
uvicorn and uvloop on the carrier's side, websockets on the model's, and orjson.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Any

import orjson
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

_TWIML = '<Response><Connect><Stream url="wss://gw.example/twilio/media" /></Connect></Response>'
_SESSION = {
    "type": "realtime",
    "audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu"}}},
}
_OUTPUT = {"type": "function_call_output", "output": "It left on Monday."}


async def voice(_request: Request) -> Response:
    """Answer every call."""
    return Response(_TWIML, media_type="application/xml")


async def status(_request: Request) -> Response:
    """Hear how a call went."""
    return Response()


async def media(carrier: WebSocket) -> None:
    """Relay one call until either end leaves."""
    await carrier.accept()
    url = os.environ["OPENAI_REALTIME_URL"]
    tls = ssl.create_default_context() if url.startswith("wss") else None
    async with websockets.connect(url, compression=None, ssl=tls, proxy=None) as model:
        sid = ""
        await model.send(orjson.dumps({"type": "session.update", "session": _SESSION}), text=True)

        async def up() -> None:
            nonlocal sid
            try:
                while True:
                    message = orjson.loads(await carrier.receive_text())
                    match message["event"]:
                        case "media":
                            event = {"type": "input_audio_buffer.append", "audio": message["media"]["payload"]}
                            await model.send(orjson.dumps(event), text=True)
                        case "start":
                            sid = message["streamSid"]
                        case "stop":
                            break
            except WebSocketDisconnect:
                pass
            await model.close()

        async def send(message: dict[str, Any]) -> None:
            await carrier.send_text(orjson.dumps({**message, "streamSid": sid}).decode())

        uplink = asyncio.create_task(up())
        sent = 0
        async for raw in model:
            event = orjson.loads(raw)
            match event["type"]:
                case "response.output_audio.delta":
                    sent += 1
                    await send({"event": "media", "media": {"payload": event["delta"]}})
                    await send({"event": "mark", "mark": {"name": str(sent)}})
                case "input_audio_buffer.speech_started":
                    await send({"event": "clear"})
                case "response.function_call_arguments.done":
                    item = {**_OUTPUT, "call_id": event["call_id"]}
                    await model.send(orjson.dumps({"type": "conversation.item.create", "item": item}), text=True)
                    await model.send(orjson.dumps({"type": "response.create"}), text=True)
        await uplink


def main() -> None:
    """Serve on the port that the environment names."""
    routes = [
        Route("/twilio/voice", voice, methods=["POST"]),
        Route("/twilio/status", status, methods=["POST"]),
        Route("/readyz", status),
        WebSocketRoute("/twilio/media", media),
    ]
    uvicorn.run(
        Starlette(routes=routes),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop="uvloop",
        ws_per_message_deflate=False,
        log_level="critical",
    )


if __name__ == "__main__":
    main()
