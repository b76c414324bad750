"""A live call as news, from a real call and its log."""

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.audio import payload
from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.plan import Connect, Say
from gateway.call.policy import Policy, Target
from gateway.call.turns import KEPT
from gateway.store.log import LogWriter
from gateway.store.log_lines import Header
from gateway.web import live as live_module
from gateway.web.live import QUIET, follow, plan_state, server_sent

pytestmark = pytest.mark.anyio

SECOND = payload.encode(b"\xff" * 8000)


class Told:
    """A call with its log, fed by hand."""

    def __init__(self, tmp_path):
        policy = Policy("desk", transfers={"sales": Target("sales", "+14155550111")})
        self.call = Call(policy, 0.0)
        header = Header("id-1", "CA1", "desk", "hash", "1", 0.0, 0.0, policy, {})
        self.writer = LogWriter(tmp_path)
        self.log = self.writer.open(header)
        bridge = SimpleNamespace(call=self.call, log=self.log)
        self.live: Any = SimpleNamespace(call_id="id-1", line=SimpleNamespace(id="desk", label="Desk"), bridge=bridge)
        self.now = 0.0

    def take(self, *events, after=0.01):
        for event in events:
            self.now += after
            commands = self.call.handle(event, self.now)
            self.log.append(self.now, event, commands)
            self.log.settled(self.now, self.call.turns.take_settled())
            if self.call.state == "ended" and self.call.reason is not None:
                self.log.close(self.now, self.call.reason, {})

    def talk(self):
        self.take(e.StreamStarted("MZ1", 1), e.AgentReady(1), e.AgentChanged("", "triage"), e.ResponseStarted("r1"))
        self.take(e.AgentAudio(1, "r1", "i1", 0, SECOND, 8000), e.AgentTranscribed(1, "i1", 0, "one two three four"))

    async def news(self, after=0):
        return [one async for one in follow(self.live, after) if one is not QUIET]


@pytest.fixture
def told(tmp_path, monkeypatch):
    monkeypatch.setattr(live_module, "EVERY", 0.0)
    return Told(tmp_path)


async def test_a_cut_turn_says_what_was_heard_and_what_never_will_be(told):
    told.talk()
    following = follow(told.live)
    first = [await anext(following) for _ in range(3)]
    turn = first[2].data
    assert (turn["unheard"], turn["lost"]) == ("one two three four", False)
    told.take(*[e.CallerAudio(SECOND[:216], 160, 20 * n) for n in range(26)], after=0.02)
    told.take(e.SpeechStarted("c1", 500))
    assert (await anext(following)).kind == "speech"
    cut = await anext(following)
    assert (cut.kind, cut.data["by"]) == ("cut", "caller")
    rest = [await anext(following) for _ in range(3)]
    turn = next(one.data for one in rest if one.data.get("turn") == "i1")
    assert turn["heard"]
    assert turn["heard"] + " " + turn["unheard"] == "one two three four"
    assert turn["lost"]
    await following.aclose()


async def test_tools_approvals_handoffs_and_the_end_are_told_with_their_numbers(told):
    told.talk()
    told.take(e.ToolStarted("find", '{"a": 1}', "t1"), e.ToolEnded("find", "found", "t1"))
    told.take(e.ApprovalAsked("book", "{}", "t2"), e.ApprovalGiven("t2", approved=True, by="operator"))
    told.take(e.AgentChanged("triage", "seats"), e.GuardrailTripped(("no_refunds",), "i1", "r1"), e.DigitPressed("7"))
    following = follow(told.live)
    said = [await anext(following) for _ in range(9)]
    assert [one.kind for one in said[:8]] == ["handoff", "tool", "tool", "tool", "cut", "tool", "handoff", "guardrail"]
    assert [one.data.get("state") for one in said if one.kind == "tool"] == ["running", "done", "waiting", "approved"]
    assert said[5].data["by"] == "operator"
    assert said[8].kind == "key"
    assert said[8].data.keys() == {"at"}  # which key it was stays with the caller
    numbers = [one.number for one in said]
    assert numbers == sorted(numbers, key=lambda number: number or 0)
    told.take(e.StatusChanged("completed"))
    end = [one async for one in following]
    assert end[-1].kind == "ended"
    assert end[-1].data["reason"] == "caller-hung-up"
    assert any(one.data.get("lost") for one in end if one.kind == "turn")  # guarded words are never heard


async def test_a_reader_goes_on_behind_the_number_that_it_knows(told):
    told.talk()
    told.take(e.ToolStarted("a", "{}", "t1"), e.ToolStarted("b", "{}", "t2"))
    following = follow(told.live)
    numbers = [one.number for one in [await anext(following) for _ in range(3)]]
    again = follow(told.live, after=numbers[1] or 0)
    assert (await anext(again)).data["tool"] == "b"
    await following.aclose()
    await again.aclose()
    assert not told.log.feed._watches


async def test_a_call_that_is_over_is_told_with_its_turns(told):
    told.talk()
    told.take(e.StatusChanged("completed"))
    assert [one.kind for one in await told.news()] == ["call", "turn", "ended"]
    lines = b"".join([line async for line in server_sent(told.live)]).split(b"\n\n")
    assert lines[-2].startswith(b"event: ended\ndata: {")


async def test_who_comes_late_to_a_long_call_is_told_all_of_its_turns(told):
    told.writer.start()
    told.take(e.StreamStarted("MZ1", 1), e.AgentReady(1))
    for number in range(2 * KEPT):
        told.take(e.SpeechStarted(f"c{number}", 0), e.SpeechStopped(f"c{number}", 0))
        told.take(e.CallerTranscribed(f"c{number}", f"Number {number}.", final=True))
    told.writer.stop()  # it has written by then
    assert len(told.call.turns.held) == KEPT
    following = follow(told.live)
    heard: list[str] = []
    while len(heard) < 2 * KEPT:
        news = await anext(following)
        heard += [news.data["heard"]] if news.kind == "turn" else []
    await following.aclose()
    assert heard == [f"Number {number}." for number in range(2 * KEPT)]


async def test_a_plan_that_fails_over_is_told_without_tokens(told):
    told.talk()
    told.take(e.AgentLost(1, "model-lost"), e.StreamStopped(1, "closed"), e.ContinuationAsked("in-progress"))
    plan = next(one for one in await told.news() if one.kind in {"plan", "ended"})
    assert plan.kind == "ended"  # the story of a call that is over is in its record
    verbs = [*plan_state((Say("Sorry."), Connect({"token": "secret"})))]
    assert verbs == [{"verb": "say", "text": "Sorry.", "language": ""}, {"verb": "connect"}]
