"""Files that are not the YAML that we take."""

import pytest

OK = "instructions: Be brief.\n"

CASES = {
    "empty": ({"a.yaml": ""}, ["a.yaml:1:1: the file is empty (write keys into it, or remove it)"]),
    "only-comments": ({"a.yaml": "# nothing\n"}, ["a.yaml:1:1: the file is empty (write keys into it, or remove it)"]),
    "list-at-top": ({"a.yaml": "- a\n- b\n"}, ["a.yaml:1:1: expected keys, found a list (write key: value)"]),
    "text-at-top": ({"a.yaml": "hello\n"}, ["a.yaml:1:1: expected keys, found a text (write key: value)"]),
    "duplicate-key": (
        {"a.yaml": OK + "label: A\nlabel: B\n"},
        ["a.yaml:3:1: the key label is given twice (the first is in line 2)"],
    ),
    "duplicate-nested": (
        {"a.yaml": OK + "model:\n  voice: marin\n  speed: 1.0\n  voice: cedar\n"},
        ["a.yaml:5:3: the key voice is given twice (the first is in line 3)"],
    ),
    "tab": (
        {"a.yaml": OK + "model:\n\tvoice: marin\n"},
        ["a.yaml:3:1: a tab stands where YAML wants spaces (indent with spaces)"],
    ),
    "variable-without-quotes": (
        {"a.yaml": OK + "greeting: {{site}} here.\n"},
        ['a.yaml:2:11: a value that begins with {{ is read as a map (put it in quotes: "{{name}} ...")'],
    ),
    "anchor": (
        {"a.yaml": OK + "vars: &v {a: b}\n"},
        ["a.yaml:2:7: anchors (&v) are not used here (put what lines share into _defaults.yaml)"],
    ),
    "alias": (
        {"a.yaml": OK + "vars: *v\n"},
        ["a.yaml:2:7: anchors and aliases (&, *) are not used here (put what lines share into _defaults.yaml)"],
    ),
    "merge-key": (
        {"a.yaml": OK + "model:\n  <<: {voice: marin}\n"},
        ["a.yaml:3:3: merge keys (<<) are not used here (put what lines share into _defaults.yaml)"],
    ),
    "tag": (
        {"a.yaml": OK + "label: !secret x\n"},
        ["a.yaml:2:8: tags (!secret) are not used here (remove it, or put the text in quotes)"],
    ),
    "not-utf8": ({"a.yaml": b"label: Z\xfcrich\n"}, ["a.yaml:1:9: byte 0xfc is not UTF-8 (save the file as UTF-8)"]),
    "utf16": (
        {"a.yaml": b"\xff\xfel\x00a\x00b\x00e\x00l\x00:\x00 \x00A\x00\n\x00"},
        ["a.yaml:1:1: the file is UTF-16 (save it as UTF-8)"],
    ),
    "bom": (
        {"a.yaml": b"\xef\xbb\xbflabel: A\n"},
        ["a.yaml:1:1: the file begins with a byte order mark (save it as UTF-8 without BOM)"],
    ),
    "control": ({"a.yaml": "label: A\x07\n"}, ["a.yaml:1:9: a control character stands in the file (remove it)"]),
    "two-documents": (
        {"a.yaml": OK + "---\nlabel: B\n"},
        ["a.yaml:2:1: there is more than one document in the file (write one file for each; no --- between)"],
    ),
    "directive": (
        {"a.yaml": "%YAML 1.1\n---\nlabel: A\n"},
        ["a.yaml:1:1: directives (%) are not used here (files are YAML 1.2)"],
    ),
    "unclosed-list": (
        {"a.yaml": OK + "tools: [hang_up\n"},
        ["a.yaml:2:8: a list that begins with [ does not end (close it with ])"],
    ),
    "unclosed-map": (
        {"a.yaml": OK + "vars: {a: b\n"},
        ["a.yaml:2:7: a map that begins with { does not end (close it with })"],
    ),
    "unclosed-quote": (
        {"a.yaml": OK + 'label: "Acme\nlanguage: en\n'},
        ["a.yaml:2:8: a quoted text does not end (close it with the same quote)"],
    ),
    "colon-in-text": (
        {"a.yaml": OK + "greeting: Hello: how are you\n"},
        ["a.yaml:2:16: a colon where no key can be (put a text with a colon in quotes, and indent keys alike)"],
    ),
    "no-colon": (
        {"a.yaml": OK + "label Acme\nlanguage: en\n"},
        ["a.yaml:2:1: a key without a colon (write key: value)"],
    ),
    "at-sign": ({"a.yaml": OK + "label: @acme\n"}, ["a.yaml:2:8: a value can't begin with @ (put it in quotes)"]),
    "indent": (
        {"a.yaml": "label: A\n language: en\n"},
        ["a.yaml:2:10: a colon where no key can be (put a text with a colon in quotes, and indent keys alike)"],
    ),
    "bad-dedent": (
        {"a.yaml": OK + "model:\n    voice: marin\n  speed: 1.0\n"},
        ["a.yaml:4:3: this does not fit what is above (check indentation and quotes)"],
    ),
    "unquoted-variable": (
        {"a.yaml": OK + "greeting: {{label}}\n"},
        ['a.yaml:2:11: a value that begins with {{ is read as a map (put it in quotes: "{{name}}")'],
    ),
    "list-in-line": (
        {"a.yaml": OK + "tools: - hang_up\n"},
        ["a.yaml:2:8: a list item where none can be (begin the list on a line of its own)"],
    ),
    "quote-inside": (
        {"a.yaml": OK + "label: 'it's'\n"},
        ["a.yaml:2:12: this does not fit what is above (check indentation and quotes)"],
    ),
    "deep": (
        {
            "a.yaml": OK
            + "vars: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"
        },
        ["a.yaml:1:1: the file is nested too deeply (flatten it)"],
    ),
    "list-key": ({"a.yaml": OK + "? [a]\n: b\n"}, ["a.yaml:2:3: a list or a map can't be a key (write key: value)"]),
}


@pytest.mark.parametrize(("files", "faults"), CASES.values(), ids=CASES.keys())
def test_every_fault_has_its_place_and_remedy(files, faults, faults_of):
    assert faults_of(files) == faults
