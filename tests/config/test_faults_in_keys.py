"""Keys that don't exist, and values of the wrong kind."""

import pytest

E164 = 'write it in E.164 and in quotes: "+14155550100"'
OK = "instructions: Be brief.\n"

CASES = {
    "unknown-key": ({"a.yaml": OK + "greting: Hello\n"}, ["a.yaml:2:1: unknown key greting (did you mean greeting?)"]),
    "unknown-nested": (
        {"a.yaml": OK + "model:\n  speedd: 1\n"},
        ["a.yaml:3:3: unknown key speedd in model (did you mean speed?)"],
    ),
    "unknown-in-agent": (
        {"a.yaml": "agents:\n  x:\n    instruction: Hi\n    instructions: Hi\n"},
        ["a.yaml:3:5: unknown key instruction in agents.x (did you mean instructions?)"],
    ),
    "unknown-in-transfer": (
        {"a.yaml": OK + "transfer:\n  desk: {to: '+14155550111', timout: 20s}\n"},
        ["a.yaml:3:30: unknown key timout in transfer.desk (did you mean timeout?)"],
    ),
    "misplaced": ({"a.yaml": OK + "speed: 1.2\n"}, ["a.yaml:2:1: unknown key speed (speed: belongs under model:)"]),
    "unknown-anything": (
        {"a.yaml": OK + "zzz: 1\n"},
        [
            "a.yaml:2:1: unknown key zzz (there is number, numbers, default, extends, label, timezone, language, vars, greeting, instructions, tools, needs_approval, hours, agent, agents, model, guardrails, guardrail_debounce, transfer, notes, return_to, return_hosts, twiml, on_failure, limits, barge_in, approvals, recording, transcript, outcome, deliver, end_by)"
        ],
    ),
    "missing-to": (
        {"a.yaml": OK + "transfer:\n  desk: {timeout: 20s}\n"},
        ["a.yaml:3:3: to is missing (write to: under it; or workflow:)"],
    ),
    "missing-instructions": (
        {"a.yaml": "agents:\n  x: {tools: [hang_up]}\n"},
        ["a.yaml:2:3: instructions is missing (write instructions: under it)"],
    ),
    "recording-without-consent": (
        {"a.yaml": OK + "recording: {mode: dual}\n"},
        ["a.yaml:2:1: nothing says that callers consent to be recorded (add consent: the sentence they hear first)"],
    ),
    "recording-without-a-reason": (
        {"a.yaml": OK + "recording: {mode: dual, consent: not-needed}\n"},
        ["a.yaml:2:1: consent: not-needed has no reason (add reason: why callers need not be told)"],
    ),
    "recording-with-a-notice-of-no-words": (
        {"a.yaml": OK + "recording: {notice: 'https://x.example/y.mp3'}\n"},
        ["a.yaml:2:1: notice is there without the words that it says (add consent: those words)"],
    ),
    "recording-notice": (
        {"a.yaml": OK + "recording: {mode: dual, consent: Hi, notice: clips/y.wav}\n"},
        ["a.yaml:2:46: 'clips/y.wav' is no https address (the carrier must be able to fetch it)"],
    ),
    "recording-keep": (
        {"a.yaml": OK + "recording: {keep: 90}\n"},
        ['a.yaml:2:19: 90 is not a number of days (write it with d or y, such as "90d" or "1y")'],
    ),
    "unquoted-number": (
        {"a.yaml": OK + "number: +14155550100\n"},
        ['a.yaml:2:9: found a number, 14155550100, where a phone number belongs (put it in quotes: "+14155550100")'],
    ),
    "unquoted-number-with-a-zero": (
        {"a.yaml": OK + "number: 0445550101\n"},
        ["a.yaml:2:9: found a number, 445550101, where a phone number belongs (" + E164 + ")"],
    ),
    "number-spaces": (
        {"a.yaml": OK + 'number: "+1 (415) 555-0100"\n'},
        ["a.yaml:2:9: '+1 (415) 555-0100' is not in E.164 (write it without spaces and signs: \"+14155550100\")"],
    ),
    "number-no-country": (
        {"a.yaml": OK + 'number: "4155550100"\n'},
        [
            "a.yaml:2:9: '4155550100' has no country code (E.164 begins with + and the country's code, as in +14155550100)"
        ],
    ),
    "number-short": (
        {"a.yaml": OK + 'number: "+1415"\n'},
        ["a.yaml:2:9: '+1415' is not a phone number (write it in E.164 and in quotes: \"+14155550100\")"],
    ),
    "number-word": (
        {"a.yaml": OK + "number: reception\n"},
        ["a.yaml:2:9: 'reception' is not a phone number (write it in E.164 and in quotes: \"+14155550100\")"],
    ),
    "numbers-one": (
        {"a.yaml": OK + 'numbers: "+14155550100"\n'},
        ["a.yaml:2:10: expected a list, found '+14155550100' (write [\"+14155550100\"])"],
    ),
    "number-and-numbers": (
        {"a.yaml": OK + 'number: "+14155550100"\nnumbers: ["+14155550101"]\n'},
        ["a.yaml:1:1: both number and numbers are given (put all of them into numbers)"],
    ),
    "transfer-number": (
        {"a.yaml": OK + "transfer: {desk: {to: 14155550111}}\n"},
        ['a.yaml:2:23: found a number, 14155550111, where a phone number belongs (put it in quotes: "+14155550111")'],
    ),
    "transfer-sip": (
        {"a.yaml": OK + "transfer: {desk: {to: 'sip:desk'}}\n"},
        ["a.yaml:2:23: 'sip:desk' is not an address (write sip:name@host, or client:name)"],
    ),
    "duration-unitless": (
        {"a.yaml": OK + "limits: {silence: 60}\n"},
        ['a.yaml:2:19: 60 has no unit (write "60s" for seconds; units are ms, s, m and h)'],
    ),
    "duration-words": (
        {"a.yaml": OK + "limits: {max_duration: half an hour}\n"},
        ["a.yaml:2:24: 'half an hour' is not a duration (write a number and ms, s, m or h, such as \"20s\")"],
    ),
    "duration-range": (
        {"a.yaml": OK + "limits: {silence: 1s}\n"},
        ["a.yaml:2:19: 1s is out of range (write 5s to 1h)"],
    ),
    "duration-fraction": (
        {"a.yaml": OK + "transfer: {desk: {to: '+14155550111', timeout: 20500ms}}\n"},
        ["a.yaml:2:48: 20500ms is not a whole number of seconds (the carrier counts in seconds)"],
    ),
    "bool-yes": (
        {"a.yaml": OK + "default: yes\n"},
        ["a.yaml:2:10: expected true or false, found 'yes' (write true or false, without quotes)"],
    ),
    "bool-quoted": (
        {"a.yaml": OK + 'barge_in: {allowed: "true"}\n'},
        ["a.yaml:2:21: expected true or false, found 'true' (write true or false, without quotes)"],
    ),
    "choice": (
        {"a.yaml": OK + "model: {turn_detection: {type: server_vat}}\n"},
        ["a.yaml:2:32: 'server_vat' is not one of server_vad, semantic_vad (did you mean server_vad?)"],
    ),
    "off-as-false": (
        {"a.yaml": OK + "model: {transcription: false}\n"},
        ["a.yaml:2:24: expected keys, found false (write off)"],
    ),
    "off-as-on": (
        {"a.yaml": OK + "model: {turn_detection: on}\n"},
        ["a.yaml:2:25: expected keys, or off, found 'on' (write off, or key: value, indented)"],
    ),
    "noise-off-false": (
        {"a.yaml": OK + "model: {noise_reduction: false}\n"},
        ["a.yaml:2:26: false is not one of near_field, far_field, off (write off)"],
    ),
    "range": ({"a.yaml": OK + "model: {speed: 9}\n"}, ["a.yaml:2:16: 9 is out of range (it is at most 1.5)"]),
    "int-as-text": (
        {"a.yaml": OK + 'limits: {calls_per_caller: "10"}\n'},
        ["a.yaml:2:28: expected a whole number, found '10' (write digits, without quotes)"],
    ),
    "float-as-int": (
        {"a.yaml": OK + "guardrail_debounce: 1.5\n"},
        ["a.yaml:2:21: expected a whole number, found 1.5 (write digits, without quotes)"],
    ),
    "text-as-number": (
        {"a.yaml": OK + "label: 42\n"},
        ['a.yaml:2:8: expected a text, found 42 (put it in quotes: "42")'],
    ),
    "text-as-list": ({"a.yaml": OK + "label: [a]\n"}, ["a.yaml:2:8: expected a text, found a list (write one text)"]),
    "list-as-text": (
        {"a.yaml": OK + "tools: hang_up\n"},
        ["a.yaml:2:8: expected a list, found 'hang_up' (write [hang_up])"],
    ),
    "map-as-text": (
        {"a.yaml": OK + "model: gpt-realtime\n"},
        ["a.yaml:2:8: expected keys, found 'gpt-realtime' (write key: value, indented)"],
    ),
    "null-in-list": (
        {"a.yaml": OK + "tools: [hang_up, ~]\n"},
        ["a.yaml:2:18: expected a text, found nothing (write a value, or remove the key)"],
    ),
    "empty-instructions": (
        {"a.yaml": 'instructions: ""\n'},
        ["a.yaml:1:15: the text is empty (write one, or remove the key)"],
    ),
    "timezone": (
        {"a.yaml": OK + "timezone: Europe/Zurick\n"},
        ["a.yaml:2:11: 'Europe/Zurick' is not a time zone (did you mean Europe/Zurich?)"],
    ),
    "language": (
        {"a.yaml": OK + "language: english\n"},
        ["a.yaml:2:11: 'english' is not a language tag (write it as in BCP 47: en-US, de-CH, fr)"],
    ),
    "vad-mix": (
        {"a.yaml": OK + "model: {turn_detection: {type: server_vad, eagerness: low}}\n"},
        ["a.yaml:2:9: eagerness has no effect with type server_vad (write type: semantic_vad, or remove eagerness)"],
    ),
    "tokens": (
        {"a.yaml": OK + "model: {max_output_tokens: lots}\n"},
        ["a.yaml:2:28: 'lots' is not a number of tokens (write 1 to 4096, or inf)"],
    ),
    "modalities-empty": (
        {"a.yaml": OK + "model: {modalities: []}\n"},
        ["a.yaml:2:21: the list is empty (remove the key, or put something into it)"],
    ),
    "agent-name": (
        {"a.yaml": "agents:\n  Front Desk: {instructions: Hi}\n"},
        ["a.yaml:2:3: 'Front Desk' is not a name (use lower-case letters, digits, _ and -, beginning with a letter)"],
    ),
    "var-number": (
        {"a.yaml": OK + "vars: {floor: 3}\n"},
        ['a.yaml:2:15: expected a text, found 3 (put it in quotes: "3")'],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults
