"""How lines answer for now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of overrides."""
    op.create_table(
        "line_overrides",
        sa.Column("line", sa.Text, primary_key=True),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("set_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
