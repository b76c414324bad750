"""What can be found out on this machine alone: settings, lines, the port, the data folder."""

from __future__ import annotations

import errno
import socket
import tempfile
from collections.abc import Iterator

import httpx2

from gateway.checkup.finding import Finding, fault, left_out, ok, warning
from gateway.config.directory import Directory
from gateway.settings import Settings


def keys(settings: Settings, directory: Directory) -> Iterator[Finding]:
    """Say which keys are there, and what does not work without the others."""
    own_key = all(line.model.url or line.model.headers for line in directory.lines.values())
    if settings.openai_api_key:
        yield ok("OPENAI_API_KEY", "is set")
    elif settings.openai_realtime_url or own_key:
        yield ok("OPENAI_API_KEY", "is not set; the model is another server's")
    else:
        yield fault(
            "OPENAI_API_KEY", "is not set, so no agent can speak", "set it; or OPENAI_REALTIME_URL to a local one"
        )
    if settings.twilio_auth_tokens:
        tokens = len(settings.twilio_auth_tokens)
        yield ok("TWILIO_AUTH_TOKEN", "is set" if tokens == 1 else f"{tokens} are set, for a rotation")
        if not settings.twilio_account_sid:
            remedy = "set it: calls can't be ended or transferred by REST without"
            yield warning("TWILIO_ACCOUNT_SID", "is not set", remedy)
    elif not directory.accounts:
        yield left_out(
            "TWILIO_AUTH_TOKEN", "is not set: carrier traffic is refused", "set it to take calls from Twilio"
        )


async def port(settings: Settings, client: httpx2.AsyncClient) -> Finding:
    """Say whether the port is free, or this gateway's already."""
    subject = f"port {settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return fault(subject, f"can't be used: {error.strerror}", "set PORT or HOST to what this user may use")
        else:
            return ok(subject, "is free; gateway serve will take it")
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host
    try:
        response = await client.get(f"http://{host}:{settings.port}/readyz", timeout=5)
        state = response.json()
    except (httpx2.TransportError, ValueError):
        return fault(subject, "is taken by another program", "end it, or set PORT to another")
    if "reasons" not in state:
        return fault(subject, "is taken by another program", "end it, or set PORT to another")
    if state["reasons"]:
        return warning(
            subject, f"a gateway runs there and takes no calls: {', '.join(state['reasons'])}", "see its log"
        )
    return ok(subject, f"a gateway runs there, with {state['calls']} calls")


def data_folder(settings: Settings) -> Finding:
    """Say whether the records of calls can be written."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.data_dir):
            return ok("data folder", f"{settings.data_dir} can be written")
    except OSError as error:
        remedy = "set GATEWAY_DATA_DIR to a folder of this user's"
        return fault("data folder", f"{settings.data_dir} can't be written: {error.strerror}", remedy)
