"""The WebSocket endpoint of browsers: Twilio's messages, from a page of ours on this machine."""

from __future__ import annotations

from typing import Final

import structlog
from picows import WSUpgradeRequest

from gateway.carriers.browser.calls import ACCOUNT, BrowserCalls, BrowserStream
from gateway.carriers.browser.guard import refusal
from gateway.carriers.carrier import Exchange, StreamSide, StreamStart
from gateway.carriers.twilio.upgrade import StreamSocket

MEDIA_PATH: Final = "/browser/media"
MAX_WAITING: Final = 8

log = structlog.get_logger()


class BrowserSocket(StreamSocket):
    """Takes streams from this machine that bring the token of a call which the page began.

    The exchange takes each token once (:meth:`gateway.exchange.Exchange.carry`).
    """

    paths = (MEDIA_PATH,)

    def __init__(self, exchange: Exchange, calls: BrowserCalls) -> None:
        super().__init__(exchange, max_waiting=MAX_WAITING)
        self._calls = calls

    def may_open(self, request: WSUpgradeRequest, peer: str, account_sid: str = "") -> bool:
        """Check where the upgrade comes from, and then that the stream claims to be no carrier's."""
        why = refusal(peer, request.headers, acts=True)
        if not why and account_sid not in {"", ACCOUNT}:
            why = "foreign-account"
        if why:
            log.warning("browser-refused", why=why, what="stream")
        return not why

    async def carry(self, start: StreamStart, stream: StreamSide) -> None:
        """Run a stream, and then do what a carrier does behind one."""
        browsers = BrowserStream(start.call_sid, stream, self._calls)
        try:
            await super().carry(start, browsers)
        finally:
            self._calls.ended(self._exchange, browsers)
