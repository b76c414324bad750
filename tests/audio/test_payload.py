from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.payload import Framer, decode, drop_first, encode, size_of, slices

AUDIO = bytes(range(256)) * 20


@given(st.binary(max_size=1000))
def test_the_size_of_a_payload_is_known_without_decoding(audio: bytes) -> None:
    assert size_of(b64encode(audio).decode()) == len(audio)


@given(st.integers(0, 5120), st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 500))
def test_slices_are_the_payload_in_order_and_whole_frames(size: int, each: int, first: int, slack: int) -> None:
    pieces = list(slices(encode(AUDIO[:size]), size, each, first=first, slack=slack))
    assert b"".join(b64decode(text, validate=True) for text, _ in pieces) == AUDIO[:size]
    assert [len(decode(text)) for text, _ in pieces] == [length for _, length in pieces]
    assert all(length % 480 == 0 for _, length in pieces[:-1])


def test_slices_are_480_bytes_or_640_characters_long() -> None:
    assert [(len(text), length) for text, length in slices(encode(AUDIO[:1120]), 1120)] == [
        (640, 480),
        (640, 480),
        (216, 160),
    ]


def test_a_slice_may_be_a_little_longer_rather_than_leave_a_scrap() -> None:
    assert [length for _, length in slices(encode(AUDIO[:1600]), 1600, 1440, slack=160)] == [1600]
    assert [length for _, length in slices(encode(AUDIO[:3200]), 3200, 1440, first=480, slack=320)] == [480, 1440, 1280]


@given(st.integers(0, 700), st.integers(0, 700))
def test_drop_first(size: int, count: int) -> None:
    assert decode(drop_first(encode(AUDIO[:size]), count)) == AUDIO[count:size]


def test_what_is_not_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="base64"):
        decode("what?")


@given(st.lists(st.integers(0, 700)))
def test_a_framer_carries_the_odd_rest_from_delta_to_delta(sizes: list[int]) -> None:
    framer = Framer()
    out, start = b"", 0
    for size in sizes:
        payload, length = framer.feed(encode(AUDIO[start : start + size]), size)
        assert length % 160 == 0
        assert size_of(payload) == length
        out += decode(payload)
        start = (start + size) % 2560
        assert len(out) <= sum(sizes)
    payload, length = framer.flush()
    rest = decode(payload)
    assert len(rest) == length == (160 if sum(sizes) % 160 else 0)
    told, start = b"", 0
    for size in sizes:
        told += AUDIO[start : start + size]
        start = (start + size) % 2560
    assert (out + rest) == told.ljust(len(out + rest), b"\xff")
    assert framer.flush() == ("", 0)


def test_whole_frames_pass_a_framer_as_the_same_text() -> None:
    payload = encode(AUDIO[:320])
    assert Framer().feed(payload, 320)[0] is payload
