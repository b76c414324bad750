"""What the caller of the demo does, and what has to come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NUMBER = "+14155550100"
"""The number that the airline's line answers."""
LINE = "airline"
VOICE = "cedar"
"""The caller's voice: the same network as the agent's, a good deal lower."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the caller does.

    ``synthetic`` speech is said once the agent has answered what was before; ``recorded`` is too, by a real person
    (``file`` has the sound, ``text`` the words in it); ``keys`` are pressed once the agent has asked for consent.
    With ``cuts_in_after_ms`` the caller speaks over the agent, once that has spoken for so long.
    """

    kind: Literal["synthetic", "recorded", "keys"]
    text: str
    file: str = ""
    who: str = ""
    cuts_in_after_ms: float | None = None

    @property
    def cuts_in(self) -> bool:
        return self.cuts_in_after_ms is not None


STORY = (
    Step("synthetic", "Hi, I have a question about my baggage. What may I bring?"),
    Step("synthetic", "Sorry, wait. Is there wifi on board?", cuts_in_after_ms=4000.0),
    Step("recorded", "go somewhere and do something", "cmu_something.wav", "a man, recorded for CMU Sphinx"),
    Step("recorded", "he was not an ill disposed young man", "librivox_austen_0880.wav", "a LibriVox reader"),
    Step("synthetic", "Can you find my booking, please? The number is one two three four five six."),
    Step("synthetic", "Please change my seat to twelve C."),
    Step("keys", "1"),
    Step("synthetic", "That is all, thank you. Goodbye."),
)
MOST_WRONG = 0.25
"""The word error rate of the recorded speech from which on the demo has failed."""
TOOLS = ("faq_lookup", "find_booking", "change_seat", "hang_up")
"""What has to have run."""
