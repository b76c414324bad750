"""What a line's file may say about what comes after a call: what is kept, what it came to, and who is told."""

from __future__ import annotations

from pydantic import Field

from gateway.config.units import Checked, Days


class TranscriptConfig(Checked):
    """What is kept of what was said."""

    keep: Days | None = Field(
        default=None,
        description="How long what was said is kept, as `30d` or `1y`; then only that the call took place, and how it "
        "ended. By default without limit.",
    )
