"""Faults that concern several files."""

import pytest

from gateway.config import folder
from gateway.config.loader import load
from gateway.errors import ConfigError

OK = "instructions: Be brief.\n"

CASES = {
    "no-lines": ({"prompts/p.md": "Hi\n"}, [".:1:1: there is no line in the folder (gateway init writes a first one)"]),
    "lines-one-deeper": (
        {"agents_config/a.yaml": OK},
        [".:1:1: there is no line in the folder (did you mean agents_config?)"],
    ),
    "yml": ({"a.yml": OK}, ["a.yml:1:1: a.yml is not read (files end in .yaml: rename it)"]),
    "file-name": (
        {"Front Desk.yaml": OK},
        [
            "Front Desk.yaml:1:1: 'Front Desk' can't be a name (the file's name is one) (use lower-case letters, digits, _ and -, beginning with a letter)"
        ],
    ),
    "two-numbers": (
        {"a.yaml": OK + 'number: "+14155550100"\n', "b.yaml": OK + 'numbers: ["+14155550101", "+14155550100"]\n'},
        ["b.yaml:2:27: +14155550100 is claimed by the line a as well, at a.yaml:2:9 (keep one of the two)"],
    ),
    "number-twice": (
        {"a.yaml": OK + 'numbers: ["+14155550100", "+14155550100"]\n'},
        ["a.yaml:2:27: +14155550100 is listed twice, at a.yaml:2:11 (keep one of the two)"],
    ),
    "two-defaults": (
        {"a.yaml": OK + "default: true\n", "b.yaml": OK + "default: true\n"},
        ["b.yaml:2:10: default: true is claimed by the line a as well, at a.yaml:2:10 (keep one of the two)"],
    ),
    "number-in-defaults": (
        {"a.yaml": OK, "_defaults.yaml": 'number: "+14155550100"\n'},
        ["_defaults.yaml:1:1: number can't be shared by all lines (write it in one line's file)"],
    ),
    "fault-in-defaults": (
        {"a.yaml": OK, "b.yaml": OK, "_defaults.yaml": "model: {vioce: marin}\n"},
        ["_defaults.yaml:1:9: unknown key vioce in model (did you mean voice?)"],
    ),
    "broken-defaults": (
        {"a.yaml": "instructions: Hi {{site}}\nspeed: 1\n", "_defaults.yaml": "vars: {site: x\n"},
        [
            "_defaults.yaml:1:7: a map that begins with { does not end (close it with })",
            "a.yaml:2:1: unknown key speed (speed: belongs under model:)",
        ],
    ),
    "clash-with-defaults": (
        {
            "a.yaml": OK + "model: {turn_detection: {type: server_vad}}\n",
            "_defaults.yaml": "model: {turn_detection: {eagerness: low}}\n",
        },
        ["a.yaml:2:9: eagerness has no effect with type server_vad (write type: semantic_vad, or remove eagerness)"],
    ),
    "shared-agent": (
        {"a.yaml": "agent: desk\n", "agents/desk.yaml": "instructions: Hi\ntoolz: [hang_up]\nhandoffs: [nobody]\n"},
        [
            "agents/desk.yaml:2:1: unknown key toolz (did you mean tools?)",
            "agents/desk.yaml:3:12: there is no agent nobody (write it, as agents/<name>.yaml)",
        ],
    ),
    "shared-agent-unused": (
        {"a.yaml": OK, "agents/desk.yaml": "instructions: Hi\ntools: [hangup]\n"},
        ['agents/desk.yaml:2:9: there is no tool hangup (did you mean hang_up?; your own are "module:function")'],
    ),
    "shared-agent-broken": (
        {"a.yaml": "agent: desk\n", "agents/desk.yaml": "instructions: [\n"},
        ["agents/desk.yaml:2:1: a value is missing (write it, or remove the key)"],
    ),
    "all-at-once": (
        {
            "a.yaml": "greting: Hi\nlimits: {silence: 60}\nagents:\n  x: {instructions: 'Hi {{you}}', handoffs: [y], tools: [hangup]}\n",
            "b.yaml": "- x\n",
        },
        [
            "a.yaml:1:1: unknown key greting (did you mean greeting?)",
            'a.yaml:2:19: 60 has no unit (write "60s" for seconds; units are ms, s, m and h)',
            "a.yaml:4:25: {{you}} is not a variable of this line (there is label, language, line, timezone; or add it to vars:)",
            "a.yaml:4:46: there is no agent y (write it, as agents/<name>.yaml)",
            'a.yaml:4:58: there is no tool hangup (did you mean hang_up?; your own are "module:function")',
            "b.yaml:1:1: expected keys, found a list (write key: value)",
        ],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults


def test_what_is_no_folder_of_lines_is_told_with_where_one_may_be(tmp_path, monkeypatch):
    file = tmp_path / "hello.yaml"
    file.write_text(OK)
    with pytest.raises(ConfigError, match=rf"this is no folder \(name the one that it is in: {tmp_path}\)"):
        load(file)
    with pytest.raises(ConfigError, match=r"does not exist .*GATEWAY_CONFIG_DIR"):
        load(tmp_path / "elsewhere")
    (tmp_path / "other.yaml").write_text(OK)
    monkeypatch.setattr(folder, "_MOST", 1)  # such as somebody's whole disk, which is not read to its end
    with pytest.raises(ConfigError, match=r"holds more than 1 files \(name the folder of lines itself"):
        load(tmp_path)
