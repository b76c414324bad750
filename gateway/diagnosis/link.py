"""What was wrong between the carrier and us: streams, frames, marks, requests, transfers; and how calls ended."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.call import events as e
from gateway.diagnosis.case import Case
from gateway.diagnosis.finding import Code, Finding
from gateway.store.joined import PROCESS_LOST

GAP = 2.0
"""Seconds without a frame, which a carrier sends fifty times a second, silence too."""
LATE = 0.5
"""Seconds by which frames came late: as much as the silence that ends a turn (reliability N4 calls 2 s a stall)."""
MARKS = 10
"""Marks that are enough to know that none comes back."""
_DIED = "see the machine's log at that time: out of memory, killed, lost"
_ANSWERED = frozenset({"", "completed", "answered"})


def streams(case: Case) -> Iterator[Finding]:
    """Streams that never came, or broke."""
    if not case.story.streams and case.reason == "no-stream":
        yield case.finding(
            Code.NO_STREAM,
            case.story.ended or case.story.last,
            "the carrier got our answer and never opened its stream",
            "`gateway why CA...` tells the carrier's own reason; GATEWAY_PUBLIC_URL must be reachable as wss",
        )
    for stream in case.story.streams:
        if stream.ended is None or stream.cause not in {"lost", "malformed"}:
            continue
        back = min((each.began for each in case.story.streams if each.began > stream.ended), default=None)
        after = f"it was back after {back - stream.ended:.1f} s" if back is not None else "it never came back"
        yield case.finding(
            Code.STREAM_LOST,
            stream.ended,
            f"the carrier's stream {stream.number} broke ({stream.cause}); {after}",
            "the network, or a proxy that closes idle or long connections, between the carrier and the gateway",
        )


def frames(case: Case) -> Iterator[Finding]:
    """Sound of the caller that stopped, or came late."""
    long = [gap for gap in case.frames.gaps if gap.seconds >= GAP]
    if long and any(stream.frames for stream in case.story.streams):
        total = sum(gap.seconds for gap in long)
        yield case.finding(
            Code.AUDIO_GAP,
            long[0].begin,
            f"no sound of the caller came for {total:.1f} s in all, {len(long)} times, though the stream was open",
            "ask the carrier (its warning 31953 says so): the caller's own network stopped sending",
        )
    if case.frames.late >= LATE:
        yield case.finding(
            Code.AUDIO_LATE,
            case.frames.late_at,
            f"the caller's sound came up to {case.frames.late:.1f} s late, and so did every answer",
            "a slow network, or a machine that was too busy: see gateway_frame_lag_seconds at that time",
        )


def dropped(case: Case) -> Iterator[Finding]:
    """Sound that one side could not take in time."""
    for side, change in (
        ("agent", "the model's server took the caller's sound too slowly: its network, or the server"),
        ("carrier", "the carrier took the agent's sound too slowly, or answers are over a minute long"),
    ):
        drops = [
            (entry.at, entry.event.milliseconds)
            for entry in case.entries
            if isinstance(entry.event, e.AudioDropped) and entry.event.side == side
        ]
        if drops:
            total = sum(milliseconds for _, milliseconds in drops)
            who = "the caller" if side == "agent" else "the agent"
            seen = f"{total / 1000:.1f} s of {who} were thrown away on the way to the {side}"
            yield case.finding(Code.AUDIO_DROPPED, drops[0][0], seen, change)


def marks(case: Case) -> Iterator[Finding]:
    """A carrier that never says what was heard."""
    sent = [entry.at for entry in case.entries for name, _ in entry.commands if name == "Mark"]
    echoed = any(isinstance(entry.event, e.MarkReached) for entry in case.entries)
    if len(sent) >= MARKS and not echoed:
        yield case.finding(
            Code.MARKS_MISSING,
            sent[0],
            f"not one of {len(sent)} marks came back: what was heard is an estimate, and nobody knows that it was",
            "a proxy or a carrier that drops messages of ours; Twilio always echoes marks",
        )


def refused(case: Case) -> Iterator[Finding]:
    """Messages of the carrier that made no sense."""
    bad = [entry for entry in case.entries if isinstance(entry.event, e.MessageRefused)]
    if bad:
        assert isinstance(bad[0].event, e.MessageRefused)  # noqa: S101 - chosen so
        yield case.finding(
            Code.MESSAGES_REFUSED,
            bad[0].at,
            f"{len(bad)} messages of the carrier could not be read, the first since {bad[0].event.why}",
            "something between the carrier and the gateway changes messages; or it is not the carrier",
        )


def requests(case: Case) -> Iterator[Finding]:
    """What the carrier's API did not do."""
    for entry in case.entries:
        if isinstance(entry.event, e.CarrierFailed):
            yield case.finding(
                Code.CARRIER_REQUEST_FAILED,
                entry.at,
                f"the {entry.event.operation} by the carrier's API failed: {entry.event.reason[:200]}",
                "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN to the number's account; `gateway doctor` tries them",
                "end_by",
            )


def transfers(case: Case) -> Iterator[Finding]:
    """People who could not be reached."""
    asked: tuple[float, str] | None = None
    for entry in case.entries:
        match entry.event:
            case e.TransferAsked(_, target):
                asked = entry.at, target
                if target not in case.policy.transfers:
                    yield case.finding(
                        Code.TRANSFER_FAILED,
                        entry.at,
                        f"the agent wanted to transfer to {target}, whom the line does not name",
                        "name them under transfer:, or tell the agent whom it may transfer to",
                        "transfer",
                    )
            case e.ContinuationAsked(_, status) if status not in _ANSWERED:
                at, target = asked or (entry.at, case.policy.on_failure.then)
                yield case.finding(
                    Code.TRANSFER_FAILED,
                    at,
                    f"the transfer to {target or 'somebody'} came to nothing: {status} after {entry.at - at:.0f} s",
                    "let it ring longer, or say what the agent is to do when nobody answers",
                    f"transfer.{target}.timeout",
                    f"transfer.{target}.to",
                )
            case _:
                pass


def ends(case: Case) -> Iterator[Finding]:
    """Calls that were ended by no wish of caller or agent."""
    at = case.story.ended if case.story.ended is not None else case.story.last
    for note in case.story.notes:
        if note.what == PROCESS_LOST:
            yield case.finding(
                Code.PROCESS_LOST,
                note.at,
                f"the gateway's process died; another took the call up {note.details['seconds']:.1f} s later",
                _DIED,
            )
    match case.reason:
        case "max-duration":
            yield case.finding(
                Code.ENDED_BY_LIMIT,
                case.departed() or at,
                f"the call reached the longest duration, {case.policy.max_duration:g} s, and was ended",
                "allow longer calls, or tell the agent to come to an end",
                "limits.max_duration",
            )
        case "drained":
            yield case.finding(
                Code.ENDED_BY_DEPLOY,
                case.departed() or at,
                "the gateway was stopped, and the call was not over when its time to drain was",
                "give calls more time: GATEWAY_DRAIN_TIMEOUT, and whatever stops the process",
            )
        case "process-lost":
            yield case.finding(
                Code.PROCESS_LOST,
                at,
                "the gateway's process died during the call",
                _DIED,
            )
        case "internal-error":
            yield case.finding(
                Code.INTERNAL_ERROR,
                at,
                "the gateway itself failed",
                "the gateway's log has call-failed with a traceback at that time: please report it",
            )
        case _:
            pass
