"""docs/call.md shows the table of states; its diagram is written from the table: scripts/docs."""

import os
from pathlib import Path

from gateway.call.state import TRANSITIONS, State, diagram

DOCS = Path(__file__).parents[2] / "docs" / "call.md"
BEFORE, AFTER = "```mermaid\n", "```\n<!-- end -->"


def test_the_diagram_in_the_docs_is_the_table():
    text = DOCS.read_text(encoding="utf-8")
    start = text.index(BEFORE) + len(BEFORE)
    end = text.index(AFTER, start)
    if os.environ.get("UPDATE_DOCS"):
        DOCS.write_text(text[:start] + diagram() + text[end:], encoding="utf-8")
        return
    assert text[start:end] == diagram(), "run scripts/docs"


def test_every_state_is_drawn_and_can_be_reached_and_left():
    arrows = {tuple(line.split(":")[0].split(" --> ")) for line in diagram().splitlines() if " --> " in line}
    pairs = {(before.strip(), after.strip()) for before, after in arrows}
    assert {after for _, after in pairs} - {"[*]"} == {state.value for state in State}
    assert {before for before, _ in pairs} - {"[*]"} == {state.value for state in State}
    assert len(pairs) == 2 + sum(
        len({target for targets in row.values() for target in targets} - {state}) for state, row in TRANSITIONS.items()
    )
