"""What the API gives and takes. Moments are ISO 8601 in UTC, durations seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from gateway.web.api.operation import Given

Result: TypeAlias = Literal["success", "caller", "agent", "carrier", "model", "gateway"]
Kebab: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
CallId: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
Party: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+:@._-]{1,128}$")]

_EARLIEST, _LATEST = 1971, 9998


def _moment(value: object) -> object:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value


Moment: TypeAlias = Annotated[datetime, BeforeValidator(_moment)]


def _aware(value: object) -> object:
    """Read a moment as RFC 3339 has it; the zone may be left out (UTC). Far away moments are as good as nearer ones."""
    if not isinstance(value, str):
        return value
    try:  # Python knows no leap seconds, and no zone in lower case.
        moment = datetime.fromisoformat(re.sub(r"(:\d\d):60", r"\1:59", value.upper()))
    except ValueError:
        raise ValueError("write a moment such as 2026-11-25T08:30:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.year < _EARLIEST:
        return datetime(_EARLIEST, 1, 1, tzinfo=UTC)
    return datetime(_LATEST, 1, 1, tzinfo=UTC) if moment.year > _LATEST else moment


GivenMoment: TypeAlias = Annotated[
    datetime, BeforeValidator(_aware), Field(json_schema_extra={"type": "string", "format": "date-time"})
]


class Shown(BaseModel):
    """Something that the API gives; built from a row of a table."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Fault(Shown):
    code: str = Field(description="What is wrong, in kebab-case; stays the same over versions.")
    message: str = Field(description="What is wrong, for people.")


class Problem(Shown):
    error: Fault


# ---- Given ----------------------------------------------------------------------------------------------------------


class CallsQuery(Given):
    line: Kebab | None = Field(None, description="The line's name.")
    caller: Party | None = Field(None, description="The caller's number, in E.164.")
    called: Party | None = Field(None, description="The number that was called.")
    call_sid: Kebab | None = Field(None, description="The carrier's id of the call.")
    result: Result | None = Field(None, description="Who is to blame for the end, or success.")
    reason: Kebab | None = Field(None, description="Why it ended, such as caller-hung-up.")
    status: Kebab | None = Field(None, description="In Twilio's words, such as in-progress or completed.")
    live: bool | None = Field(None, description="Whether it goes on.")
    since: GivenMoment | None = Field(None, description="Calls that began at this moment or later.")
    until: GivenMoment | None = Field(None, description="Calls that began before this moment.")
    q: Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,200}$")] | None = Field(
        None, description='Words and "phrases" that were heard on the call or stand in its outcome.'
    )
    limit: int = Field(50, ge=1, le=200, description="How many at most.")
    cursor: CallId | None = Field(None, description="The `next` of the page before.")


class EventsQuery(Given):
    after: int = Field(0, ge=0, le=2**31 - 1, description="Events behind the one with this number.")
    limit: int = Field(1000, ge=1, le=5000, description="How many at most.")


class SpanQuery(Given):
    since: GivenMoment | None = Field(None, description="By default a day ago.")
    until: GivenMoment | None = Field(None, description="By default now.")
    line: Kebab | None = Field(None, description="Of this line only.")


class Decision(Given):
    approved: bool = Field(description="Whether the tool may run.")


class Masking(Given):
    seconds: float = Field(gt=0, le=600, description="How much of the past is taken out of the recording.")


# ---- Calls ----------------------------------------------------------------------------------------------------------


class Call(Shown):
    id: str
    call_sid: str = Field(description="The carrier's id.")
    line: str
    direction: str
    caller: str
    called: str
    status: str = Field(description="In Twilio's words.")
    began: Moment
    answered: Moment | None = Field(description="When its first stream began.")
    ended: Moment | None = Field(description="null while it lives.")
    result: str = Field(description="success, or who is to blame; empty while it lives.")
    reason: str = Field(description="Why it ended, in kebab-case.")
    ended_by: str = Field(description="caller, agent, operator, carrier, model or gateway.")
    snapshot: str = Field(description="The hash of the lines' snapshot that it used.")
    turns: int
    barge_ins: int
    tools: int
    transfers: int
    slowest_answer: float | None = Field(description="The caller's longest wait for an answer.")
    cost: float | None = Field(description="US dollars, where prices are known.")
    outcome: Any = Field(description="What the call came to, as the line's schema has it.")
    outcome_status: str = Field(description="Empty, filled, invalid or failed.")


