"""How a FakeTwilio behaves: what its documents leave open, what goes wrong on purpose, and each call's hidden truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Literal, Self

Range = tuple[float, float]
"""From and to, both included; equal ends fix the value."""

StatusOrder = Literal["ordered", "reversed", "shuffled", "doubled"]
StreamSignature = Literal["valid", "missing", "tampered"]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one call and can't be asked for on the wire.

    Attributes:
        start_delay_ms: between audio arriving on an empty buffer and its playing.
        delay_to_gateway_ms: one way, of every message from the carrier.
        delay_to_carrier_ms: one way, of every message to the carrier.
        jitter_ms: up to this much is added to each message's delay; the order stays.
        drift_ppm: how much faster than ours the carrier's clock runs.
        first_timestamp_ms: ``media.timestamp`` of a stream's first frame.
    """

    start_delay_ms: float = 0.0
    delay_to_gateway_ms: float = 0.0
    delay_to_carrier_ms: float = 0.0
    jitter_ms: float = 0.0
    drift_ppm: float = 0.0
    first_timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class Marks:
    """When marks come back: as documented, never, late by ``late_ms``, or each of them twice."""

    mode: Literal["normal", "never", "late", "doubled"] = "normal"
    late_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Gaps:
    """Inbound frames that never come: every ``every_ms`` of a stream, ``missing_ms`` of frames are lost."""

    every_ms: float
    missing_ms: float


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Every switch of a FakeTwilio; the defaults follow the documents where these speak.

    Ranges from which each call's :class:`Truth` is drawn:
        start_delay_ms, delay_ms (each way by itself), jitter_ms, drift_ppm, first_timestamp_ms.
    What the documents leave open:
        stream_signature_slash, stream_signature_port: what is signed at the stream's upgrade: the URL as it is
            in the TwiML, with a trailing slash, with ``:443`` (where the URL has no port).
        webhook_signature_port: the same ``:443`` in the signature of webhooks over https.
        action_on_redirect: is ``action`` of a verb asked when REST sends the call elsewhere.
        action_on_hang_up: is it asked when the caller hangs up or REST ends the call (with CallStatus=completed).
        action_on_broken_stream: is ``<Connect action>`` asked after a broken or refused socket; if not, the next verb
            follows.
        normal_close_is_error: does the server's close 1000 log 31921.
        marks, gaps: see there.
        tones_leak: are keys also heard as tones in the inbound audio.
        status_order: of the status callbacks.
        duplicate_webhooks: every voice webhook is delivered twice, the second answer counts.
    What goes wrong:
        stream_signature: of upgrades.
        reader_delay_ms: per message; a carrier that reads slowly.
        stream_connect_timeout, webhook_timeout: in seconds.
    Speech of the carrier's own:
        speech_ms_per_character: how long ``<Say>`` takes.
    """

    start_delay_ms: Range = (0.0, 150.0)
    delay_ms: Range = (5.0, 120.0)
    jitter_ms: Range = (0.0, 10.0)
    drift_ppm: Range = (-100.0, 100.0)
    first_timestamp_ms: tuple[int, int] = (0, 80)

    stream_signature_slash: bool = False
    stream_signature_port: bool = False
    webhook_signature_port: bool = False
    action_on_redirect: bool = False
    action_on_hang_up: bool = True
    action_on_broken_stream: bool = True
    normal_close_is_error: bool = False
    marks: Marks = Marks()
    gaps: Gaps | None = None
    tones_leak: bool = False
    status_order: StatusOrder = "ordered"
    duplicate_webhooks: bool = False

    stream_signature: StreamSignature = "valid"
    reader_delay_ms: float = 0.0
    stream_connect_timeout: float = 10.0
    webhook_timeout: float = 15.0

    speech_ms_per_character: float = 60.0

    @classmethod
    def plain(cls) -> Self:
        """No hidden delays, jitter or drift: for tests of something else."""
        none = (0.0, 0.0)
        return cls(start_delay_ms=none, delay_ms=none, jitter_ms=none, drift_ppm=none, first_timestamp_ms=(0, 0))

    def but(self, **changes: object) -> Self:
        """This behaviour with some switches set otherwise."""
        return replace(self, **changes)  # type: ignore[arg-type]  # names and types are replace's to check

    def draw(self, random: Random) -> Truth:
        """Draw one call's truth."""
        return Truth(
            start_delay_ms=random.uniform(*self.start_delay_ms),
            delay_to_gateway_ms=random.uniform(*self.delay_ms),
            delay_to_carrier_ms=random.uniform(*self.delay_ms),
            jitter_ms=random.uniform(*self.jitter_ms),
            drift_ppm=random.uniform(*self.drift_ppm),
            first_timestamp_ms=random.randint(*self.first_timestamp_ms),
        )


@dataclass(frozen=True, slots=True)
class DialOutcome:
    """What happens to a ``<Dial>``: it rings for so many seconds, and if completed the two talk for so many."""

    status: Literal["completed", "busy", "no-answer", "failed"] = "completed"
    rings: float = 0.1
    talks: float = 0.3
