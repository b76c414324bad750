"""The carrier's REST API on loopback: calls, numbers, applications, alerts; shaped as in its OpenAPI description."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.testing.twilio.account import Account, Application, Number, shown, update
from gateway.testing.twilio.call import PhoneCall
from gateway.testing.twilio.webhook import Target

MAX_TWIML = 4000
Redirect: TypeAlias = Callable[[PhoneCall, Target | str], None]


class RestError(Exception):
    """A request is refused with one of the carrier's error codes."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        body = {
            "code": self.code,
            "message": str(self),
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
        return JSONResponse(body, self.status, headers)


class Rest:
    """The REST API of one account, as an ASGI application; every request is kept in ``requests``."""

    def __init__(self, account: Account, calls: Mapping[str, PhoneCall], redirect: Redirect) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path, fields."""
        self.forgets_calls = False
        """Are calls that are over unknown (404) rather than in the wrong state (21220)."""
        self._account = account
        self._calls = calls
        self._redirect = redirect
        self._failures: deque[tuple[int, int, dict[str, str]]] = deque()
        base = "/2010-04-01/Accounts/{account}"
        self.app = Starlette(
            routes=[
                self._route(base + ".json", self._owner, "GET"),
                self._route(base + "/Calls.json", self._list_calls, "GET"),
                self._route(base + "/Calls/{sid}.json", self._call, "GET", "POST"),
                self._route(base + "/IncomingPhoneNumbers.json", self._list_numbers, "GET"),
                self._route(base + "/IncomingPhoneNumbers/{sid}.json", self._number, "GET", "POST"),
                self._route(base + "/Applications.json", self._applications, "GET", "POST"),
                self._route(base + "/Applications/{sid}.json", self._application, "GET", "POST"),
                self._route("/v1/Alerts", self._alerts, "GET"),
                self._route("/v2/PhoneNumbers/{number}", self._inbound_route, "GET"),
            ]
        )

    def fail_next(
        self, status: int, code: int = 0, *, times: int = 1, headers: Mapping[str, str] | None = None
    ) -> None:
        """Have the next requests fail, whatever they ask."""
        self._failures.extend([(status, code or 20000 + status, dict(headers or {}))] * times)

    def clear_failures(self) -> None:
        """Let requests succeed again."""
        self._failures.clear()

    # ---- Requests ---------------------------------------------------------------------------------------------------

    def _route(self, path: str, answer: Callable[[Request, dict[str, str]], Response], *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            body = (await request.body()).decode() if request.method == "POST" else str(request.url.query)
            fields = dict(parse_qsl(body, keep_blank_values=True))
            self.requests.append((request.method, request.url.path, fields))
            if self._failures:
                status, code, headers = self._failures.popleft()
                return RestError(status, code, "told to fail").response(headers)
            try:
                self._authenticate(request)
                return answer(request, fields)
            except RestError as error:
                return error.response()

        endpoint_typed: Callable[[Request], Awaitable[Response]] = endpoint
        return Route(path, endpoint_typed, methods=list(methods))

    def _authenticate(self, request: Request) -> None:
        account = self._account
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(credentials).decode() if scheme.lower() == "basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            given = ""
        if not secrets.compare_digest(given.encode(), f"{account.sid}:{account.auth_token}".encode()):
            raise RestError(401, 20003, "Authentication Error - invalid username")
        if request.path_params.get("account", account.sid) != account.sid:
            raise _missing(request)

    # ---- Calls ------------------------------------------------------------------------------------------------------

    def _list_calls(self, request: Request, fields: dict[str, str]) -> Response:
        wanted = [
            call
            for call in self._calls.values()
            if fields.get("Status", call.status) == call.status and fields.get("To", call.called) == call.called
        ]
        return _page(request, "calls", [shown_call(call) for call in reversed(wanted)])

    def _call(self, request: Request, fields: dict[str, str]) -> Response:
        call = self._calls.get(request.path_params["sid"])
        if call is None or (call.is_over and self.forgets_calls):
            raise _missing(request)
        if request.method == "POST":
            self._update(call, fields)
        return JSONResponse(shown_call(call))

    def _update(self, call: PhoneCall, fields: dict[str, str]) -> None:
        twiml, url, status = fields.get("Twiml", ""), fields.get("Url", ""), fields.get("Status", "")
        if status not in {"", "completed", "canceled"}:
            raise RestError(400, 21218, f"Invalid Status: {status}")
        if len(twiml) > MAX_TWIML:
            raise RestError(400, 32018, f"Twiml parameter is over {MAX_TWIML} characters")
        if not (twiml or url or status):
            raise RestError(400, 21101, "a call is updated by Twiml, Url or Status")
        if call.is_over or (call.answered_at is None and (twiml or url)):
            raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
        if status == "completed":
            call.end("api")
        elif status == "canceled":
            if call.answered_at is None:
                call.end("api", "canceled")
        else:
            self._redirect(call, Target("rest", url, fields.get("Method", "POST")) if url else twiml)

    # ---- The account itself, numbers, applications, alerts ---------------------------------------------------------

    def _owner(self, _request: Request, _fields: dict[str, str]) -> Response:
        account = self._account
        shape = {"sid": account.sid, "friendly_name": "Acme", "status": account.status, "type": account.type}
        return JSONResponse(shape | {"owner_account_sid": account.sid})

    def _list_numbers(self, request: Request, fields: dict[str, str]) -> Response:
        wanted = fields.get("PhoneNumber", "").replace("*", "")
        numbers = [each for each in self._account.numbers.values() if wanted in each.phone_number]
        return _page(request, "incoming_phone_numbers", [shown(self._account, each) for each in numbers])

    def _number(self, request: Request, fields: dict[str, str]) -> Response:
        return self._entry(request, fields, self._account.numbers)

    def _inbound_route(self, request: Request, _fields: dict[str, str]) -> Response:
        """Answer as Twilio's Routes API does: which region processes the calls of a number."""
        number = self._account.number(request.path_params["number"])
        if number is None:
            raise _missing(request)
        shape = {"phone_number": number.phone_number, "sid": "QQ" + number.sid[2:], "account_sid": self._account.sid}
        return JSONResponse(shape | {"voice_region": number.voice_region, "friendly_name": number.friendly_name})

    def _applications(self, request: Request, fields: dict[str, str]) -> Response:
        if request.method == "POST":
            made = Application()
            update(made, fields)
            self._account.add(made)
            return JSONResponse(shown(self._account, made), 201)
        entries = [shown(self._account, each) for each in self._account.applications.values()]
        return _page(request, "applications", entries)

    def _application(self, request: Request, fields: dict[str, str]) -> Response:
        return self._entry(request, fields, self._account.applications)

    def _entry(
        self, request: Request, fields: dict[str, str], entries: Mapping[str, Number] | Mapping[str, Application]
    ) -> Response:
        entry = entries.get(request.path_params["sid"])
        if entry is None:
            raise _missing(request)
        if request.method == "POST":
            update(entry, fields)
        return JSONResponse(shown(self._account, entry))

    def _alerts(self, request: Request, _fields: dict[str, str]) -> Response:
        size, page = int(request.query_params.get("PageSize", 50)), int(request.query_params.get("Page", 0))
        raised = self._account.alerts[::-1]
        following = str(request.url.include_query_params(PageSize=size, Page=page + 1))
        alerts = [
            {
                "sid": alert.sid,
                "account_sid": self._account.sid,
                "error_code": str(alert.code),
                "log_level": alert.level,
                "alert_text": alert.message,
                "resource_sid": alert.call_sid,
                "date_created": alert.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
                "date_generated": alert.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
                "more_info": f"https://www.twilio.com/docs/errors/{alert.code}",
            }
            for alert in raised[page * size : (page + 1) * size]
        ]
        next_page_url = following if len(raised) > (page + 1) * size else None
        meta = {"key": "alerts", "page": page, "page_size": size, "next_page_url": next_page_url}
        return JSONResponse({"alerts": alerts, "meta": meta})


