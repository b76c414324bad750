import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from twilio.twiml.voice_response import VoiceResponse

from gateway.call.plan import Announce, Connect, Dial, HangUp, Reject, Say, Verb
from gateway.carriers.twilio.twiml import LAST_RESORT, Links, clean, render

LINKS = Links("https://gw.example", "https://media.example")


def body(*plan: Verb) -> str:
    document = render(plan, LINKS)
    assert document.startswith('<?xml version="1.0" encoding="UTF-8"?><Response')
    return document.removeprefix('<?xml version="1.0" encoding="UTF-8"?>')


def test_connect():
    assert body(Connect({"token": "v1.a.b", "line": "desk"}), HangUp()) == snapshot(
        '<Response><Connect action="https://gw.example/twilio/stream-ended" method="POST">'
        '<Stream url="wss://media.example/twilio/media">'
        '<Parameter name="token" value="v1.a.b"/><Parameter name="line" value="desk"/>'
        "</Stream></Connect><Hangup/></Response>"
    )


def test_dial_a_number_an_address_and_a_client():
    assert body(Dial("+41445550111", timeout_s=25, caller_id="+14155550199")) == snapshot(
        '<Response><Dial action="https://gw.example/twilio/stream-ended" method="POST" timeout="25" '
        'callerId="+14155550199"><Number>+41445550111</Number></Dial></Response>'
    )
    assert body(Dial("sip:desk@pbx.example;transport=tls?X-A=1&X-B=2", ask_after=False)) == snapshot(
        '<Response><Dial timeout="20"><Sip>sip:desk@pbx.example;transport=tls?X-A=1&amp;X-B=2</Sip></Dial></Response>'
    )
    assert body(Dial("client:joey", ask_after=False)) == snapshot(
        '<Response><Dial timeout="20"><Client>joey</Client></Dial></Response>'
    )


def test_say_hang_up_reject_and_nothing():
    assert body(Say("Grüezi & <adieu>", "de-CH"), HangUp()) == snapshot(
        '<Response><Say language="de-CH">Grüezi &amp; &lt;adieu&gt;</Say><Hangup/></Response>'
    )
    assert body(Announce("https://x.example/a.mp3?b&c")) == (
        "<Response><Play>https://x.example/a.mp3?b&amp;c</Play></Response>"
    )
    assert body(Say("\x00 \n"), HangUp()) == "<Response><Hangup/></Response>"
    assert body(Reject("busy")) == '<Response><Reject reason="busy"/></Response>'
    assert ET.fromstring(body()).tag == "Response"


@pytest.mark.parametrize(
    "plan",
    [
        (Reject(), HangUp()),
        (Connect({"token": "x" * 495}),),
        (Dial("0445550111"),),
        (Dial("+0445550111"),),
        (Dial("+4144555<Number>"),),
        (Dial("tel:+41445550111"),),
        (Dial("sip:"),),
        (Dial("client:"),),
        (Dial(""),),
    ],
)
def test_what_twilio_would_refuse_is_refused_here(plan):
    with pytest.raises(ValueError):
        render(plan, LINKS)


def test_a_parameter_just_under_the_limit():
    assert body(Connect({"token": "x" * 494}))


def test_say_is_cut_at_a_word():
    said = ET.fromstring(body(Say("word " * 1000))).findtext("Say")
    assert said is not None
    assert 4000 < len(said) <= 4096
    assert said.endswith("word")
    assert len(ET.fromstring(body(Say("x" * 5000))).findtext("Say") or "") == 4096


@pytest.mark.parametrize(
    ("public", "stream", "url"),
    [
        ("https://gw.example/", "", "wss://gw.example/twilio/media"),
        ("http://127.0.0.1:8080", "", "ws://127.0.0.1:8080/twilio/media"),
        ("https://gw.example/voice", "wss://node-2.example/", "wss://node-2.example/twilio/media"),
        ("https://gw.example/voice", "", "wss://gw.example/voice/twilio/media"),
    ],
)
def test_links(public, stream, url):
    links = Links(public, stream)
    assert links.media == url
    assert links.stream_ended == public.rstrip("/") + "/twilio/stream-ended"


def test_equal_plans_give_equal_documents():
    plan = (Connect({"token": "t", "a": "b"}), Say("x"))
    assert render(plan, LINKS) == render((Connect({"token": "t", "a": "b"}), Say("x")), LINKS)


def test_twilios_own_builder_writes_the_same():
    response = VoiceResponse()
    response.say("Grüezi & <adieu>", language="de-CH")
    response.hangup()
    assert ET.canonicalize(str(response)) == ET.canonicalize(
        render((Say("Grüezi & <adieu>", "de-CH"), HangUp()), LINKS)
    )


def test_the_last_resort_is_a_document():
    assert [verb.tag for verb in ET.fromstring(LAST_RESORT)] == ["Say", "Hangup"]


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=400)
HOSTILE = st.sampled_from(
    ["</Say><Dial>+1900</Dial>", "]]>", "<!--", "&#0;", '"/><Hangup a="', "\r\n", "\x85\u2028", "\ud800"]
)
TEXT = st.lists(ANY_TEXT | HOSTILE).map("".join)


def kept(text: str) -> str:
    """What is left of a text, said independently of the code: XML 1.0's Char, without C1 controls."""
    return "".join(
        c
        for c in text
        if c in "\t\n\r"
        or "\x20" <= c <= "\x7e"
        or "\xa0" <= c <= "\ud7ff"
        or "\ue000" <= c <= "\ufffd"
        or c > "\uffff"
    )


@given(TEXT)
def test_no_text_breaks_out_of_say(text):
    document = render((Say(text), HangUp()), LINKS)
    assert clean(text) == kept(text)
    root = ET.fromstring(document.encode("utf-8"))
    if len(kept(text)) <= 4096 and kept(text).strip():
        assert [verb.tag for verb in root] == ["Say", "Hangup"]
        assert root.findtext("Say") == kept(text)
    assert all(not len(verb) for verb in root)


@given(st.text(st.characters(exclude_categories=[]), max_size=200), st.text(max_size=200))
def test_no_text_breaks_out_of_an_attribute(value, name):
    root = ET.fromstring(render((Connect({name: value}),), LINKS).encode("utf-8"))
    parameter = root.find("Connect/Stream/Parameter")
    assert parameter is not None
    assert parameter.attrib == {"name": kept(name), "value": kept(value)}


@given(TEXT)
def test_no_text_breaks_out_of_dial(text):
    for scheme in ("sip:", "client:", "+41"):
        try:
            document = render((Dial(scheme + text, caller_id=text),), LINKS)
        except ValueError:
            continue
        root = ET.fromstring(document.encode("utf-8"))
        assert [element.tag for element in root.iter()][:2] == ["Response", "Dial"]
        assert len(list(root.iter())) == 3
