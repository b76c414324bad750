import base64
import json
import sys
import timeit
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.carriers.twilio import media
from gateway.errors import WireError

START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC" + "a" * 32,
        "streamSid": "MZ" + "b" * 32,
        "callSid": "CA" + "c" * 32,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"FirstName": "Jane", "token": "t"},
    },
    "streamSid": "MZ" + "b" * 32,
}


def decode(text):
    return media.decode(text.encode("utf-8", "surrogatepass"))


def frame(**body: object) -> str:
    fields = {"track": "inbound", "chunk": "2", "timestamp": "5", "payload": "no+JhoaJ"} | body
    return json.dumps({"event": "media", "sequenceNumber": "4", "media": fields, "streamSid": "MZb"})


# ---- In ---------------------------------------------------------------------------------------------------------------


def test_the_messages_of_the_documents():
    assert decode('{"event":"connected","protocol":"Call","version":"1.0.0"}') == media.Connected("Call", "1.0.0")
    start = decode(json.dumps(START))
    assert isinstance(start, media.Start)
    assert start.start.call_sid == "CA" + "c" * 32
    assert start.start.media_format == media.MediaFormat("audio/x-mulaw", 8000, 1)
    assert start.start.custom_parameters == {"FirstName": "Jane", "token": "t"}
    assert decode(frame()) == media.Media("MZb", media.MediaBody("no+JhoaJ", 5))
    dtmf = '{"event":"dtmf","streamSid":"MZb","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}'
    assert decode(dtmf) == media.Dtmf("MZb", media.DtmfBody("1"))
    mark = '{"event":"mark","sequenceNumber":"4","streamSid":"MZb","mark":{"name":"my label"}}'
    assert decode(mark) == media.Mark("MZb", media.MarkBody("my label"))
    stop = '{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"ACa","callSid":"CAc"},"streamSid":"MZb"}'
    assert decode(stop) == media.Stop("MZb")


def test_numbers_may_be_strings_or_numbers_and_fields_in_any_order():
    text = '{"streamSid":"MZb","media":{"new":[1],"payload":"","timestamp":7},"event":"media","new":{"a":null}}'
    assert decode(text) == media.Media("MZb", media.MediaBody("", 7))


def test_an_unknown_kind_is_no_error():
    assert decode('{"event":"transcription","streamSid":5}') == media.Unknown("transcription")
    assert decode(json.dumps({"event": "x" * 1000})) == media.Unknown("x" * 64)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\ud800", "not JSON"),
        ('{"event":"media","deep":' + "[" * 50_000 + "]" * 50_000 + "}", "not JSON"),
        ("[]", "no object"),
        ("null", "no object"),
        ("{}", "no object"),
        ('{"event":7}', "no object"),
        ('{"event":"media"}', "media: .*missing"),
        ('{"event":"stop"}', "stop: .*missing"),
        (frame(payload=5), "payload"),
        (frame(payload=None), "payload"),
        (frame(payload="abc"), "not base64"),
        (frame(payload="ab\u00e9c"), "not base64"),
        (frame(payload='ab"c'), "not base64"),
        (frame(payload="ab\nc"), "not base64"),
        (frame(payload="ab\\c"), "not base64"),
        (frame(payload="A" * (media.MAX_PAYLOAD + 4)), "longer"),
        (frame(timestamp="-1"), "timestamp"),
        (frame(timestamp="soon"), "timestamp"),
        (frame(timestamp="1" * 30), "timestamp"),
        (frame(track="outbound"), "track"),
        ('{"event":"dtmf","streamSid":"MZb","dtmf":{"digit":"12"}}', "digit"),
        ('{"event":"dtmf","streamSid":"MZb","dtmf":{"digit":"E"}}', "digit"),
        (json.dumps({"event": "mark", "streamSid": "MZb", "mark": {"name": "n" * 300}}), "too long"),
        (json.dumps(START | {"streamSid": "MZother"}), "two different"),
        (json.dumps(START | {"start": START["start"] | {"callSid": "CA/../x"}}), "callSid"),
        (json.dumps(START | {"start": START["start"] | {"callSid": ""}}), "callSid"),
        (json.dumps(START | {"start": START["start"] | {"customParameters": {"a": 1}}}), "customParameters"),
        (json.dumps(START | {"start": START["start"] | {"customParameters": {str(n): "" for n in range(99)}}}), "many"),
    ],
)
def test_what_is_malformed_says_why(text, why):
    with pytest.raises(WireError, match=why):
        decode(text)


def test_a_payload_written_with_escapes_is_read():
    assert decode(frame(payload="ab+/").replace("ab+/", "\\u0061b+\\/")) == decode(frame(payload="ab+/"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
EVENTS = st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "new", ""])


@given(
    st.text()
    | JSON.map(json.dumps)
    | st.fixed_dictionaries(
        {"event": EVENTS | JSON},
        optional=dict.fromkeys(("streamSid", "start", "media", "dtmf", "mark", "stop"), JSON),
    ).map(json.dumps)
    | st.fixed_dictionaries({"payload": st.text(), "timestamp": JSON}).map(lambda body: frame(**body))
)
def test_nothing_but_a_wire_error_is_raised_and_a_payload_is_harmless(text):
    try:
        message = decode(text)
    except WireError:
        return
    if isinstance(message, media.Media):
        payload = message.media.payload
        assert json.loads('"' + payload + '"') == payload


# ---- Out --------------------------------------------------------------------------------------------------------------


def test_the_three_messages_are_shaped_exactly():
    writer = media.Writer("MZb")
    assert json.loads(writer.media("no+J")) == {"event": "media", "streamSid": "MZb", "media": {"payload": "no+J"}}
    assert json.loads(writer.mark("1.3:17")) == {"event": "mark", "streamSid": "MZb", "mark": {"name": "1.3:17"}}
    assert json.loads(writer.clear()) == {"event": "clear", "streamSid": "MZb"}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_nothing_breaks_out_of_an_outgoing_message(text):
    writer = media.Writer("MZb")
    assert json.loads(writer.media(text)) == {"event": "media", "streamSid": "MZb", "media": {"payload": text}}
    assert json.loads(writer.mark(text)) == {"event": "mark", "streamSid": "MZb", "mark": {"name": text}}


@pytest.mark.parametrize("sid", ["", 'MZ"', "MZ\n", "M" * 65, "MZ b"])
def test_a_stream_sid_that_could_break_out_is_refused(sid):
    with pytest.raises(ValueError):
        media.Writer(sid)


def test_cost(capsys):
    """Printed rather than judged."""
    payload = base64.b64encode(bytes(160)).decode()
    text = frame(payload=payload, timestamp="18553").replace(" ", "").replace("MZb", "MZ" + "b" * 32)
    writer = media.Writer("MZ" + "b" * 32)
    long = payload[:-4] * 3
    plain = msgspec.json.Decoder()
    costs = {}
    for name, work in {
        "decode a frame": lambda: decode(text),
        "json.loads of it": lambda: json.loads(text),
        "msgspec to dicts": lambda: plain.decode(text),
        "encode 60 ms": lambda: writer.media(long),
        "json.dumps of it": lambda: json.dumps({"event": "media", "streamSid": "MZb", "media": {"payload": long}}),
        "encode a mark": lambda: writer.mark("1.3:17"),
    }.items():
        costs[name] = min(timeit.repeat(work, number=2000, repeat=5)) / 2000 * 1e6
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"  {name:20} {cost:6.2f} us\n" for name, cost in costs.items()))
    assert decode(text)
