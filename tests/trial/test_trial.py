"""Scripts of trials, how they are judged, and what CI servers are told."""

import xml.etree.ElementTree as ET

import pytest

from gateway.call.reason import EndReason
from gateway.call.turns import Turn
from gateway.config.loader import load
from gateway.demo.watch import Beat, Handoff, Said, ToolRun, Watch
from gateway.errors import ConfigError
from gateway.trial.judge import Check, instead, negative, positive, says
from gateway.trial.junit import junit
from gateway.trial.script import Expectation, read, single
from gateway.trial.surroundings import NOWHERE, needs_of, surroundings
from gateway.trial.telling import Teller

BEATS: list[Beat] = [
    Said(Turn("caller", "c", 0.0, generated="a seat please", heard="a seat please")),
    Handoff(1.0, "triage", "seats"),
    ToolRun(2.0, "book", '{"seat": "12C", "count": 2}', "done"),
    Said(Turn("agent", "a", 3.0, generated="Your seat is 12C, that's all", heard="Your seat is 12C,")),
]


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        ("We're open from Nine to One.", "nine to one", True),
        ("We're open.", "were open", True),
        ("Nineteen", "nine", False),
        ("Call 555 0100", r"/\b555.0100/", True),
        ("", "hello", False),
    ],
)
def test_words_are_compared_without_case_and_punctuation(text, wanted, found):
    assert says(text, wanted) is found


def test_what_happened_is_judged_by_what_was_heard():
    watch = Watch(reason=EndReason("success", "done"))
    expect = Expectation(
        says=("seat is 12c", "that's all"),
        calls_tool={"book": {"seat": "12C"}, "pay": {}},
        handed_to="seats",
        ends="done",
    )
    assert dict(positive(expect, BEATS, watch)) == {
        "says seat is 12c": True,
        "says that's all": False,  # said, and never heard
        'calls book with {"seat": "12C"}': True,
        "calls pay": False,
        "handed to seats": True,
        "ends with done": True,
    }
    assert dict(negative(("refund", "12c"), BEATS)) == {"never says refund": True, "never says 12c": False}
    assert dict(positive(Expectation(calls_tool={"book": {"seat": "1A"}}), BEATS, watch)) == {
        'calls book with {"seat": "1A"}': False
    }
    assert 'heard: "Your seat is 12C,"; called: book' in instead(BEATS, watch)


def test_junit_has_a_case_for_each_expectation():
    text = junit(
        "desk", "Seats", [Check("hi", "says x", True, 1.5), Check("hi", "says <y>", False, 2.0, "heard\x00 z")]
    )
    suite = ET.fromstring(text)
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("2", "1", "3.500")
    assert [case.get("name") for case in suite] == ["hi: says x", "hi: says <y>"]
    failure = suite[1].find("failure")
    assert failure is not None
    assert failure.text == "heard z"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("steps: []\n", "t.yaml:1:8: "),
        (
            "steps:\n  - {say: hi, keys: '1'}\n",
            "t.yaml:2:5: say, play and keys are given together (write a step for each)",
        ),
        ("steps:\n  - {sya: hi}\n", "t.yaml:2:6: unknown key sya in steps.0 (did you mean say?)"),
        ("steps:\n  - {play: no.wav}\n", "t.yaml:1:1: there is no file no.wav (put it beside the script)"),
        ("steps:\n  - {say: hi, expect: {within: 20}}\n", "t.yaml:2:32: 20 has no unit"),
        ("steps:\n  - {keys: 12a}\n", "t.yaml:2:12: "),
        ("", "t.yaml:1:1: "),
    ],
)
def test_what_is_wrong_with_a_script_is_said_with_its_place(tmp_path, text, fault, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read(type(tmp_path)("t.yaml"))
    assert str(error.value).startswith(fault)


def test_expectations_of_the_command_line_add_up():
    trial = single(
        {"say": "Hello"}, ["says: one", "{says: [two, three], within: 5s}", "calls_tool: {book: {seat: 1A}}"]
    )
    [step] = trial.steps
    assert (step.say, step.expect.says, step.expect.within) == ("Hello", ("one", "two", "three"), 5.0)
    assert step.expect.calls_tool == {"book": {"seat": "1A"}}
    with pytest.raises(ConfigError, match="--expect:1:1: unknown key say "):
        single({}, ["say: one"])


def test_a_call_is_told_as_it_goes_on_each_thing_once():
    told: list[str] = []
    teller = Teller(told.append)
    answer = Said(Turn("agent", "b", 4.0, generated="Anything else?", heard="Anything else?"))
    for said in BEATS:
        if isinstance(said, Said):
            said.final = True
    teller.caller("A seat, please")
    teller.happened(BEATS)
    teller.happened([*BEATS, answer])
    assert told == [
        "caller: A seat, please",  # and understood so, which need not be told
        "handed to: seats",
        'tool: book {"seat": "12C", "count": 2}',
        "agent: Your seat is 12C,",
    ]
    answer.final = True
    teller.happened([*BEATS, answer])
    assert told[-1] == "agent: Anything else?"
    failed = Check("the call", "goes well", passed=False, instead="heard nothing; ended: model: model-unreachable")
    assert teller.judged(failed) is failed
    assert told[-1] == "  FAIL goes well -- heard nothing; ended: model: model-unreachable"


def test_nothing_of_a_trial_leaves_the_machine_but_with_a_real_model(tmp_path):
    """What the files take from the environment is stood in for, set or not: a trial needs no key, and tells nobody."""
    (tmp_path / "hello.yaml").write_text("""
number: "+14155550100"
instructions: Be brief.
model: {url: "${EU_URL}", headers: {api-key: "${EU_KEY}"}}
deliver: [{webhook: "${HOOK}"}]
""")
    mine = {"EU_URL": "wss://eu.example", "HOOK": "https://crm.example", "TWILIO_AUTH_TOKEN": "t", "COLOUR": "red"}
    needs = needs_of(load(tmp_path), "hello")
    told = surroundings(mine, needs, "ws://127.0.0.1:1")
    assert told == {
        "COLOUR": "red",
        "EU_URL": "ws://127.0.0.1:1",
        "EU_KEY": NOWHERE,
        "HOOK": NOWHERE,
        "OPENAI_API_KEY": "none",
    }
    assert load(tmp_path, told).lines["hello"].model.url == "ws://127.0.0.1:1"
    real = surroundings(mine | {"OPENAI_API_KEY": "sk"}, None, "wss://x")
    assert real == {
        "COLOUR": "red",
        "EU_URL": "wss://eu.example",
        "HOOK": "https://crm.example",
        "OPENAI_API_KEY": "sk",
    }
    (tmp_path / "hello.yaml").write_text("default: true\ninstructions: x\nmodel: {url: wss://eu.example/v1}\n")
    with pytest.raises(ConfigError, match=r"hello.yaml:3:9: the line has a model of its own.*give --real"):
        needs_of(load(tmp_path), "hello")
