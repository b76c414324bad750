"""Two hundred broken folders: one good folder, broken in one place each, in every way that a key can be wrong."""

import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway.config import loader, parts, table
from gateway.config.loader import load
from gateway.config.yaml import read_yaml
from gateway.errors import ConfigError

yaml = YAML(typ="safe")
GOOD = {
    "_defaults.yaml": """
timezone: Europe/Zurich
model: {voice: cedar}
""",
    "_eu.yaml": """
model: {name: gpt-realtime-2.1, url: "${EU_URL}", headers: {api-key: "${EU_KEY}"}, speed: 1.1}
limits: {max_duration: 20m, silence: 60s, calls_per_caller: 5, concurrent_calls: 9}
""",
    "clinic.yaml": """
extends: _eu
label: Clinic
timezone: Europe/Zurich
language: de-CH
vars: {site: Bern}
greeting: {de-CH: "Hoi {{site}}", fr-CH: Salut}
agent: host
agents:
  host: {instructions: "Be brief in {{site}}.", handoffs: [night], tools: [hang_up, transfer, "t:f"], needs_approval: ["t:f"]}
  night: {instructions: file:prompts/night.md, handoff_description: At night, guardrails: [no_links]}
guardrails: [no_ibans]
guardrail_debounce: 50
transfer:
  desk: {to: "+41445550111", timeout: 25s, mode: cold, caller_id: "+41445550100"}
hours: {open: {mon-fri: "08:00-18:00"}, holidays: CH-ZH, closed: agent:night}
on_failure: {say: Moment., then: "transfer:desk"}
barge_in: {allowed: true, min_speech: 200ms, protect_greeting: true}
approvals: {keypad: false, timeout: 20s}
recording: {mode: dual, consent: We record., keep: 30d}
end_by: rest
""",
    "front.yaml": """
number: "+14155550199"
default: true
instructions: Be brief.
tools: [hang_up]
model:
  transcription: {model: whisper-1, language: en, keywords: [Acme], delay: low}
  turn_detection: {type: server_vad, threshold: 0.5, silence_duration_ms: 500}
  noise_reduction: far_field
  max_output_tokens: 400
  reasoning: {effort: low}
  prompt: {id: pmpt_1, version: "2", variables: {a: b}}
  tracing: {workflow_name: w, metadata: {a: b}}
  modalities: [audio]
""",
    "_numbers.yaml": """
schema: 1
accounts:
  us: {sid: AC0001, token: "${US}"}
  eu: {sid: AC0002, token: "${EU}", region: ie1, edge: dublin}
numbers:
  "+14155550100": {line: front, account: us, canary: {line: clinic, percent: 10}}
  "+41225550100": {line: clinic, account: eu, language: fr-CH, vars: {site: Genf}, limits: {silence: 30s}}
  "+4144556*": {line: clinic, account: eu, label: Block}
  "sip:*@acme.sip.twilio.com": {line: clinic, account: eu}
""",
    "prompts/night.md": "Take a message.\n",
    "tools/t.py": "def f(): ...\n",
}
WRONG = {"text": "x y", "number": 7, "true": True, "list": ["x"], "keys": {"x": "y"}, "nothing": None}
"""A value of each kind, for one key after the other; most keys take one or two of them."""


