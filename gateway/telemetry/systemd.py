"""What systemd is told of this process (sd_notify): that it is ready, that it lives, that it is leaving."""

from __future__ import annotations

import asyncio
import socket


class Systemd:
    """Tells systemd at ``address`` (NOTIFY_SOCKET); ``watchdog`` is WatchdogSec in seconds, 0 for none."""

    def __init__(self, address: str, watchdog: float = 0.0) -> None:
        self._address = address
        self._watchdog = watchdog

    def tell(self, state: str) -> None:
        """Send one state, such as ``READY=1``; one that can't be delivered is systemd's loss."""
        if self._address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                address = self._address.replace("@", "\0", 1) if self._address.startswith("@") else self._address
                try:
                    sender.sendto(state.encode(), address)
                except OSError:
                    return

    def ready(self) -> None:
        """Say that calls can come, and from now on that the event loop turns; systemd restarts one that does not."""
        self.tell("READY=1")
        if self._watchdog:
            self._alive()

    def _alive(self) -> None:
        self.tell("WATCHDOG=1")
        asyncio.get_running_loop().call_later(self._watchdog / 3, self._alive)
