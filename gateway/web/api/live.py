"""What may be done to live calls, and following them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from gateway.call.events import ApprovalGiven, HangUpAsked
from gateway.exchange import Exchange
from gateway.livecall import LiveCall
from gateway.store import audit
from gateway.store import calls as records
from gateway.store.database import Database
from gateway.web.api import models
from gateway.web.api.calls import no_such_call
from gateway.web.api.operation import NO_SUCH_CALL, NOT_LIVE, Asked, Given, Operation, Refused, Run
from gateway.web.live import News, server_sent


class LiveApi:
    """Acts on the live calls of this node."""

    def __init__(self, database: Database, exchange: Exchange) -> None:
        self._database = database
        self._exchange = exchange

    def operations(self) -> list[Operation]:
        one = "/calls/{call_id}"
        follow = Operation(
            "get",
            f"{one}/live",
            "read",
            "followCall",
            "The call as server-sent events, until it is over; `Last-Event-ID` goes on where a reader was.",
            self._follow,
            "text/event-stream",
            refusals=(NO_SUCH_CALL, NOT_LIVE),
        )
        return [
            follow,
            _acting(f"{one}/end", "endCall", "End a call, after the agent's last word.", self._end),
            _acting(
                f"{one}/tools/{{tool_call_id}}",
                "decideTool",
                "Say yes or no to a tool that waits.",
                self._decide,
                models.Decision,
            ),
            _acting(
                f"{one}/recording/pause", "pauseRecording", "Leave out of the recording what is said now.", self._pause
            ),
            _acting(f"{one}/recording/resume", "resumeRecording", "Record again.", self._resume),
            _acting(
                f"{one}/recording/mask",
                "maskRecording",
                "Take the last seconds out of the recording.",
                self._mask,
                models.Masking,
            ),
        ]

    async def _end(self, asked: Asked) -> BaseModel:
        live = await self._live(asked)
        await self._note(asked, live, "call-ended")
        live.bridge.emit(HangUpAsked("operator", "operator-hung-up"))
        return models.Accepted()

    async def _decide(self, asked: Asked) -> BaseModel:
        live = await self._live(asked)
        tool_call_id = asked.path["tool_call_id"]
        if tool_call_id not in live.bridge.call.approvals:
            raise Refused(404, "no-such-tool", "No tool of this id waits for a yes.")
        await self._note(asked, live, "tool-approved" if asked.body.approved else "tool-refused")
        live.bridge.emit(ApprovalGiven(tool_call_id, asked.body.approved, asked.actor))
        return models.Accepted()

    async def _pause(self, asked: Asked) -> BaseModel:
        live = await self._live(asked)
        return await self._recording(asked, live, "recording-paused", done=live.pause_recording(asked.actor))

    async def _resume(self, asked: Asked) -> BaseModel:
        live = await self._live(asked)
        return await self._recording(asked, live, "recording-resumed", done=live.resume_recording(asked.actor))

    async def _mask(self, asked: Asked) -> BaseModel:
        live = await self._live(asked)
        done = live.mask_recording(asked.body.seconds, asked.actor)
        return await self._recording(asked, live, "recording-masked", done=done)

    async def _recording(self, asked: Asked, live: LiveCall, action: str, *, done: bool) -> BaseModel:
        if not done:
            raise Refused(409, "not-recorded", "The call is not recorded.")
        await self._note(asked, live, action)
        return models.Accepted()

    async def _follow(self, asked: Asked) -> Response:
        given = asked.request.headers.get("last-event-id", "0")
        if not given.isascii() or not given.isdigit():
            raise Refused(400, "malformed", "Last-Event-ID is no number that was sent.")
        call_id = asked.path["call_id"]
        live = self._exchange.find(call_id)
        news = server_sent(live, int(given)) if live is not None else await self._end_of(call_id)
        return StreamingResponse(news, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _end_of(self, call_id: str) -> AsyncIterator[bytes]:
        async with self._database.read() as connection:
            found = await records.get_call(connection, call_id)
        if found is None:
            raise await no_such_call(self._database, call_id)
        if found["ended"] is None:
            raise Refused(409, "not-live-here", "The call is not live on this node.")
        return _once(News("ended", {"result": found["result"], "reason": found["reason"], "missed": 0}))

    async def _live(self, asked: Asked) -> LiveCall:
        live = self._exchange.find(asked.path["call_id"])
        if live is not None and live.reason is None:
            return live
        async with self._database.read() as connection:
            known = live is not None or await records.get_call(connection, asked.path["call_id"]) is not None
        if not known:
            raise await no_such_call(self._database, asked.path["call_id"])
        raise Refused(409, "not-live-here", "The call is not live on this node.")

    async def _note(self, asked: Asked, live: LiveCall, action: str) -> None:
        async with self._database.write() as connection:
            await audit.note(connection, asked.actor, action, subject=live.call_id, line=live.line.id)


def _acting(path: str, name: str, summary: str, run: Run, body: type[Given] | None = None) -> Operation:
    return Operation(
        "post",
        path,
        "operate",
        name,
        summary,
        run,
        models.Accepted,
        status=202,
        body=body,
        refusals=(NO_SUCH_CALL, NOT_LIVE),
    )


async def _once(news: News) -> AsyncIterator[bytes]:
    yield news.as_sse()
