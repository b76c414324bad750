"""Defaults, shared parts, lines and rows of the table lie over each other, in this order."""

import pytest

from gateway.config.loader import load

FILES = {
    "_defaults.yaml": "label: D\nlanguage: en-GB\nvars: {a: d, b: d, c: d, e: d}\nguardrails: [no_links]\ntools: [hang_up]\n",
    "_base.yaml": "label: B\nvars: {b: base}\nmodel: {voice: cedar, speed: 1.1}\n",
    "_eu.yaml": "extends: _base\nlabel: E\nvars: {c: eu, e: null}\nmodel: {speed: 1.2}\nguardrails: [no_ibans]\n",
    "a.yaml": "extends: _eu\nlabel: A\ninstructions: Be brief.\nvars: {f: a}\n",
    "_numbers.yaml": 'numbers: {"+41445550100": {line: a, label: R, vars: {f: r, b: null}}}\n',
}


def test_each_lies_over_the_one_before(write):
    directory = load(write(FILES))
    line = directory.lines["a"]
    own = {name: value for name, value in line.vars.items() if len(name) == 1}
    assert own == {"a": "d", "b": "base", "c": "eu", "f": "a"}
    assert (line.label, line.language, line.model.voice, line.model.speed) == ("A", "en-GB", "cedar", 1.2)
    assert line.guardrails == ("no_ibans",)  # lists replace

    row = directory.find("+41445550100")
    assert row
    assert (row.id, row.label, row.language, row.model.speed) == ("a", "R", "en-GB", 1.2)
    assert {name: value for name, value in row.vars.items() if len(name) == 1} == {"a": "d", "c": "eu", "f": "r"}


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("label", "_numbers.yaml:1"),
        ("vars.f", "_numbers.yaml:1"),
        ("vars.c", "_eu.yaml:3"),
        ("model.voice", "_base.yaml:3"),
        ("language", "_defaults.yaml:2"),
        ("limits.silence", None),
    ],
)
def test_each_value_knows_which_file_it_is_from(write, key, place):
    directory = load(write(FILES))
    row = directory.find("+41445550100")
    assert row
    origin = directory.origin(row.key, key)
    assert (str(origin).removeprefix(f"{directory.folder}/") if origin else None) == place


def test_lines_of_one_part_stay_apart(write):
    directory = load(write(FILES | {"b.yaml": "extends: _base\ninstructions: Be brief.\n"}))
    assert directory.lines["b"].label == "B"
    assert directory.lines["b"].guardrails == ("no_links",)