def paths(tree: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from paths(value, (*path, key))


def replaced(tree: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    assert isinstance(tree, dict)
    return {key: replaced(each, path[1:], value) if key == path[0] else each for key, each in tree.items()}


def renamed(tree: object, path: tuple[str | int, ...]) -> object:
    """Return the tree with an x behind the last key of a path."""
    assert isinstance(tree, dict)
    if len(path) == 1:
        return {f"{key}x" if key == path[0] else key: each for key, each in tree.items()}
    return {key: renamed(each, path[1:]) if key == path[0] else each for key, each in tree.items()}


FREE = {"vars", "variables", "metadata", "headers", "agents", "transfer", "accounts", "numbers", "open"}
"""Maps whose keys are anybody's: one with another name is not wrong by itself."""


def broken() -> Iterator[tuple[str, str, str, object]]:
    """Go through the breaks: what it is called, the file, and what is in it then."""
    kinds = itertools.cycle(WRONG)
    for name in (name for name in GOOD if name.endswith(".yaml")):
        tree = yaml.load(GOOD[name])
        for path in paths(tree):
            shown = f"{name}:{'.'.join(str(part) for part in path)}"
            if not {*map(str, path[-2:-1])} & FREE:
                yield f"{shown}-misspelt", name, shown, renamed(tree, path)
            kind = next(kinds)
            yield f"{shown}-{kind}", name, shown, replaced(tree, path, WRONG[kind])


CASES = {label: (name, tree) for label, name, _, tree in broken()}
ENVIRONMENT = {"EU_URL": "wss://eu.example/v1", "EU_KEY": "k", "US": "a", "EU": "b"}


def written(folder: Path, **files: object) -> Path:
    for name, content in {**GOOD, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            with path.open("w") as file:
                YAML(typ="safe").dump(content, file)
    return folder


def test_the_folder_is_good_before_it_is_broken(tmp_path):
    assert {*load(written(tmp_path), ENVIRONMENT).lines} == {"clinic", "front"}


@pytest.fixture
def read_once(monkeypatch):
    """Parse what is the same in all folders but once: in each of them one file is another."""
    once = cache(read_yaml)
    for reader in (loader, parts, table):
        monkeypatch.setattr(reader, "read_yaml", once)


@pytest.mark.timeout(180)
def test_what_is_wrong_is_told_with_file_line_column_and_remedy(tmp_path, read_once):
    """Some of these breaks are none (a text is a good label): the others are told, and none ends in a crash."""
    found, placed = 0, 0
    for label, (name, tree) in CASES.items():
        written(tmp_path, **{name: tree})
        lines = (tmp_path / name).read_text().splitlines()
        try:
            load(tmp_path, ENVIRONMENT)
        except ConfigError as error:
            found += 1
            for fault in error.faults:
                assert fault.message, label
                assert fault.remedy, (label, fault)
                assert Path(fault.file).is_relative_to(tmp_path), label
                assert fault.line >= 1, label
                assert fault.column >= 1, label
            placed += any(
                (fault.file == str(tmp_path / name) and fault.line <= len(lines))
                or ", for the number +" in fault.message
                for fault in error.faults
            )
        finally:
            written(tmp_path)
    assert found >= 200
    assert placed == found


BYTES = {
    "no-yaml": b"a: [",
    "tabs": b"a:\n\tb: c\n",
    "binary": bytes(range(256)),
    "utf-16": "label: x".encode("utf-16"),
    "latin-1": "label: Zürich".encode("latin-1"),
    "bom": b"\xef\xbb\xbflabel: x\n",
    "empty": b"",
    "list": b"- a\n",
    "text": b"hello\n",
    "two-documents": b"label: a\n---\nlabel: b\n",
    "anchors": b"label: &a x\nvars: {b: *a}\n",
    "merge": b"vars: {<<: {a: b}}\n",
    "tags": b"label: !!python/object:os.system x\n",
    "deep": b"[" * 5000,
    "nul": b"label: a\0b\n",
    "double": b"label: a\nlabel: b\n",
}


@pytest.mark.parametrize(("name", "content"), list(itertools.product(GOOD, BYTES)))
def test_any_file_may_be_anything(tmp_path, name, content):
    written(tmp_path)
    (tmp_path / name).write_bytes(BYTES[content])
    try:
        load(tmp_path, ENVIRONMENT)
    except ConfigError as error:
        faults = error.faults
    else:
        faults = []
    assert all(fault.remedy and fault.line and fault.column for fault in faults)
    assert faults or not name.endswith((".yaml", ".py"))  # a prompt may be almost any text
