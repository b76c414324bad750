"""What goes along with a caller who is handed on: attributes of a task, and what is said to whoever sent the call."""

import json
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from gateway.call.moving import MAX_ATTRIBUTES, back_to, task_attributes
from gateway.call.reason import EndReason

NAMES = st.text("abcdef", min_size=1, max_size=6)
DONE = EndReason("success", "done")


def test_the_latest_notes_go_first():
    noted = {"topic": "seat", "story": "x" * 600, "more": "y" * 600}
    assert json.loads(task_attributes({"skill": "billing"}, noted)) == {
        "skill": "billing",
        "topic": "seat",
        "story": "x" * 600,
    }
    assert json.loads(task_attributes({"topic": "line"}, {"topic": "agent"})) == {"topic": "line"}


def test_then_the_longest_value_is_cut():
    text = task_attributes({"skill": "billing", "customer": "Ä" * 800, "order": "7" * 400}, {"topic": "seat"})
    assert len(text) == MAX_ATTRIBUTES
    found = json.loads(text)
    assert (found["skill"], found["order"]) == ("billing", "7" * 400)
    assert set(found["customer"]) == {"Ä"}
    assert "topic" not in found


@given(
    st.dictionaries(NAMES, st.text(max_size=500), max_size=5), st.dictionaries(NAMES, st.text(max_size=500), max_size=5)
)
def test_whatever_was_said_the_carrier_takes_it(fixed, noted):
    text = task_attributes(fixed, noted)
    assert len(text) <= MAX_ATTRIBUTES
    assert fixed.keys() <= json.loads(text).keys()


def test_a_call_goes_back_with_how_it_went_and_the_urls_own_query():
    url = back_to("https://webhooks.twilio.com/v1/F?FlowEvent=return", DONE, {"topic": "seat & meal"}).url
    query = [("FlowEvent", "return"), ("result", "success"), ("reason", "done"), ("topic", "seat & meal")]
    assert parse_qsl(urlsplit(url).query) == query
    url = back_to("https://ivr.example", DONE, {"long": "x" * 4000, "short": "y"}).url
    assert parse_qsl(urlsplit(url).query) == [("result", "success"), ("reason", "done"), ("short", "y")]
