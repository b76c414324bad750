"""What lines will have, and this version refuses by name."""

import pytest

OK = "instructions: Be brief.\n"

CASES = {
    "keys": (
        {"a.yaml": OK + "keys: {'0': 'transfer:desk'}\n"},
        ["a.yaml:2:1: not supported yet: keypad menus (keys) (remove it; the agent can be given the tool transfer)"],
    ),
    "transcript": (
        {"a.yaml": OK + "transcript: {redact: [email]}\n"},
        ["a.yaml:2:14: not supported yet: redacting transcripts (redact) (remove it; keep: bounds how long they are)"],
    ),
    "warm": (
        {"a.yaml": OK + "transfer: {desk: {to: '+14155550111', mode: warm}}\n"},
        ["a.yaml:2:39: not supported yet: warm transfer (mode: warm) (write mode: cold, or remove it)"],
    ),
    "if-failed": (
        {"a.yaml": OK + "transfer: {desk: {to: '+14155550111', if_failed: voicemail}}\n"},
        ["a.yaml:2:39: not supported yet: if_failed (remove it; the call ends if nobody answers)"],
    ),
    "voicemail": (
        {"a.yaml": OK + "on_failure: {then: voicemail}\n"},
        ["a.yaml:2:20: not supported yet: then: voicemail (write hang_up, or transfer:<name>)"],
    ),
    "silence-map": (
        {"a.yaml": OK + "limits: {silence: {prompt_after: 8s}}\n"},
        ['a.yaml:2:10: not supported yet: prompting after silence (write silence: "60s", after which the call ends)'],
    ),
    "cost": (
        {"a.yaml": OK + "limits: {cost: {per_call: 2.00}}\n"},
        [
            "a.yaml:2:10: not supported yet: cost limits (cost) (remove it; max_duration and concurrent_calls bound the cost)"
        ],
    ),
    "told-once-however-many-numbers-the-line-has": (
        {
            "a.yaml": "instructions: Hi\nkeys: {}\n",
            "_numbers.yaml": 'numbers: {"+14155550100": {line: a, label: A}, "+14155550101": {line: a, label: B}}\n',
        },
        [
            "a.yaml:2:1: not supported yet: keypad menus (keys) (remove it; the agent can be given the tool transfer)",
        ],
    ),
    "in-a-row": (
        {
            "a.yaml": "instructions: Hi\n",
            "_numbers.yaml": 'numbers: {"+14155550100": {line: a, limits: {cost: 2.00}}}\n',
        },
        [
            "_numbers.yaml:1:46: not supported yet: cost limits (cost) (remove it; max_duration and concurrent_calls bound the cost)"
        ],
    ),
    "agent-voice": (
        {"a.yaml": "agents: {x: {instructions: Hi, voice: marin}}\n"},
        [
            "a.yaml:1:32: not supported yet: a voice for each agent (the line's model.voice is used; a voice can't change within a call)"
        ],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults
