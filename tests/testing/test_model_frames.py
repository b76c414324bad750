"""Numbered frames: what a listener can tell of them."""

import random
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.testing.model import FRAME_BYTES, compare_frames, decode_frames, encode_frame
from gateway.testing.model.frames import mulaw_decode, mulaw_encode, mulaw_to_pcm24k


def test_a_frame_is_twenty_milliseconds_and_carries_its_number_and_tag() -> None:
    frame = encode_frame(4_000_000_000, tag=77)
    assert len(frame) == FRAME_BYTES
    assert [(found.seq, found.tag, found.at) for found in decode_frames(frame)] == [(4_000_000_000, 77, 0)]


@given(st.binary(max_size=400), st.lists(st.integers(0, 2**32 - 1), max_size=10), st.booleans())
def test_frames_are_found_wherever_they_begin(noise: bytes, numbers: list[int], loud: bool) -> None:
    audio = noise + b"".join(encode_frame(number, loud=loud) for number in numbers)
    assert [frame.seq for frame in decode_frames(audio)] == numbers


@given(st.integers(0, FRAME_BYTES - 1), st.integers(1, 255))
def test_a_damaged_frame_is_none(at: int, flip: int) -> None:
    frame = bytearray(encode_frame(5))
    frame[at] ^= flip
    assert decode_frames(bytes(frame)) == []


def test_the_report_names_what_was_lost_repeated_reordered_and_foreign() -> None:
    order = [0, 1, 2, 2, 4, 3, 9]
    heard = b"\xff" * 100 + b"".join(encode_frame(seq) for seq in order)
    report = compare_frames(heard, range(6))
    assert (report.lost, report.repeated, report.reordered) == ((5,), (2,), (3,))
    assert (report.unexpected, report.other_bytes, report.heard) == ((9,), 100, 7)
    assert not report.perfect
    assert compare_frames(b"".join(map(encode_frame, range(6))), range(6)).perfect


def test_frames_of_other_sessions_are_left_out_by_their_tag() -> None:
    heard = encode_frame(0, tag=1) + encode_frame(0, tag=2) + encode_frame(1, tag=1)
    report = compare_frames(heard, range(2), tag=1)
    assert report.perfect
    assert report.other_bytes == FRAME_BYTES


def test_mulaw_is_that_of_the_standard_library_of_old() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop")
    for sample in [0, 1, 132, 32767, *random.Random(1).choices(range(32768), k=2000)]:
        assert mulaw_encode(sample) == audioop.lin2ulaw(sample.to_bytes(2, "little"), 2)[0], sample
        assert sample == 0 or mulaw_encode(-sample) == mulaw_encode(sample) & 0x7F
    for byte in range(256):
        assert mulaw_decode(byte) == int.from_bytes(audioop.ulaw2lin(bytes([byte]), 2), "little", signed=True)


def test_pcm_is_six_bytes_for_each_of_mulaw() -> None:
    pcm = mulaw_to_pcm24k(encode_frame(1))
    assert len(pcm) == 6 * FRAME_BYTES
    assert pcm[0:2] == pcm[2:4] == pcm[4:6]
