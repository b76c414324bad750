"""Words that callers hear: a text, a recording, or either for each language."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Discriminator, Field, Tag

from gateway.config.units import Checked, Language


class SpokenClip(Checked):
    """A recording, in place of a text."""

    clip: str = Field(min_length=1, description="A WAV file in the folder, such as `clips/hello.wav`.")
    text: str = Field(
        default="", description="What it says: for the transcript, for the agent, and where only a voice can speak."
    )


def _form(value: object) -> str:
    if isinstance(value, SpokenClip):
        return "<clip>"
    if isinstance(value, dict):
        return "<clip>" if not value or {"clip", "text"} & {*value} else "<languages>"
    return "<text>"


_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_OfOneLanguage: TypeAlias = Annotated[
    Annotated[_Text, Tag("<text>")] | Annotated[SpokenClip, Tag("<clip>")],
    Discriminator(lambda value: "<clip>" if isinstance(value, dict | SpokenClip) else "<text>"),
]
Spoken: TypeAlias = Annotated[
    Annotated[_Text, Tag("<text>")]
    | Annotated[SpokenClip, Tag("<clip>")]
    | Annotated[dict[Language, _OfOneLanguage], Tag("<languages>")],
    Discriminator(_form),
]
"""A text, ``{clip, text}``, or a map of languages to either."""
