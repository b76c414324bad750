"""Twilio's webhooks: verify, read, ask the exchange, answer in TwiML.

A caller is on the line behind each of these requests, so once a request is known to be Twilio's, it gets words: what
the exchange decides, else its apology, else a fixed sentence; never a 500, after which Twilio would speak for us.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.call.events import ContinuationAsked
from gateway.call.incoming import IncomingCall
from gateway.call.plan import Plan
from gateway.carriers.carrier import Exchange
from gateway.carriers.twilio.arrival import RETURN, outcome, over_sip, variables
from gateway.carriers.twilio.diagnosis import Arrival, Refusals
from gateway.carriers.twilio.form import Form, UnreadableError, parse, read_body
from gateway.carriers.twilio.signature import SIGNATURE_HEADER, SIGNATURE_SETTINGS_HEADER, Refusal, Verifier
from gateway.carriers.twilio.twiml import (
    CONTENT_TYPE,
    FALLBACK_PATH,
    LAST_RESORT,
    STATUS_PATH,
    STREAM_ENDED_PATH,
    VOICE_PATH,
    Links,
    render,
)

log = structlog.get_logger()

Answer: TypeAlias = Callable[[Request, Form], Response]


class Webhooks:
    """The endpoints that Twilio calls over HTTP."""

    def __init__(self, exchange: Exchange, verifier: Verifier, links: Links, refusals: Refusals | None = None) -> None:
        self._exchange = exchange
        self._verifier = verifier
        self._links = links
        self._refusals = refusals or Refusals(verifier)

    def routes(self) -> list[BaseRoute]:
        """Every path with and without a slash at its end: a redirect would lose a POST's fields."""
        endpoints: list[tuple[str, Answer]] = [
            (VOICE_PATH, self._voice),
            (VOICE_PATH + "/{line}", self._voice),
            (STREAM_ENDED_PATH, self._stream_ended),
            (STATUS_PATH, self._status),
            (FALLBACK_PATH, self._fallback),
        ]
        return [
            Route(path + slash, self._guarded(answer), methods=["GET", "POST"], name=f"twilio{path}{slash}")
            for path, answer in endpoints
            for slash in ("", "/")
        ]

    def _guarded(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Nothing of ``answer`` runs for a request that Twilio did not sign."""

        async def endpoint(request: Request) -> Response:
            if request.method == "HEAD":
                return Response(status_code=405, headers={"Allow": "GET, POST"})
            if not self._verifier.tokens:
                return self._refuse(request, Form(), "no-token")
            try:
                form = await self._read(request)
            except UnreadableError as error:
                log.info("webhook-unreadable", why=error.why, status=error.status)
                return Response(status_code=error.status)
            response = self._verified(request, form, answer)
            await self._exchange.on_record(form.first("CallSid"))
            return response

        return endpoint

    async def _read(self, request: Request) -> Form:
        if request.method == "POST":
            return await read_body(request)
        return parse(_raw_query(request))

    def _verified(self, request: Request, form: Form, answer: Answer) -> Response:
        verdict = self._verifier.http(
            request.method,
            _raw_path(request),
            _raw_query(request),
            form,
            request.headers.get(SIGNATURE_HEADER),
            request.headers.get(SIGNATURE_SETTINGS_HEADER),
        )
        return answer(request, form) if verdict else self._refuse(request, form, verdict.why)

    def _refuse(self, request: Request, form: Form, why: Refusal) -> Response:
        arrival = Arrival(
            kind="webhook",
            raw_path=_raw_path(request),
            signature=request.headers.get(SIGNATURE_HEADER, ""),
            raw_query=_raw_query(request),
            form=form if request.method == "POST" else Form(),
            headers=request.headers,
        )
        self._refusals.note(why, arrival)
        return Response(status_code=403)  # and no word more: what we found is for the log

    def _voice(self, request: Request, form: Form) -> Response:
        query = parse(_raw_query(request))
        incoming = replace(
            _incoming(form, line=str(request.path_params.get("line", ""))),
            vars=variables(form, query),
            return_to=query.first(RETURN),
            over_sip=over_sip(form),
        )
        return self._answered(incoming, "offer", lambda: self._exchange.offer(incoming))

    def _stream_ended(self, _request: Request, form: Form) -> Response:
        """Answer the action of ``<Connect>``, and of what moves a caller on, which says how that went."""
        incoming = _incoming(form)
        asked = ContinuationAsked(status=form.first("CallStatus"), dial_status=outcome(form))
        return self._answered(incoming, "continuation", lambda: self._exchange.continuation(incoming, asked))

    def _status(self, _request: Request, form: Form) -> Response:
        call_sid, status = form.first("CallSid"), form.first("CallStatus")
        if not call_sid or not status:
            return Response(status_code=400)
        try:
            self._exchange.report(call_sid, status)
        except Exception:  # a fault of ours is none of Twilio's, which could only raise an alarm about it
            log.exception("status-failed", call_sid=call_sid, status=status)
        return Response(status_code=204)

    def _fallback(self, _request: Request, form: Form) -> Response:
        """Answer in place of a webhook that failed: Twilio says its ErrorCode, and the ErrorUrl that failed."""
        incoming = _incoming(form)
        error = form.first("ErrorCode") or "unknown"
        log.error("fallback-asked", call_sid=incoming.call_sid, error=error, pii_url=form.first("ErrorUrl"))
        return _twiml(self._sorry(incoming, error))

    def _answered(self, incoming: IncomingCall, what: str, plan: Callable[[], Plan]) -> Response:
        if not incoming.call_sid:
            log.warning("webhook-without-call", what=what)
            return Response(status_code=400)
        try:
            return _twiml(render(plan(), self._links))
        except Exception:  # whatever it was, somebody is on the line and hears an apology
            log.exception("webhook-failed", what=what, call_sid=incoming.call_sid)
        return _twiml(self._sorry(incoming, f"{what}-failed"))

    def _sorry(self, incoming: IncomingCall, error: str) -> str:
        try:
            return render(self._exchange.apology(incoming, error), self._links)
        except Exception:  # the last line of defence: nothing after it can fail
            log.exception("apology-failed", call_sid=incoming.call_sid, error=error)
            return LAST_RESORT


def _incoming(form: Form, line: str = "") -> IncomingCall:
    return IncomingCall(
        call_sid=form.first("CallSid"),
        account_sid=form.first("AccountSid"),
        caller=form.first("From"),
        called=form.first("To"),
        direction=form.first("Direction") or "inbound",
        status=form.first("CallStatus") or "ringing",
        line=line,
        parameters=form.flat(),
    )


def _twiml(text: str) -> Response:
    return Response(text, media_type=CONTENT_TYPE)


def _raw_path(request: Request) -> str:
    """The path as it was sent and signed, still percent-encoded."""
    raw = request.scope.get("raw_path")
    return raw.decode("latin-1") if raw is not None else request.url.path


def _raw_query(request: Request) -> str:
    query: bytes = request.scope["query_string"]
    return query.decode("latin-1")
