"""The tables of records, and full-text search over what was heard."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    _calls()
    _parts_of_calls()
    _kept_for_themselves()
    if op.get_bind().dialect.name == "sqlite":
        _search_sqlite()
    else:
        _search_postgresql()


def _search_sqlite() -> None:
    op.execute(
        "CREATE VIRTUAL TABLE transcripts_words USING fts5("
        "text, content='transcripts', content_rowid='seq', tokenize='unicode61 remove_diacritics 2')"
    )
    added = "INSERT INTO transcripts_words (rowid, text) VALUES (new.seq, new.text);"
    removed = "INSERT INTO transcripts_words (transcripts_words, rowid, text) VALUES ('delete', old.seq, old.text);"
    op.execute(f"CREATE TRIGGER transcripts_added AFTER INSERT ON transcripts BEGIN {added} END")
    op.execute(f"CREATE TRIGGER transcripts_removed AFTER DELETE ON transcripts BEGIN {removed} END")
    op.execute(f"CREATE TRIGGER transcripts_changed AFTER UPDATE ON transcripts BEGIN {removed} {added} END")


def _search_postgresql() -> None:
    op.execute(
        "ALTER TABLE transcripts ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED"
    )
    op.execute("CREATE INDEX transcripts_words ON transcripts USING gin (words)")


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("call_sid", sa.Text, nullable=False),
        sa.Column("account_sid", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("called", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("answered", sa.Double, nullable=True),
        sa.Column("ended", sa.Double, nullable=True),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("visits", sa.Integer, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("barge_ins", sa.Integer, nullable=False),
        sa.Column("tools", sa.Integer, nullable=False),
        sa.Column("handoffs", sa.Integer, nullable=False),
        sa.Column("transfers", sa.Integer, nullable=False),
        sa.Column("guardrail_trips", sa.Integer, nullable=False),
        sa.Column("slowest_answer", sa.Double, nullable=True),
        sa.Column("cost", sa.Double, nullable=True),
        sa.Column("outcome", sa.JSON, nullable=True),
        sa.Column("outcome_status", sa.Text, nullable=False),
        sa.Column("keep_until", sa.Double, nullable=True),
        sa.Column("words_removed", sa.Boolean, nullable=False),
    )
    op.create_index("calls_call_sid", "calls", ["call_sid"])
    op.create_index("calls_called", "calls", ["called", "id"])
    op.create_index("calls_caller", "calls", ["caller", "id"])
    op.create_index("calls_ended", "calls", ["ended"])
    op.create_index("calls_keep_until", "calls", ["keep_until"])
    op.create_index("calls_line", "calls", ["line", "id"])
    op.create_index("calls_reason", "calls", ["reason", "id"])
    op.create_index("calls_result", "calls", ["result", "id"])


def _parts_of_calls() -> None:
    op.create_table(
        "visits",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("stream_sid", sa.Text, nullable=False),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("ended", sa.Double, nullable=True),
        sa.Column("cause", sa.Text, nullable=False),
    )
    op.create_table(
        "legs",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("leg_sid", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("number_dialled", sa.Text, nullable=False),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("ended", sa.Double, nullable=True),
        sa.Column("status", sa.Text, nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("speaker", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("ended", sa.Double, nullable=True),
        sa.Column("generated", sa.Text, nullable=False),
        sa.Column("heard", sa.Text, nullable=False),
        sa.Column("generated_ms", sa.Double, nullable=False),
        sa.Column("heard_ms", sa.Double, nullable=False),
        sa.Column("cut", sa.Boolean, nullable=False),
        sa.Column("transcription_failed", sa.Boolean, nullable=False),
        sa.Column("waited_sent", sa.Double, nullable=True),
        sa.Column("waited_heard", sa.Double, nullable=True),
    )
    op.create_table(
        "events",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("offset", sa.Double, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("commands", sa.JSON, nullable=False),
    )
    op.create_table(
        "tool_calls",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("tool_call_id", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("ended", sa.Double, nullable=True),
        sa.Column("approval", sa.Text, nullable=False),
        sa.Column("approved_by", sa.Text, nullable=False),
    )
    op.create_table(
        "handoffs",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
    )
    op.create_table(
        "guardrail_trips",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("guardrails", sa.JSON, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
    )
    op.create_table(
        "recordings",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("ended", sa.Double, nullable=True),
        sa.Column("consent", sa.Text, nullable=False),
        sa.Column("consent_sha256", sa.Text, nullable=False),
        sa.Column("notice", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("keep_until", sa.Double, nullable=True),
    )
    op.create_index("recordings_keep_until", "recordings", ["keep_until"])
    op.create_table(
        "notes",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_table(
        "usage",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.Column("cost", sa.Double, nullable=True),
    )
    op.create_table(
        "transcripts",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("call_id", sa.Text, nullable=False, unique=True),
        sa.Column("text", sa.Text, nullable=False),
    )


def _kept_for_themselves() -> None:
    op.create_table(
        "tombstones",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("erased", sa.Double, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "holds",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("placed", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double, nullable=True),
        sa.Column("revoked", sa.Double, nullable=True),
        sa.Column("used", sa.Double, nullable=True),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_index("audit_action", "audit", ["action", "number"])
    op.create_index("audit_line", "audit", ["line", "number"])
    op.create_table(
        "hooks",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("delivered", sa.Double, nullable=True),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("hooks_call", "hooks", ["call_id"])
    op.create_index("hooks_state", "hooks", ["state", "due"])
