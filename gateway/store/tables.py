"""The tables of records. All but the last group are projections: they can be made again from the calls' logs.

Moments are Unix seconds, durations seconds, unless a name says milliseconds. What a call is named by is its UUID of
version 7, so that the order of ids is the order in which calls began.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Double, Index, Integer, MetaData, Table, TableClause, Text, table

metadata = MetaData()


def _key(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, nullable=False)


def _need(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, nullable=False)


# ---- Projections of the logs ----------------------------------------------------------------------------------------

calls = Table(
    "calls",
    metadata,
    _key("id"),
    _need("call_sid"),
    _need("account_sid"),
    _need("line"),
    _need("direction"),
    _need("caller"),
    _need("called"),
    _need("status"),  # Twilio's words
    _need("began", Double),
    Column("answered", Double),  # when its first stream began
    Column("ended", Double),  # NULL while it lives
    _need("result"),  # empty while it lives, as the next two
    _need("reason"),
    _need("ended_by"),  # caller, agent, operator, carrier, model or gateway
    _need("snapshot"),
    _need("version"),
    _need("node"),
    _need("visits", Integer),
    _need("turns", Integer),
    _need("barge_ins", Integer),
    _need("tools", Integer),
    _need("handoffs", Integer),
    _need("transfers", Integer),
    _need("guardrail_trips", Integer),
    Column("slowest_answer", Double),  # the longest wait of the caller for the first audio of an answer
    Column("cost", Double),  # US dollars, by the operator's price table; NULL where that is not known
    Column("outcome", JSON(none_as_null=True)),
    _need("outcome_status"),  # empty, filled, invalid or failed
    Column("keep_until", Double),  # when what was said is removed; NULL: kept
    _need("words_removed", Boolean),  # what was said is not kept any more
    Index("calls_call_sid", "call_sid"),
    Index("calls_line", "line", "id"),
    Index("calls_caller", "caller", "id"),
    Index("calls_called", "called", "id"),
    Index("calls_result", "result", "id"),
    Index("calls_reason", "reason", "id"),
    Index("calls_ended", "ended"),
    Index("calls_keep_until", "keep_until"),
)

visits = Table(
    "visits",
    metadata,
    _key("call_id"),
    _key("number", Integer),
    _need("stream_sid"),
    _need("began", Double),
    Column("ended", Double),
    _need("cause"),
)

legs = Table(
    "legs",
    metadata,
    _key("call_id"),
    _key("number", Integer),  # 1 is the caller's
    _need("kind"),  # caller or human
    _need("leg_sid"),
    _need("target"),  # the transfer target's name
    _need("number_dialled"),
    _need("began", Double),
    Column("ended", Double),
    _need("status"),
)

turns = Table(
    "turns",
    metadata,
    _key("call_id"),
    _key("item_id"),
    _need("speaker"),
    _need("agent"),
    _need("began", Double),
    Column("ended", Double),
    _need("generated"),
    _need("heard"),  # an estimate for the agent's: the API sends no times of words
    _need("generated_ms", Double),
    _need("heard_ms", Double),
    _need("cut", Boolean),
    _need("transcription_failed", Boolean),
    Column("waited_sent", Double),
    Column("waited_heard", Double),
)

events = Table(
    "events",
    metadata,
    _key("call_id"),
    _key("number", Integer),
    _need("at", Double),
    _need("offset", Double),  # seconds since the call began
    _need("kind"),
    _need("fields", JSON),
    _need("commands", JSON),  # the names of what it led to
)

tool_calls = Table(
    "tool_calls",
    metadata,
    _key("call_id"),
    _key("number", Integer),
    _need("tool_call_id"),
    _need("tool"),
    _need("agent"),
    _need("arguments"),
    _need("result"),
    _need("began", Double),
    Column("ended", Double),
    _need("approval"),  # empty, asked, given or refused
    _need("approved_by"),
)

handoffs = Table(
    "handoffs",
    metadata,
    _key("call_id"),
    _key("number", Integer),
    _need("at", Double),
    _need("before"),
    _need("after"),
)

guardrail_trips = Table(
    "guardrail_trips",
    metadata,
    _key("call_id"),
    _key("number", Integer),
    _need("at", Double),
    _need("guardrails", JSON),
    _need("agent"),
    _need("item_id"),
)

recordings = Table(
    "recordings",
    metadata,
    _key("call_id"),
    _need("began", Double),
    Column("ended", Double),
    _need("consent"),  # what callers are told, or not-needed
    _need("consent_sha256"),
    _need("notice"),  # the address of the sound file that said it; empty where the carrier's voice did
    _need("why"),  # with consent not-needed
    Column("keep_until", Double),
    Index("recordings_keep_until", "keep_until"),
)

notes = Table(
    "notes",
    metadata,
    _key("call_id"),
    _key("number", Integer),
    _need("at", Double),
    _need("what"),
    _need("details", JSON),
)

usage = Table(
    "usage",
    metadata,
    _key("call_id"),
    _key("kind"),
    _need("amount", Integer),
    Column("cost", Double),
)

transcripts = Table(
    "transcripts",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("call_id", Text, nullable=False, unique=True),
    _need("text"),  # what was heard, a line for each turn, and the outcome; what full-text search looks in
)

words_of_sqlite: TableClause = table("transcripts_words")
"""SQLite's index of words, whose rows have the numbers of those of ``transcripts``."""

PROJECTIONS = (
    calls,
    visits,
    legs,
    turns,
    events,
    tool_calls,
    handoffs,
    guardrail_trips,
    recordings,
    notes,
    usage,
    transcripts,
)
"""What ``gateway db rebuild`` makes from the logs."""

# ---- Kept for themselves --------------------------------------------------------------------------------------------

tombstones = Table(
    "tombstones",
    metadata,
    _key("call_id"),
    _need("line"),
    _need("began", Double),
    _need("erased", Double),
    _need("why"),
)

holds = Table(
    "holds",
    metadata,
    _key("subject"),  # a call's id or a number
    _need("placed", Double),
    _need("by"),
    _need("why"),
)

tokens = Table(
    "tokens",
    metadata,
    _key("id"),
    _need("name"),
    _need("hash"),  # SHA-256 of the secret part
    _need("scopes", JSON),
    _need("created", Double),
    Column("expires", Double),
    Column("revoked", Double),
    Column("used", Double),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    _need("at", Double),
    _need("actor"),
    _need("action"),
    _need("subject"),
    _need("line"),
    _need("detail", JSON),
    _need("before"),  # the hash of the entry before
    _need("hash"),
    Index("audit_line", "line", "number"),
    Index("audit_action", "action", "number"),
)

hooks = Table(
    "hooks",
    metadata,
    _key("id"),
    _need("call_id"),
    _need("line"),
    _need("number", Integer),  # its place among those of its call to the same address
    _need("kind"),  # webhook, email or slack
    _need("address"),
    _need("event"),
    _need("body"),
    _need("state"),  # waiting, delivered or dead
    _need("attempts", Integer),
    _need("created", Double),
    _need("due", Double),
    Column("delivered", Double),
    _need("error"),
    Index("hooks_state", "state", "due"),
    Index("hooks_call", "call_id"),
)

line_overrides = Table(
    "line_overrides",
    metadata,
    _key("line"),
    _need("answer"),  # agent, transfer:NAME, say:TEXT or busy
    _need("by"),
    _need("set_at", Double),
    _need("until", Double),  # from then on the line answers as usual
)
