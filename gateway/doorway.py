"""Who answers the door while the gateway itself is still starting: the Agents SDK takes seconds to import.

The port is bound before that, and a thread answers on it: alive, but not ready. The socket is then handed over to the
server, so nobody is ever refused a connection in between.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Final

from gateway.errors import SettingsError

BACKLOG: Final = 2048
PATIENCE: Final = 0.5
"""Seconds that one client may take to say what it wants; others wait meanwhile."""
MAX_HEAD: Final = 8192

_ALIVE: Final = b'{"alive":true}'
_STARTING: Final = b'{"ready":false,"reasons":["starting"]}'


class Doorway:
    """Listens at once, and answers ``/healthz`` with 200 and all else with 503, until it is closed.

    Args:
        host: the address to listen on.
        port: 0 takes a free one.

    Raises:
        SettingsError: the port can't be had.
    """

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self.socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            # Not strerror, to which create_server adds the address once more.
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            remedy = f"end what listens there, or choose another: PORT={port + 1}" if port else "see HOST"
            raise SettingsError(f"PORT, HOST: can't listen on {host}:{port}: {why} ({remedy})") from error
        self.socket.setblocking(False)  # noqa: FBT003 - the only argument it has
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._answer_all, name="doorway", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more; the socket stays open, for who takes over. Idempotent."""
        if self._thread.is_alive():
            self._waker.send(b".")
            self._thread.join()
        self._wake.close()
        self._waker.close()

    def _answer_all(self) -> None:
        import selectors  # noqa: PLC0415 - not for --help

        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._wake for key, _ in selector.select()):
                    return
                with contextlib.suppress(OSError):  # the client has gone, or the server was faster
                    client, _ = self.socket.accept()
                    with client:
                        _answer(client)


def _answer(client: socket.socket) -> None:
    client.settimeout(PATIENCE)
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MAX_HEAD:
        more = client.recv(4096)
        if not more:
            return
        head += more
    path = head.split(b" ", 2)[1].partition(b"?")[0] if head.count(b" ") else b""
    alive = path.rstrip(b"/") == b"/healthz"
    body = _ALIVE if alive else _STARTING
    status = b"200 OK" if alive else b"503 Service Unavailable\r\nRetry-After: 2"
    client.sendall(
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (status, len(body), body)
    )
