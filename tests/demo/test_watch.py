"""What a demo shows of a log: beats in their order, with what was measured at the phone."""

from random import Random

import pytest

from gateway.call import events as e
from gateway.call.policy import Policy
from gateway.call.reason import EndReason
from gateway.demo.outcome import Part, Phone
from gateway.demo.rows import rows
from gateway.demo.story import Step
from gateway.demo.watch import Watch
from gateway.store.log_lines import Closed, Entry, Header, silent_payload
from gateway.testing import Behaviour, PhoneCall
from gateway.testing.twilio import silence, tone

VOICE = tone(1000, 300.0, 900.0)


class Telling:
    """Writes a log into a watch, line by line."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.watch.take(Header("c1", "CA1", "desk", "hash", "0", 0.0, 0.0, Policy("desk"), {}))
        self.number = 0

    def __call__(self, at: float, event: e.Event, *commands: list[object]) -> None:
        self.number += 1
        self.watch.take(Entry(self.number, at, event, list(commands)))

    def audio(self, at: float, item: str, seconds: float) -> None:
        size = int(seconds * 8000)
        self(at, e.AgentAudio(1, f"resp_{item}", item, 0, silent_payload(size), size))
        self(at, e.AgentAudioDone(1, item, 0))


def waits(tell: Telling) -> bool:
    return tell.watch.waits_for_consent


@pytest.fixture
def phone():
    """A phone on which somebody spoke from 1 to 2 s, and was answered at 2.6 s."""
    call = PhoneCall(account_sid="AC1", caller="+1", called="+2", behaviour=Behaviour.plain(), random=Random(1))
    call.mouth.said += silence(1000) + VOICE + silence(3000)
    call.ear.heard += silence(2600) + VOICE + silence(1400)
    return call


def test_a_barge_in_stands_before_the_words_that_cut_and_what_was_cut_is_told_apart(phone):
    tell = Telling()
    tell(0.0, e.StreamStarted("MZ1", 1))
    tell(0.0, e.AgentReady(1))
    tell(0.1, e.AgentChanged("", "triage"))
    tell(0.2, e.ResponseStarted("resp_a"))
    tell(0.2, e.AgentTranscribed(1, "a", 0, "One two three four five six seven eight.", final=True))
    tell.audio(0.2, "a", 4.0)
    tell(0.3, e.ResponseDone("resp_a", "completed"))
    assert not rows(tell.watch, Phone(phone, tell.watch))[-1].final
    tell(2.2, e.SpeechStarted("b", 1900))
    tell(2.9, e.SpeechStopped("b", 2800))
    tell(3.0, e.CallerTranscribed("b", "Stop it.", final=True))
    told = rows(tell.watch, Phone(phone, tell.watch))
    assert [row.kind for row in told] == ["agent", "barge-in", "caller"]
    assert told[0].text.startswith("One two three")
    assert told[0].rest.endswith("eight.")
    assert told[0].final
    assert told[2].text == "Stop it."


def test_tools_handoffs_consent_and_the_end(phone):
    tell = Telling()
    tell(0.0, e.StreamStarted("MZ1", 1))
    tell(0.1, e.AgentChanged("", "triage"))
    tell(1.0, e.AgentChanged("triage", "seats"))
    tell(1.1, e.ApprovalAsked("change", '{"seat":"12C"}', "call_1"))
    assert waits(tell)
    tell(1.5, e.DigitPressed("1"), ["DecideTool", {"tool_call_id": "call_1", "approved": True}])
    assert not waits(tell)
    tell(1.6, e.ToolStarted("change", '{"seat":"12C"}', "call_1"))
    assert rows(tell.watch, Phone(phone, tell.watch))[-1].text == "change(seat=12C) ..."
    tell(3.1, e.ToolEnded("change", "Changed.", "call_1"))
    tell.watch.take(Closed(4.0, EndReason("success", "done")))
    told = rows(tell.watch, Phone(phone, tell.watch))
    assert [(row.kind, row.text, row.right) for row in told] == [
        ("handoff", "triage → seats", ""),
        ("consent", "change(seat=12C) waits for a yes: given", ""),
        ("key", "the caller presses 1", ""),
        ("tool", "change(seat=12C) → Changed.", "1.5 s"),
    ]
    assert all(row.final for row in told)
    assert str(tell.watch.reason) == "success: done"


def test_waiting_is_measured_between_what_can_be_heard_at_the_phone(phone):
    watch = Watch()
    measured = Phone(phone, watch)
    measured.parts.append(Part(Step("synthetic", "Hello?"), 7200, 20_000))
    assert measured.answered_ms(0) == 600
    assert measured.silenced_ms(0) is None
    cut = Phone(phone, watch)
    phone.ear.heard[:] = VOICE * 2 + silence(2000)
    cut.parts.append(Part(Step("synthetic", "Stop!", cuts_in_after_ms=500.0), 7200, 20_000))
    assert cut.silenced_ms(0) == 1000
