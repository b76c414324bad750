"""What stays true of a call, whatever either side does in whatever order, at any distance in time."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.call import events as e
from gateway.call.call import Call
from gateway.call.commands import Command, Continue, Finish, Mark, Play
from gateway.call.plan import Connect, Dial, HangUp, Say
from gateway.call.policy import BargeIn, Clip, Policy, Target
from gateway.call.state import State
from tests.call.by_hand import FRAME, payload

ITEMS = st.sampled_from(["a", "b", "c"])
RESPONSES = st.sampled_from(["r1", "r2", "r3"])
POLICIES = st.builds(
    Policy,
    line=st.just("desk"),
    greeting=st.sampled_from(["", "Hello."]),
    greeting_clip=st.sampled_from([None, Clip(*payload(0.5), text="Hello.")]),
    barge_in=st.builds(
        BargeIn,
        allowed=st.booleans(),
        min_speech=st.sampled_from([0.0, 0.3]),
        protect_greeting=st.booleans(),
    ),
    transfers=st.just({"desk": Target("desk", "+15005550009")}),
    end_by=st.sampled_from(["stream", "rest"]),
    silence=st.sampled_from([5.0, 60.0]),
)
SOMETHING = st.one_of(
    st.builds(e.DigitPressed, st.sampled_from("0129*#")),
    st.builds(e.StatusChanged, st.sampled_from(["ringing", "in-progress", "completed", "busy", "no-answer"])),
    st.builds(e.ContinuationAsked, st.sampled_from(["", "in-progress"]), st.sampled_from(["", "completed", "busy"])),
    st.builds(e.CarrierFailed, st.sampled_from(["hang-up", "redirect"]), st.just("x")),
    st.builds(e.MessageRefused, st.just("x")),
    st.builds(e.AgentReady, st.sampled_from([1, 2])),
    st.builds(e.AgentLost, st.sampled_from([1, 2]), st.just("model-lost")),
    st.builds(e.AgentChanged, st.just("a"), st.just("b")),
    st.builds(e.AgentAudioDone, st.sampled_from([1, 2]), ITEMS, st.just(0)),
    st.builds(e.AgentTranscribed, st.sampled_from([1, 2]), ITEMS, st.just(0), st.text(max_size=20), st.booleans()),
    st.builds(e.CallerTranscribed, ITEMS, st.text(max_size=20), st.booleans(), st.booleans()),
    st.builds(e.SpeechStarted, ITEMS, st.integers(0, 10_000)),
    st.builds(e.SpeechStopped, ITEMS, st.integers(0, 10_000)),
    st.builds(e.ResponseStarted, RESPONSES),
    st.builds(e.ResponseDone, RESPONSES, st.sampled_from(["completed", "cancelled", "failed", "incomplete"])),
    st.builds(e.ToolStarted, st.just("find"), st.just("{}"), st.sampled_from(["t1", "t2"])),
    st.builds(e.ToolEnded, st.just("find"), st.just(""), st.sampled_from(["t1", "t2"])),
    st.builds(e.ApprovalAsked, st.just("find"), st.just("{}"), st.sampled_from(["t1", "t2"])),
    st.builds(e.ApprovalGiven, st.sampled_from(["t1", "t2"]), st.booleans(), st.just("x")),
    st.builds(e.GuardrailTripped, st.just(("no",)), ITEMS, RESPONSES),
    st.just(e.Interrupted()),
    st.builds(e.AgentErred, st.just("x"), st.just("x")),
    st.builds(e.HangUpAsked, st.sampled_from(["agent", "caller", "operator", "gateway"]), st.just("done")),
    st.builds(e.TransferAsked, st.just("agent"), st.sampled_from(["desk", "nobody"])),
    st.builds(e.AudioDropped, st.sampled_from(["agent", "carrier"]), st.just(20)),
)


class Interleavings(RuleBasedStateMachine):
    """Every event there is, whatever came before; deadlines are met as they fall due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.stream = 0
        self.frames = 0
        self.marks: list[str] = ["1.0:1"]
        self.taken: list[tuple[e.Event | None, float, list[Command]]] = []
        self.finished = 0

    @initialize(policy=POLICIES)
    def begin(self, policy: Policy) -> None:
        self.policy = policy
        self.call = Call(policy, self.now)

    def tell(self, event: e.Event) -> None:
        was_over = self.call.state is State.ENDED
        commands = self.call.handle(event, self.now)
        self.taken.append((event, self.now, commands))
        assert not (was_over and commands), "a command after the end"
        finishes = [index for index, command in enumerate(commands) if isinstance(command, Finish)]
        assert finishes in ([], [len(commands) - 1]), "Finish is the last command"
        self.finished += len(finishes)
        for command in commands:
            match command:
                case Play(_, size):
                    assert size > 0
                    assert size % 160 == 0
                case Mark(name):
                    assert name not in self.marks[1:]
                    self.marks.append(name)
                case Continue(plan):
                    assert isinstance(event, e.ContinuationAsked)
                    assert plan
                    assert isinstance(plan[-1], Connect | Dial | HangUp | Say)

    @rule(event=SOMETHING)
    def something(self, event: e.Event) -> None:
        self.tell(event)

    @rule(session=st.sampled_from([1, 2]), response=RESPONSES, item=ITEMS, seconds=st.sampled_from([0.01, 0.2, 3.0]))
    def agent_speaks(self, session: int, response: str, item: str, seconds: float) -> None:
        self.tell(e.AgentAudio(session, response, item, 0, *payload(seconds)))

    @rule()
    def a_stream_starts(self) -> None:
        self.stream += 1
        self.frames = 0
        self.tell(e.StreamStarted(f"MZ{self.stream}", self.stream))

    @rule(older=st.booleans(), cause=st.sampled_from(["stop", "closed", "lost", "malformed", "superseded"]))
    def a_stream_stops(self, *, older: bool, cause: e.StopCause) -> None:
        self.tell(e.StreamStopped(self.stream - older, cause))

    @rule(data=st.data())
    def a_mark_comes_back(self, data: st.DataObject) -> None:
        self.tell(e.MarkReached(data.draw(st.sampled_from(self.marks))))

    @rule(count=st.integers(1, 20))
    def frames_come(self, count: int) -> None:
        for _ in range(count):
            self.now += 0.02
            self.tell(e.CallerAudio(FRAME, 160, self.frames * 20))
            self.frames += 1

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.6, 5.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(1000):
            deadline = self.call.deadline
            if deadline is None or deadline > until:
                self.now = until
                return
            self.now = max(self.now, deadline)
            self.tell(e.TimePassed())
        raise AssertionError("the call names deadlines without end")

    @invariant()
    def no_more_was_heard_than_sent(self) -> None:
        ledger = self.call.playout
        self.taken.append(
            (None, self.now, [])
        )  # What the ledger is asked moves what it believes: a log holds that too.
        assert ledger.heard(self.now) <= ledger.sent + 1e-6
        for turn in self.call.turns.held:
            assert turn.heard_ms <= turn.generated_ms + 1e-6
            assert turn.generated.startswith(turn.heard)

    @invariant()
    def the_record_is_closed_once_and_then_nothing_is_waited_for(self) -> None:
        assert self.finished == (self.call.state is State.ENDED)
        if self.call.state is State.ENDED:
            assert self.call.deadline is None
            assert self.call.reason is not None

    def teardown(self) -> None:
        """The same events give the same commands."""
        again = Call(self.policy, 0.0)
        for event, now, commands in self.taken:
            if event is None:
                again.playout.heard(now)
            else:
                assert again.handle(event, now) == commands


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
