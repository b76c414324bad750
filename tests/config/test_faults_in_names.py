"""Names that name nothing; prompts and variables."""

import pytest

OK = "instructions: Be brief.\n"

CASES = {
    "nobody": ({"a.yaml": "label: A\n"}, ["a.yaml:1:1: nobody picks up (write instructions:, or agent: and agents:)"]),
    "both-forms": (
        {"a.yaml": "instructions: Hi\nagent: x\nagents: {x: {instructions: Hi}}\n"},
        [
            "a.yaml:2:1: both instructions and agent are given (keep instructions: for one agent, or agents: for several)",
            "a.yaml:3:1: both instructions and agents are given (keep instructions: for one agent, or agents: for several)",
        ],
    ),
    "tools-outside": (
        {"a.yaml": "tools: [hang_up]\nagents: {x: {instructions: Hi}}\n"},
        ["a.yaml:1:1: tools belongs to an agent (write it under agents: <name>: tools:)"],
    ),
    "who-picks-up": (
        {"a.yaml": "agents:\n  x: {instructions: Hi}\n  y: {instructions: Ho}\n"},
        ["a.yaml:1:1: agent is missing: who picks up? (write agent: and one of x, y)"],
    ),
    "unknown-agent": (
        {"a.yaml": "agent: triag\nagents:\n  triage: {instructions: Hi}\n"},
        ["a.yaml:1:8: there is no agent triag (did you mean triage?)"],
    ),
    "unknown-handoff": (
        {
            "a.yaml": "agent: x\nagents:\n  x: {instructions: Hi, handoffs: [bill]}\n  billing: {instructions: Hi, handoffs: [x]}\n"
        },
        [
            "a.yaml:3:36: there is no agent bill (did you mean billing?)",
            "a.yaml:4:3: no agent hands over to billing (add it to another's handoffs:, or remove it)",
        ],
    ),
    "self-handoff": (
        {"a.yaml": "agents:\n  x: {instructions: Hi, handoffs: [x]}\n"},
        ["a.yaml:2:36: x hands over to itself (remove it)"],
    ),
    "unreached": (
        {"a.yaml": "agent: x\nagents:\n  x: {instructions: Hi}\n  y: {instructions: Hi}\n"},
        ["a.yaml:4:3: no agent hands over to y (add it to another's handoffs:, or remove it)"],
    ),
    "unknown-tool": (
        {"a.yaml": OK + "tools: [hangup]\n"},
        ['a.yaml:2:9: there is no tool hangup (did you mean hang_up?; your own are "module:function")'],
    ),
    "tool-twice": (
        {"a.yaml": OK + "tools: [hang_up, hang_up]\n"},
        ["a.yaml:2:18: hang_up is listed twice (the model tells them apart by name only; keep one)"],
    ),
    "tool-bare": (
        {"a.yaml": OK + "tools: [find_order]\n", "tools/acme.py": "def find_order(): ...\n"},
        ['a.yaml:2:9: there is no tool find_order (write "acme:find_order"; your own are "module:function")'],
    ),
    "tool-module": (
        {"a.yaml": OK + 'tools: ["acne:find_order"]\n', "tools/acme.py": "def find_order(): ...\n"},
        ["a.yaml:2:9: 'acne:find_order': there is no file tools/acne.py (did you mean acme?)"],
    ),
    "tool-function": (
        {"a.yaml": OK + 'tools: ["acme:find_odrer"]\n', "tools/acme.py": "def find_order(): ...\n"},
        ["a.yaml:2:9: 'acme:find_odrer': tools/acme.py defines no find_odrer (did you mean find_order?)"],
    ),
    "tool-function-that-is-nothing-like-it": (
        {"a.yaml": OK + 'tools: ["acme:pay"]\n', "tools/acme.py": "from typing import Any\ndef find_order(): ...\n"},
        ["a.yaml:2:9: 'acme:pay': tools/acme.py defines no pay (there is find_order)"],
    ),
    "tool-python": (
        {"a.yaml": OK + 'tools: ["acme:find_order"]\n', "tools/acme.py": "def find_order(:\n"},
        ["tools/acme.py:1:16: not Python: invalid syntax (correct the syntax)"],
    ),
    "tool-format": (
        {"a.yaml": OK + 'tools: ["acme:find-order"]\n'},
        ["a.yaml:2:9: 'acme:find-order' does not name a tool (write \"module:name\", a tool in tools/module.py)"],
    ),
    "approval": (
        {"a.yaml": OK + 'tools: ["acme:pay"]\nneeds_approval: [pay]\n', "tools/acme.py": "def pay(): ...\n"},
        ["a.yaml:3:18: pay is not among the agent's tools (there is acme:pay)"],
    ),
    "transfer-to-nobody": (
        {"a.yaml": OK + "tools: [transfer]\n"},
        [
            "a.yaml:2:9: the line a has nobody to transfer to (add transfer: {name: {to: ...}} to the line, or remove the tool)"
        ],
    ),
    "guardrail": (
        {"a.yaml": OK + "guardrails: [no_card_number]\n"},
        [
            'a.yaml:2:14: there is no guardrail no_card_number (did you mean no_card_numbers?; your own are "module:function")'
        ],
    ),
    "agent-python": (
        {"a.yaml": 'agent: "my_agents:front"\n', "my_agents.py": "front_desk = 1\n"},
        ["a.yaml:1:8: 'my_agents:front': my_agents.py defines no front (did you mean front_desk?)"],
    ),
    "agent-python-agents": (
        {"a.yaml": 'agent: "my_agents:front"\nagents: {x: {instructions: Hi}}\n', "my_agents.py": "front = 1\n"},
        [
            "a.yaml:2:1: agents has no effect with agent: my_agents:front (its handoffs are written in Python; remove agents:)"
        ],
    ),
    "failure-target": (
        {"a.yaml": OK + "transfer: {desk: {to: '+14155550111'}}\non_failure: {then: 'transfer:dest'}\n"},
        ["a.yaml:3:20: there is no transfer target dest (did you mean desk?)"],
    ),
    "failure-word": (
        {"a.yaml": OK + "on_failure: {then: goodbye}\n"},
        ["a.yaml:2:20: 'goodbye' is nothing that can follow (write hang_up, or transfer:<name>)"],
    ),
    "tool-choice": (
        {"a.yaml": OK + "tools: [hang_up]\nmodel: {tool_choice: hangup}\n"},
        ["a.yaml:3:22: tool_choice: no agent of the line has a tool hangup (did you mean hang_up?)"],
    ),
    "min-speech": (
        {"a.yaml": OK + "barge_in: {min_speech: 200ms}\nmodel: {turn_detection: off}\n"},
        ["a.yaml:2:24: min_speech needs turn detection, which is off (remove min_speech, or turn_detection: off)"],
    ),
    "unknown-variable": (
        {"a.yaml": OK + "vars: {site: Zurich}\ngreeting: Welcome to {{sit}}.\n"},
        ["a.yaml:3:22: {{sit}} is not a variable of this line (did you mean site?; or add it to vars:)"],
    ),
    "variable-in-block": (
        {"a.yaml": "instructions: |\n  You are here.\n  In {{place}}.\n"},
        [
            "a.yaml:3:6: {{place}} is not a variable of this line (there is label, language, line, timezone; or add it to vars:)"
        ],
    ),
    "variable-in-prompt": (
        {"a.yaml": "instructions: file:prompts/p.md\n", "prompts/p.md": "One\nTwo {{nam}}\n"},
        [
            "prompts/p.md:2:5: {{nam}} is not a variable of this line (there is label, language, line, timezone; or add it to vars:)"
        ],
    ),
    "prompt-missing": (
        {"a.yaml": "instructions: file:prompts/desk.md\n", "prompts/dask.md": "Hi\n"},
        ["a.yaml:1:15: there is no file prompts/desk.md (did you mean prompts/dask.md?)"],
    ),
    "prompt-outside": (
        {"a.yaml": "instructions: file:../secret.md\n"},
        ["a.yaml:1:15: ../secret.md is outside the folder (keep it beside the lines)"],
    ),
    "prompt-empty": (
        {"a.yaml": "instructions: file:prompts/p.md\n", "prompts/p.md": "\n"},
        ["prompts/p.md:1:1: the prompt is empty (write what the agent is told)"],
    ),
    "prompt-latin1": (
        {"a.yaml": "instructions: file:prompts/p.md\n", "prompts/p.md": b"Hi\nGr\xfcezi\n"},
        ["prompts/p.md:2:3: byte 0xfc is not UTF-8 (save the file as UTF-8)"],
    ),
    "clip-missing": (
        {"a.yaml": OK + "greeting: {clip: clips/hello.wav}\n"},
        ["a.yaml:2:18: there is no file clips/hello.wav (put it there)"],
    ),
    "clip-not-wav": (
        {"a.yaml": OK + "greeting: {clip: clips/hello.wav}\n", "clips/hello.wav": b"RIFF"},
        [
            "a.yaml:2:18: clips/hello.wav can't be played: not a WAV file (ffmpeg -i in.wav -ar 8000 -ac 1 -c:a pcm_mulaw out.wav makes one)"
        ],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults
