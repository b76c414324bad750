"""The carrier's clock, read off frames that are late, early, few or none."""

import random

import pytest

from gateway.call.carrier_clock import CarrierClock


def frames(
    clock: CarrierClock, seconds: float, *, delay: float = 0.1, jitter: float = 0.0, rate: float = 1.0, seed: int = 0
) -> float:
    """Let frames come for so long; returns the time of the last one."""
    rng = random.Random(seed)
    now = 0.0
    for number in range(int(seconds * 50)):
        now = max(now, (number + 1) * 0.02 / rate + delay + rng.random() * jitter)
        clock.frame(number * 20, now)
    return now


def test_a_reading_is_when_what_arrives_now_left_the_carrier() -> None:
    clock = CarrierClock(0.0)
    now = frames(clock, 1.0, delay=0.1)
    assert clock.last == 980
    assert clock.read(now) == pytest.approx(1000)
    assert clock.read(now + 0.01) == pytest.approx(1010)
    assert clock.wall(1000) == pytest.approx(now)


def test_jitter_does_not_move_it() -> None:
    clock = CarrierClock(0.0)
    now = frames(clock, 20.0, delay=0.1, jitter=0.05)
    assert clock.read(now) == pytest.approx((now - 0.1) * 1000, abs=3)


@pytest.mark.parametrize("rate", [1 - 200e-6, 1 + 200e-6])
def test_drift_is_followed(rate: float) -> None:
    clock = CarrierClock(0.0)
    now = frames(clock, 600.0, jitter=0.02, rate=rate)
    assert clock.read(now) == pytest.approx((now - 0.1) * 1000 * rate, abs=5)


def test_an_echo_left_after_the_newest_frame_and_before_the_next() -> None:
    clock = CarrierClock(0.0)
    frames(clock, 1.0, delay=0.1)
    for number in range(50, 60):  # held up for 0.3 s, then all at once, the echo behind them
        clock.frame(number * 20, 1.6)
    assert 1200 <= clock.echo(1.6) <= 1220
    assert clock.read(1.6) == pytest.approx(1500)


def test_larger_frames_are_further_apart() -> None:
    clock = CarrierClock(0.0)
    for number in range(50):
        clock.frame(number * 60, number * 0.06 + 0.02)
    assert clock.echo(49 * 0.06 + 0.02 + 0.05) == pytest.approx(49 * 60 + 20 + 50)


def test_where_frames_stop_our_own_clock_goes_on() -> None:
    clock = CarrierClock(0.0)
    now = frames(clock, 1.0)
    assert clock.echo(now + 5.0) == clock.read(now + 5.0) == pytest.approx(6000)


def test_before_the_first_frame_it_counts_from_the_start_of_the_stream() -> None:
    clock = CarrierClock(50.0)
    assert clock.read(50.25) == pytest.approx(250)
    clock.frame(40, 50.1)
    assert clock.read(50.1) == pytest.approx(60)


def test_a_fast_frame_of_long_ago_is_forgotten() -> None:
    clock = CarrierClock(0.0)
    clock.frame(500, 0.5)
    for number in range(30 * 50):
        clock.frame(number * 20, 1.0 + number * 0.02)
    assert clock.read(31.0) == pytest.approx(30 * 1000 + 20)
