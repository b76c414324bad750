"""FakeTwilio: numbers that can be dialled, and the REST API, on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
import httpx2

from gateway.testing.twilio.account import Account, Application, Number
from gateway.testing.twilio.behaviour import Behaviour, DialOutcome
from gateway.testing.twilio.call import Observer, PhoneCall
from gateway.testing.twilio.caller import ScriptedCaller
from gateway.testing.twilio.follower import Follower
from gateway.testing.twilio.network import Network, Signer, new_sid
from gateway.testing.twilio.rest import Rest
from gateway.testing.twilio.serving import serving
from gateway.testing.twilio.socket import RawStream, open_socket
from gateway.testing.twilio.webhook import Target, Webhooks

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "fedcba9876543210" * 2
CALLER = "+15005550006"
"""Who calls where a test does not say; a number that Twilio reserves for tests."""


class FakeTwilio:
    """A carrier to test against, for ``async with``.

    Args:
        voice_url: the webhook of numbers that were not added; without it, only added numbers can be dialled.
        connect_to: where requests to public addresses really go, a base URL or a mapping of hosts to base URLs
            (see :class:`Network`); can be set later. None: URLs are meant as they are.
        account_sid, auth_token: what the server under test is told, too.
        behaviour: of every call; one call's own can be given when it is dialled.
        dials: what becomes of ``<Dial>``, by number, address or name.
        seed: makes the hidden delays the same in every run; by default they differ.
        observer: is told live what happens in all calls.

    Attributes:
        api_base_url: where the REST API listens, for ``TWILIO_API_BASE_URL``.
        account: numbers, applications, alerts.
        rest: the REST API: what was asked of it, and how to make it fail.
        calls: all calls by sid, in the order of dialling.
    """

    def __init__(
        self,
        *,
        voice_url: str = "",
        connect_to: str | Mapping[str, str] | None = None,
        account_sid: str = ACCOUNT_SID,
        auth_token: str = AUTH_TOKEN,
        behaviour: Behaviour | None = None,
        dials: Mapping[str, DialOutcome] | None = None,
        seed: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.voice_url = voice_url
        self.connect_to = connect_to
        self.behaviour = behaviour or Behaviour()
        self.dials = dict(dials or {})
        self.account = Account(account_sid, auth_token)
        self.calls: dict[str, PhoneCall] = {}
        self.rest = Rest(self.account, self.calls, self._redirect)
        self.api_base_url = ""
        self._random = Random(seed)  # noqa: S311 - delays, not secrets
        self._observer = observer
        self._followers: dict[str, Follower] = {}
        self._client: httpx2.AsyncClient | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the REST API."""
        async with AsyncExitStack() as stack:
            self.api_base_url = await stack.enter_async_context(serving(self.rest.app))
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
            self._client = await stack.enter_async_context(httpx2.AsyncClient(limits=limits, trust_env=False))
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(self._tasks.cancel_scope.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Break off the calls that still live, and stop."""
        for call in self.calls.values():
            call.end("caller")
        await self._stack.__aexit__(kind, error, trace)

    def add_number(self, phone_number: str, voice_url: str, **webhooks: object) -> Number:
        """Add a number; ``webhooks`` are other fields of :class:`Number`."""
        number = Number(phone_number=phone_number, voice_url=voice_url, friendly_name=phone_number, **webhooks)  # type: ignore[arg-type]
        self.account.add(number)
        return number

    async def dial(
        self,
        to: str,
        *,
        caller: str = CALLER,
        behaviour: Behaviour | None = None,
        dials: Mapping[str, DialOutcome] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> ScriptedCaller:
        """Place a call to a number, and return whoever holds the phone; it rings from now on.

        ``fields`` are further ones of its webhooks, such as ``SipHeader_X-Customer``.

        Raises:
            LookupError: nobody has that number.
        """
        if self._tasks is None or self._client is None:
            raise RuntimeError("a FakeTwilio works within 'async with' only")
        call = self.ring(to, caller=caller, behaviour=behaviour)
        call.fields.update(fields or {})
        follower = self._follower(call, self._configured(to), self._client, self.dials | dict(dials or {}))
        self._followers[call.sid] = follower
        self._tasks.start_soon(follower.run)
        return ScriptedCaller(call)

    def ring(self, to: str, *, caller: str = CALLER, behaviour: Behaviour | None = None) -> PhoneCall:
        """Make a call that nothing happens to by itself: for requests by hand, with :meth:`deliver`."""
        call = PhoneCall(
            account_sid=self.account.sid,
            caller=caller,
            called=to,
            behaviour=behaviour or self.behaviour,
            random=Random(self._random.random()),  # noqa: S311 - delays, not secrets
            observer=self._observer,
            alert=self.account.alert,
        )
        self.calls[call.sid] = call
        return call

    async def deliver(
        self,
        url: str,
        call: PhoneCall,
        more: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        signature: str | None = None,
    ) -> httpx2.Response:
        """Send a webhook of a call by hand, signed or with another ``signature``; give the answer, whatever it is."""
        if self._client is None:
            raise RuntimeError("a FakeTwilio works within 'async with' only")
        webhooks = self._webhooks(self._client, call)
        return await webhooks.send("by-hand", method, url, call.parameters() | dict(more or {}), signature=signature)

    def _configured(self, to: str) -> Application:
        number = self.account.number(to)
        if number is None:
            if not self.voice_url:
                raise LookupError(f"nobody has the number {to}: add_number() it, or give FakeTwilio a voice_url")
            number = self.add_number(to, self.voice_url)
        return self.account.webhooks(number)

    def _follower(
        self, call: PhoneCall, configured: Application, client: httpx2.AsyncClient, dials: Mapping[str, DialOutcome]
    ) -> Follower:
        network = Network(self.connect_to)
        signer = Signer(self.account.auth_token, call.behaviour)
        webhooks = self._webhooks(client, call)
        return Follower(call, webhooks=webhooks, configured=configured, network=network, signer=signer, dials=dials)

    def _webhooks(self, client: httpx2.AsyncClient, call: PhoneCall) -> Webhooks:
        return Webhooks(
            client=client,
            network=Network(self.connect_to),
            signer=Signer(self.account.auth_token, call.behaviour),
            behaviour=call.behaviour,
            log=call.log,
            now_ms=lambda: call.now_ms,
        )

    def _redirect(self, call: PhoneCall, to: Target | str) -> None:
        self._followers[call.sid].redirect(to)

    @asynccontextmanager
    async def raw_stream(
        self, url: str, parameters: Mapping[str, str], *, call_sid: str = "", signed: bool = True
    ) -> AsyncIterator[RawStream]:
        """Open a socket to a media endpoint as the carrier would, and behave as badly on it as a test likes.

        Raises:
            StreamError: the server refused the upgrade.
        """
        signature = Signer(self.account.auth_token, self.behaviour).upgrade(url) if signed else None
        connection = await open_socket(Network(self.connect_to), url, signature, timeout=10)
        try:
            yield RawStream(connection, self.account.sid, call_sid or new_sid("CA"), new_sid("MZ"), dict(parameters))
        finally:
            await connection.close()
