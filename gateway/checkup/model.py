"""Whether each model that a line uses lets us in."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from gateway.checkup.finding import Finding, fault, ok, words
from gateway.config.directory import Directory
from gateway.realtime.options import endpoint
from gateway.settings import Settings

SECONDS: Final = 10.0
_UNAUTHORIZED: Final = 401


async def models(settings: Settings, directory: Directory) -> AsyncIterator[Finding]:
    """Connect to each once."""
    seen = set()
    for line in directory.lines.values():
        there = endpoint(line.model, url=settings.openai_realtime_url, api_key=settings.openai_api_key)
        if there.url in seen:
            continue
        seen.add(there.url)
        yield await connects(f"model of {line.id}", there.url, there.headers)


async def connects(subject: str, url: str, headers: Mapping[str, str]) -> Finding:
    """Say whether a model opens a session for us."""
    shown = url.partition("?")[0]
    began = time.monotonic()
    try:
        async with connect(url, additional_headers=headers, open_timeout=SECONDS, compression=None) as socket:
            first: dict[str, Any] = msgspec.json.decode(await socket.recv())
            took = (time.monotonic() - began) * 1000
    except InvalidStatus as error:
        if error.response.status_code == _UNAUTHORIZED:
            return fault(subject, f"{shown} does not know the key", "check OPENAI_API_KEY, or the line's model.headers")
        return fault(subject, f"{shown} answers {error.response.status_code}", "check the model's name and address")
    except (InvalidHandshake, InvalidURI, OSError, TimeoutError) as error:
        remedy = "is the address right, and may this machine connect to it?"
        return fault(subject, f"{shown} can't be reached: {words(error)}", remedy)
    except (ConnectionClosed, msgspec.DecodeError) as error:
        return fault(subject, f"{shown} speaks no realtime protocol: {type(error).__name__}", "check the address")
    if first.get("type") != "session.created":
        said = first.get("error", {}).get("message") or first.get("type")
        return fault(subject, f"{shown}: {said}", "check the model's name, and what the account may use")
    return ok(subject, f"{shown} answered in {took:.0f} ms")
