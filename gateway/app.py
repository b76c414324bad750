"""The application: everything is made and wired here, and here is the one list of routes."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import structlog
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from gateway.call.admission import Admission
from gateway.carriers.browser.calls import ACCOUNT as BROWSER
from gateway.carriers.browser.calls import BrowserCalls
from gateway.carriers.browser.socket import BrowserSocket
from gateway.carriers.token import StreamTokens
from gateway.carriers.twilio.accounts import TwilioAccounts
from gateway.carriers.twilio.diagnosis import Refusals
from gateway.carriers.twilio.signature import Verifier
from gateway.carriers.twilio.twiml import Links
from gateway.carriers.twilio.upgrade import MediaSocket
from gateway.carriers.twilio.webhooks import Webhooks
from gateway.config.costs import price, price_afterwards
from gateway.config.directory import Directory
from gateway.config.loader import load
from gateway.config.numbers import Account
from gateway.config.watch import Watcher
from gateway.delivery.after import AfterCalls
from gateway.delivery.outcome import Filler, Model, Rules
from gateway.delivery.send import Sender, hook_secret
from gateway.errors import ConfigError, SettingsError
from gateway.exchange import Exchange
from gateway.garbage import collect
from gateway.livecall import CallMaker
from gateway.realtime.agents import Agents
from gateway.realtime.toolsloop import ToolsLoop
from gateway.settings import Settings
from gateway.store.changes import LINES_CHANGED, Changes
from gateway.store.database import Database, database_url
from gateway.store.log import LogWriter, Tap
from gateway.store.log_lines import Header
from gateway.store.meter import Meter
from gateway.store.overrides import Overrides
from gateway.store.projector import Projector
from gateway.store.recording.shelf import Recordings
from gateway.store.retention import Retention, Shelf, every_hour, keep_of
from gateway.store.schema import prepare
from gateway.store.trace import Trace
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Traces, traces_url
from gateway.web.api import create_api
from gateway.web.console.pages import Console
from gateway.web.health import Health
from gateway.web.metrics import MetricsPage, load_of
from gateway.web.sounds import Sounds

log = structlog.get_logger()


class Gateway:
    """One node of the gateway, not yet running.

    Args:
        settings: of this node.
        variables: fill in ``${NAME}`` in the files of lines.
        warnings: what the log has warned of, by event, as it grows.

    Raises:
        ConfigError: the folder of lines has faults.
    """

    def __init__(
        self, settings: Settings, variables: Mapping[str, str], warnings: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self.settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self.tools = ToolsLoop()
        self.agents = Agents(url=settings.openai_realtime_url, api_key=settings.openai_api_key, tools=self.tools)
        self.watcher = Watcher(
            load(settings.config_dir, variables),
            variables,
            prove=self.agents.check,
            on_swap=self._swapped,
            on_faults=lambda _: self.metrics.config_reloads.labels("refused").inc(),
        )
        self.links = Links(settings.public_url, settings.stream_url)
        self.http = httpx2.AsyncClient()
        url = database_url(settings.database_url, settings.data_dir)
        self.database = Database(url)
        self.projector = Projector(
            url,
            settings.data_dir / "calls",
            self._over,
            price=partial(price_afterwards, settings.openai_realtime_url, self.watcher.current),
        )
        told = None if "records" in settings.without else self.projector.told
        self.logs = LogWriter(settings.data_dir / "calls", told=told)
        self.metrics = Metrics(
            platform.node(),
            lambda: load_of(self.exchange, self.watcher, self.logs, self.recordings, refusals.counts, warnings),
        )
        self.metrics.snapshot(self.watcher.current.hash, time.time())
        self.traces = self._traces()
        self.recordings = Recordings(settings.data_dir / "recordings", settings.recordings_url)
        self.shelf = Shelf(self.database, settings.data_dir / "calls", self.recordings)
        self.changes = Changes(self.database)
        self.after_calls = self._after_calls()
        self.accounts, browser = self._accounts(), BrowserCalls()
        self.overrides = Overrides(self.database, time.time)
        self.exchange = Exchange(
            directory=lambda: self.watcher.current,
            tokens=StreamTokens(settings.secret_key),
            admission=Admission(settings.max_calls),
            maker=CallMaker(
                logs=self.logs,
                agents=self.agents,
                carrier=lambda account_sid: browser if account_sid == BROWSER else self.accounts.calls(account_sid),
                recordings=self.recordings,
                follow=self._follow,
                price=partial(price, settings.openai_realtime_url),
                clock=time.monotonic,
                wall=time.time,
            ),
            overrides=self.overrides.of,
            clock=time.monotonic,
            wall=time.time,
        )
        self.health = Health(self.exchange, self.watcher, self.overrides)
        verifier = Verifier(settings.public_url, settings.stream_url, settings.twilio_auth_tokens, self.accounts.tokens)
        refusals = Refusals(verifier)
        self.media = MediaSocket(self.exchange, verifier, refusals)
        self.browser_media = BrowserSocket(self.exchange, browser)
        self.sockets = {path: media.accept for media in (self.media, self.browser_media) for path in media.paths}
        """WebSockets that are not spoken to in ASGI, by their paths."""
        self.routes: list[BaseRoute] = [
            *Webhooks(self.exchange, verifier, self.links, refusals).routes(),
            *Sounds(lambda: self.watcher.current).routes(),
            *Console(self.exchange, lambda: self.watcher.current).routes(),
            *self.health.routes(),
            *create_api(self.shelf, self.exchange, lambda: self.watcher.current, self.links).routes(),
            *(() if "metrics" in settings.without else MetricsPage(self.metrics, settings.metrics_token).routes()),
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch the lines, write the logs and own the calls, until left."""
        async with AsyncExitStack() as stack:
            self._loop = asyncio.get_running_loop()
            if self.settings.without:
                log.warning("left-out", what=self.settings.without, remedy="GATEWAY_WITHOUT is for measuring alone")
            stack.push_async_callback(self.database.close)
            await prepare(self.database)
            self.projector.start()
            stack.callback(self.projector.stop)
            if self.traces is not None:
                stack.push_async_callback(anyio.to_thread.run_sync, self.traces.stop)
            self.recordings.start()
            stack.callback(self.recordings.stop)
            self.logs.start()
            stack.callback(self.logs.stop)
            stack.callback(self.tools.close)
            stack.push_async_callback(self.http.aclose)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            faults = await anyio.to_thread.run_sync(self.agents.check, self.watcher.current)
            if faults:
                raise ConfigError(list(faults))
            await tasks.start(self.exchange.run)
            await tasks.start(self.media.run)
            await tasks.start(self.browser_media.run)
            await self.overrides.look()
            tasks.start_soon(self.overrides.run)
            await self.changes.starting(self.watcher.current.hash, [*self.watcher.current.lines])
            tasks.start_soon(self.changes.run)
            tasks.start_soon(self.after_calls.run)
            tasks.start_soon(every_hour, lambda: Retention(self.shelf, keep_of(self.watcher.current)))
            tasks.start_soon(self.watcher.run)
            tasks.start_soon(collect, lambda: len(self.exchange.calls), lambda: self.exchange.ended)
            self.health.starting = False
            yield

    def _after_calls(self) -> AfterCalls:
        settings = self.settings
        filler: Filler = Rules()
        if settings.outcome_url:
            filler = Model(settings.outcome_url, settings.outcome_model, settings.outcome_key, self.http)
        sender = Sender(self.http, hook_secret(settings.secret_key), settings.smtp_url, settings.mail_from)
        return AfterCalls(self.database, self.shelf.logs, self.projector, lambda: self.watcher.current, filler, sender)

    def _traces(self) -> Traces | None:
        url = traces_url(self.settings.otlp_endpoint, self.settings.otlp_traces_endpoint)
        if not url:
            return None
        return Traces(url, self.settings.otlp_headers, service=self.settings.otel_service, node=platform.node())

    def _follow(self, header: Header) -> Iterable[Tap]:
        """Have a call that begins counted, and traced where traces are wanted."""
        taps: list[Tap] = [] if "metrics" in self.settings.without else [Meter(self.metrics, header)]
        line = self.watcher.current.lines.get(header.line)
        if self.traces is not None and line is not None:
            taps.append(Trace(header, line.model.name, self.traces.send))
        return taps

    def _over(self, call: Mapping[str, Any]) -> None:
        """Take a closed call's row, on the projector's thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.after_calls.over, call)

    def _swapped(self, before: Directory, after: Directory) -> None:
        self.metrics.config_reloads.labels("swapped").inc()
        self.metrics.snapshot(after.hash, time.time())
        self.changes.note(LINES_CHANGED, {"before": before.hash, "after": after.hash, "lines": [*after.lines]})

    def _accounts(self) -> TwilioAccounts:
        settings = self.settings
        if self.watcher.current.accounts and not settings.public_url:
            raise SettingsError(
                "GATEWAY_PUBLIC_URL: required with accounts in _numbers.yaml; the URL that Twilio calls"
            )

        def table() -> Iterable[Account]:
            return self.watcher.current.accounts.values()

        return TwilioAccounts(
            Account("", settings.twilio_account_sid, settings.twilio_auth_tokens),
            table,
            settings.twilio_api_base_url,
            self.http,
            self.links,
        )


def create_app(gateway: Gateway) -> Starlette:
    """Return the gateway as an ASGI application; its lifespan is the node's."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with gateway.running():
            yield

    return Starlette(routes=gateway.routes, lifespan=lifespan)
