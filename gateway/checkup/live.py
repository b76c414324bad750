"""Measures on the user's own account what Twilio's documents leave open, with one call that the user makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import anyio
import httpx2
import uvicorn

from gateway.carriers.twilio.account import Number, TwilioAccount
from gateway.carriers.twilio.numbers import Numbers
from gateway.carriers.twilio.rest import TwilioRest
from gateway.checkup.finding import Finding, fault, left_out, ok, warning
from gateway.checkup.probe import MARKS, PARAMETERS, Probe, Seen
from gateway.errors import CarrierError
from gateway.settings import Settings

PATIENCE: Final = 120.0
"""Seconds in which the user may call."""
CALL: Final = 60.0
"""Seconds that the call may take."""
SETTLE: Final = 5.0
"""Seconds until the account's debugger shows what a call raised."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the program: Ctrl-C ends the measurement, and the number is put back."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._up = anyio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self._up.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.serve)
            await self._up.wait()
            yield
            self.should_exit = True


@dataclass(frozen=True, slots=True)
class LiveCheck:
    """One measurement: the number is pointed at a probe for its length, and put back whatever happens."""

    settings: Settings
    numbers: Numbers
    account: TwilioAccount
    number: Number
    told: Callable[[str], None]

    async def run(self) -> AsyncIterator[Finding]:
        """Measure, and go through what was found.

        Raises:
            CarrierError: Twilio refused, or could not be reached.
        """
        rest = TwilioRest(self.account.sid, self.account.token, self.account.base_url, self.account.client)
        probe = Probe(self.settings.public_url, self.account.token, rest.redirect)
        config = uvicorn.Config(
            probe.app,
            host=self.settings.host,
            port=self.settings.port,
            log_config=None,
            access_log=False,
            lifespan="off",
        )
        before = self.number.fields()
        async with _Server(config).running():
            # Also in the file: after a crash, gateway numbers sync --restore puts it back.
            added = self.numbers.keep(self.number)
            try:
                await self.account.change(self.number.sid, _pointed_at(probe))
                self.told(
                    f"Call {self.number.phone_number} now. Say nothing; at the beep press one key; wait for the thanks."
                )
                called = await self._call(probe)
            finally:
                with anyio.CancelScope(shield=True):
                    await self.account.change(self.number.sid, before)
                    if added:
                        self.numbers.forget(self.number)
        if not called:
            yield left_out("live", f"nobody called within {PATIENCE:.0f} s", "call the number once it is asked for")
            return
        alerts = await self._alerts(probe.seen.call_sid)
        for finding in (*found(probe.seen), *_of_alerts(alerts)):
            yield finding
        yield await self._region()

    async def _call(self, probe: Probe) -> bool:
        with anyio.move_on_after(PATIENCE):
            await probe.called.wait()
        if not probe.seen.call_sid:
            return False
        with anyio.move_on_after(CALL):
            await probe.over.wait()
        return True

    async def _alerts(self, call_sid: str) -> set[str] | None:
        """Return the codes that the account's debugger has of the call; None where it can't be asked."""
        await anyio.sleep(SETTLE)
        try:
            return await self.account.alerts(call_sid)
        except CarrierError:
            return None

    async def _region(self) -> Finding:
        url = "https://api.ie1.twilio.com/2010-04-01.json"
        if not self.account.base_url.endswith("://api.twilio.com"):
            return left_out("regional REST host", "the account is not at api.twilio.com itself")
        try:
            response = await self.account.client.get(url, timeout=10)
        except httpx2.TransportError as error:
            return ok("regional REST host", f"api.ie1.twilio.com does not answer: {type(error).__name__}")
        return ok("regional REST host", f"api.ie1.twilio.com still answers ({response.status_code})")


def _pointed_at(probe: Probe) -> dict[str, str]:
    return {
        "VoiceUrl": probe.url("voice"),
        "VoiceMethod": "POST",
        "VoiceFallbackUrl": probe.url("fallback"),
        "VoiceFallbackMethod": "POST",
    }


def found(seen: Seen) -> Iterator[Finding]:
    """Say what a call has shown, in the order of the open questions."""
    if seen.upgrade_signed == "none":
        remedy = "is the first token the one that the account signs with? A sub-account signs with its own"
        yield fault("signature of streams", "fits no form of the URL", remedy)
    elif seen.upgrade_signed:
        yield ok("signature of streams", f"is over the URL {seen.upgrade_signed}")
    else:
        yield fault("stream", "none was opened", "the proxy in front must pass WebSockets on")
        return
    yield ok("stream", f"was opened {(seen.connected_after or 0) * 1000:.0f} ms after the webhook's answer")
    offered = seen.upgrade.get("sec-websocket-extensions", "")
    yield ok("compression of streams", f"is offered: {offered}" if offered else "is not offered")
    given = len([name for name in seen.start.get("customParameters", {}) if name.startswith("p")])
    yield ok("parameters of <Stream>", f"{given} of {PARAMETERS} arrived")
    yield ok("format of streams", " ".join(str(value) for value in seen.start.get("mediaFormat", {}).values()))
    yield _cadence(seen)
    yield _marks(seen)
    if not seen.key:
        yield left_out("keys", "none was pressed", "press one at the beep")
    else:
        heard = "are in the audio too: a recording has them" if seen.loud_at_key else "are not heard in the audio"
        yield ok("keys", f"{heard} (the message came as well)")
    yield from _continuations(seen)


def _cadence(seen: Seen) -> Finding:
    if len(seen.frames) < 2:  # noqa: PLR2004 - a cadence needs two
        return fault("frames", "no audio came", "is the caller's leg connected?")
    sizes = sorted({size for _, _, size in seen.frames})
    steps = [after[1] - before[1] for before, after in pairwise(seen.frames)]
    gap = max(after[0] - before[0] for before, after in pairwise(seen.frames)) * 1000
    text = f"{'/'.join(map(str, sizes))} bytes every {sum(steps) / len(steps):.1f} ms, longest pause {gap:.0f} ms"
    return ok("frames", text)


def _marks(seen: Seen) -> Finding:
    if seen.marks == MARKS:
        return ok("marks", f"all of {MARKS} came back")
    return warning("marks", f"{seen.marks} of {MARKS} came back", "the ledger then counts by the carrier's clock")


def _continuations(seen: Seen) -> Iterator[Finding]:
    common = set(seen.voice)
    first, second = seen.actions.get("1"), seen.actions.get("2")
    if first is None:
        yield fault("<Connect action>", "was not asked after our close", "write end_by: rest in the lines")
    else:
        more = ", ".join(sorted(set(first) - common)) or "no fields of its own"
        yield ok("<Connect action>", f"is asked after our close, with {more}")
    asked = "is asked" if second is not None else "is not asked"
    yield ok("<Connect action> at a REST redirect", asked)
    if not seen.fallback:
        yield warning("fallback", "was not asked after an answer of 500", "callers heard Twilio's own error")
    else:
        names = ", ".join(sorted(set(seen.fallback) - common)) or "no fields of its own"
        yield ok("fallback", f"is asked with {names}")


def _of_alerts(alerts: set[str] | None) -> Iterator[Finding]:
    if alerts is None:
        yield left_out("debugger", "can't be asked with these credentials", "look for 31921 in Twilio's console")
        return
    closed = "logs 31921" if "31921" in alerts else "logs no error"
    yield ok("close with 1000", closed)
    if others := alerts - {"31921", "11200"}:
        yield warning(
            "debugger", f"has {', '.join(sorted(others))} of this call", "https://www.twilio.com/docs/api/errors"
        )