def shown_call(call: PhoneCall) -> dict[str, Any]:
    """Return a call as REST shows it."""
    uri = f"/2010-04-01/Accounts/{call.account_sid}/Calls/{call.sid}.json"
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "parent_call_sid": None,
        "to": call.called,
        "from": call.caller,
        "status": call.status,
        "direction": call.direction,
        "duration": str(call.duration) if call.is_over else None,
        "start_time": _date(call.answered_at),
        "end_time": _date(call.ended_at),
        "date_created": _date(call.created),
        "date_updated": _date(call.ended_at or call.answered_at or call.created),
        "answered_by": None,
        "api_version": "2010-04-01",
        "caller_name": None,
        "forwarded_from": None,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "uri": uri,
        "subresource_uris": {"streams": uri.replace(".json", "/Streams.json")},
    }


def _date(moment: datetime | None) -> str | None:
    return format_datetime(moment) if moment else None


def _page(request: Request, key: str, entries: list[dict[str, Any]]) -> Response:
    uri = request.url.path
    body = {key: entries, "page": 0, "page_size": max(50, len(entries)), "start": 0, "end": max(0, len(entries) - 1)}
    return JSONResponse(body | {"uri": uri, "first_page_uri": uri, "next_page_uri": None, "previous_page_uri": None})


def _missing(request: Request) -> RestError:
    return RestError(404, 20404, f"The requested resource {json.dumps(request.url.path)} was not found")