class FoundCall(Call):
    visits: int = Field(description="How many streams it had.")
    handoffs: int
    guardrail_trips: int
    match: str | None = Field(None, description="With q: a piece of what was said around the first match.")


class Calls(Shown):
    calls: list[FoundCall]
    next: str | None = Field(description="The cursor of the next page; null at the end.")


class Visit(Shown):
    number: int
    stream_sid: str
    began: Moment
    ended: Moment | None
    cause: str


class Leg(Shown):
    number: int
    kind: str = Field(description="caller, or human.")
    leg_sid: str
    target: str = Field(description="The transfer target's name.")
    number_dialled: str
    began: Moment
    ended: Moment | None
    status: str


class ToolCall(Shown):
    number: int
    tool_call_id: str
    tool: str
    agent: str
    arguments: str
    result: str
    began: Moment
    ended: Moment | None
    approval: str = Field(description="Empty, asked, given or refused.")
    approved_by: str


class Handoff(Shown):
    number: int
    at: Moment
    before: str
    after: str


class Trip(Shown):
    number: int
    at: Moment
    guardrails: list[str]
    agent: str
    item_id: str


class Recording(Shown):
    began: Moment
    ended: Moment | None
    consent: str = Field(description="What callers were told, or not-needed.")
    consent_sha256: str
    keep_until: Moment | None


class Usage(Shown):
    kind: str
    amount: int
    cost: float | None


class WholeCall(Call):
    visits: list[Visit]
    legs: list[Leg]
    tool_calls: list[ToolCall]
    handoffs: list[Handoff]
    guardrail_trips: list[Trip]
    recordings: list[Recording]
    usage: list[Usage]


class Turn(Shown):
    item_id: str
    speaker: Literal["caller", "agent"]
    agent: str
    began: Moment
    ended: Moment | None
    heard: str = Field(description="What reached the ear; for the agent an estimate.")
    generated: str
    heard_ms: float
    generated_ms: float
    cut: bool = Field(description="Whether the agent was cut short.")
    transcription_failed: bool
    waited_sent: float | None
    waited_heard: float | None


class Transcript(Shown):
    call_id: str
    turns: list[Turn]


class Event(Shown):
    number: int
    at: Moment
    offset: float = Field(description="Seconds since the call began.")
    kind: str
    fields: dict[str, Any]
    commands: list[str] = Field(description="What it led to.")


class Events(Shown):
    events: list[Event]
    next: int | None = Field(description="The `after` of the next page; null where there are no more yet.")


class Accepted(Shown):
    accepted: bool = True


# ---- Streams for calls that others answer ---------------------------------------------------------------------------

Address: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+:;=@._-]{0,128}$")]


class OfferedCall(Given):
    call_sid: Annotated[str, StringConstraints(pattern=r"^CA[0-9a-f]{32}$")] = Field(description="The call at Twilio.")
    account_sid: Annotated[str, StringConstraints(pattern=r"^AC[0-9a-f]{32}$")] = Field(
        description="The account that the call belongs to."
    )
    caller: Address = Field(default="", description="`From` of the voice webhook.")
    called: Address = Field(default="", description="`To` of the voice webhook; its line answers.")
    line: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{0,64}$")] = Field(
        default="", description="The line that answers, in place of the one of `called`."
    )
    vars: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="Variables; those that the line declares count."
    )


class Offer(Shown):
    call_id: str | None = Field(description="The call here; null where the line does not take it.")
    token: str | None = Field(description='For `<Parameter name="token">` of the stream; good for a minute, once.')
    stream_url: str = Field(description="The `url` of `<Stream>`.")
    action_url: str = Field(description="The `action` of `<Connect>`: what is next is asked there.")
    twiml: str = Field(description="A whole document that does it; or what the line says instead of taking the call.")


# ---- Lines and figures ----------------------------------------------------------------------------------------------


class Line(Shown):
    id: str
    label: str
    numbers: list[str]
    default: bool
    language: str
    timezone: str
    agent: str
    agents: list[str]
    recording: str = Field(description="off, or dual.")
    live: int = Field(description="Calls that it has on this node now.")


class Lines(Shown):
    snapshot: str
    lines: list[Line]


class Group(Shown):
    line: str
    result: str
    reason: str
    calls: int
    seconds: float | None
    barge_ins: int
    transfers: int
    cost: float | None


class Summary(Shown):
    since: Moment
    until: Moment
    live: int = Field(description="Calls on this node now.")
    capacity: int
    groups: list[Group]
    slowest_answer_p50: float | None
    slowest_answer_p95: float | None
