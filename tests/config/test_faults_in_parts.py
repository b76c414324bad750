import pytest

OK = "instructions: Be brief.\n"
CASES = {
    "unknown-part": (
        {"a.yaml": OK + "extends: _ue\n", "_eu.yaml": "label: E\n"},
        ["a.yaml:2:10: there is no part _ue (did you mean _eu?)"],
    ),
    "with-its-ending": (
        {"a.yaml": OK + "extends: _eu.yaml\n", "_eu.yaml": "label: E\n"},
        ["a.yaml:2:10: there is no part _eu.yaml (write extends: _eu)"],
    ),
    "without-its-underscore": (
        {"a.yaml": OK + "extends: eu\n", "_eu.yaml": "label: E\n"},
        ["a.yaml:2:10: there is no part eu (write extends: _eu)"],
    ),
    "another-line": (
        {"a.yaml": OK + "extends: b\n", "b.yaml": OK},
        ["a.yaml:2:10: b can't be extended (only files that begin with _ can: move what is shared into one)"],
    ),
    "the-defaults": (
        {"a.yaml": OK + "extends: _defaults\n", "_defaults.yaml": "label: D\n"},
        ["a.yaml:2:10: _defaults lies under every line already (remove extends:)"],
    ),
    "circle": (
        {"a.yaml": OK + "extends: _b\n", "_b.yaml": "extends: _c\n", "_c.yaml": "extends: _b\n"},
        ["_c.yaml:1:10: _b extends itself (remove extends: _b here)"],
    ),
    "list": (
        {"a.yaml": OK + "extends: [_b]\n", "_b.yaml": "label: B\n"},
        ["a.yaml:2:10: expected a text, found a list (write one text)"],
    ),
    "number-in-a-part": (
        {"a.yaml": OK + "extends: _b\n", "_b.yaml": 'number: "+14155550100"\n'},
        ["_b.yaml:1:1: number can't be shared by several lines (write it in one line's file)"],
    ),
    "extends-in-the-defaults": (
        {"a.yaml": OK, "_defaults.yaml": "extends: _b\n", "_b.yaml": "label: B\n"},
        ["_defaults.yaml:1:1: extends can't be shared by all lines (write it in one line's file)"],
    ),
    "wrong-in-a-part-that-is-used": (
        {"a.yaml": OK + "extends: _b\n", "_b.yaml": "lable: B\n"},
        ["_b.yaml:1:1: unknown key lable (did you mean label?)"],
    ),
    "wrong-in-a-part-that-is-not": (
        {"a.yaml": OK, "_b.yaml": "lable: B\ntransfer: {desk: {timeout: 5s}}\n"},
        ["_b.yaml:1:1: unknown key lable (did you mean label?)"],
    ),
    "empty-part": (
        {"a.yaml": OK + "extends: _b\n", "_b.yaml": ""},
        ["_b.yaml:1:1: the file is empty (write keys into it, or remove it)"],
    ),
    "name": (
        {"a.yaml": OK, "_B.yaml": "label: B\n"},
        ["_B.yaml:1:1: '_B' can't be the name of a part (use lower-case letters, digits, _ and - after the first _)"],
    ),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults
