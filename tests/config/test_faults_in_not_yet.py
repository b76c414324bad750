"""What lines will have, and this version refuses by name."""

import pytest

OK = "instructions: Be brief.\n"

CASES = {
    "extends": (
        {"a.yaml": OK + "extends: _eu\n"},
        ["a.yaml:2:1: not supported yet: extends (put what all lines share into _defaults.yaml)"],
    ),
    "hours": (
        {"a.yaml": OK + "hours: {open: {mon-fri: '08:00-18:00'}}\n"},
        ["a.yaml:2:1: not supported yet: opening hours (hours) (the line answers at any time; remove it)"],
    ),
    "keys": (
        {"a.yaml": OK + "keys: {'0': 'transfer:desk'}\n"},
        ["a.yaml:2:1: not supported yet: keypad menus (keys) (remove it; the agent can be given the tool transfer)"],
    ),
    "transcript": (
        {"a.yaml": OK + "transcript: {keep: 30d}\n"},
        ["a.yaml:2:1: not supported yet: keeping and redacting transcripts (transcript) (remove it)"],
    ),
    "holidays": (
        {"a.yaml": OK + "holidays: CH-ZH\n"},
        ["a.yaml:2:1: not supported yet: holidays (the line answers on any day; remove it)"],
    ),
    "canary": (
        {"a.yaml": OK + "canary: {line: x, percent: 10}\n"},
        ["a.yaml:2:1: not supported yet: canary lines (canary) (remove it)"],
    ),
    "accounts": (
        {"a.yaml": OK + "accounts: {us: {sid: AC0001}}\n"},
        ["a.yaml:2:1: not supported yet: several carrier accounts (accounts) (set TWILIO_ACCOUNT_SID and remove it)"],
    ),
    "greeting-by-language": (
        {"a.yaml": OK + "greeting: {de-CH: Hoi, fr-CH: Bonjour}\n"},
        ["a.yaml:2:1: not supported yet: a greeting for each language (write one text, or {clip, text})"],
    ),
    "say-by-language": (
        {"a.yaml": OK + "on_failure: {say: {de-CH: Moment}}\n"},
        ["a.yaml:2:14: not supported yet: a text for each language (write one text)"],
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
    "block-of-numbers": (
        {"a.yaml": OK + 'numbers: ["+4144556*"]\n'},
        ["a.yaml:2:11: not supported yet: blocks of numbers (+4144556*) (list each number)"],
    ),
    "sip-number": (
        {"a.yaml": OK + 'numbers: ["sip:*@acme.sip.twilio.com"]\n'},
        [
            "a.yaml:2:11: not supported yet: SIP addresses as numbers (sip:*@acme.sip.twilio.com) (point its webhook at /twilio/voice/<line>)"
        ],
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
    "agent-voice": (
        {"a.yaml": "agents: {x: {instructions: Hi, voice: marin}}\n"},
        [
            "a.yaml:1:32: not supported yet: a voice for each agent (the line's model.voice is used; a voice can't change within a call)"
        ],
    ),
    "numbers-file": (
        {"a.yaml": OK, "_numbers.yaml": "schema: 1\n"},
        [
            "_numbers.yaml:1:1: not supported yet: a table of numbers (_numbers.yaml) (write number: into each line's file)"
        ],
    ),
    "numbers-staging": (
        {"a.yaml": OK, "_numbers.staging.yaml": "schema: 1\n"},
        [
            "_numbers.staging.yaml:1:1: not supported yet: a table of numbers (_numbers.staging.yaml) (write number: into each line's file)"
        ],
    ),
    "shared-part": (
        {"a.yaml": OK, "_eu.yaml": "model: {voice: marin}\n"},
        [
            "_eu.yaml:1:1: not supported yet: shared parts of lines (_eu.yaml) (put what all lines share into _defaults.yaml)"
        ],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults
