import dataclasses

import pytest

from gateway.config.loader import load

LINES = {
    "a.yaml": 'instructions: A\nnumber: "+14155550100"\n',
    "b.yaml": 'instructions: file:prompts/b.md\nnumbers: ["+14155550101", "+14155550102"]\ntools: ["t:f"]\n',
    "c.yaml": "instructions: C\ndefault: true\n",
    "prompts/b.md": "B\n",
    "tools/t.py": "def f(): ...\n",
}


@pytest.mark.parametrize(
    ("called", "line", "found"),
    [
        ("+14155550100", "", "a"),
        ("+14155550102", "", "b"),
        ("+14155550109", "", "c"),
        ("", "", "c"),
        ("+14155550100", "b", "b"),
        ("+14155550100", "nobody", None),
    ],
)
def test_a_line_by_name_then_by_exact_number_then_the_default(write, called, line, found):
    directory = load(write(LINES))
    line_found = directory.find(called, line)
    assert (line_found.id if line_found else None) == found


def test_nobody_answers_where_no_line_does(write):
    assert load(write({"a.yaml": LINES["a.yaml"]})).find("+14155550109") is None


def test_a_snapshot_does_not_change(write):
    directory = load(write(LINES))
    with pytest.raises(dataclasses.FrozenInstanceError):
        directory.hash = ""  # type: ignore[misc]  # the point
    with pytest.raises(TypeError):
        directory.lines["x"] = directory.lines["a"]  # type: ignore[index]  # the point
    with pytest.raises(ValueError, match="frozen"):
        directory.lines["a"].model.voice = "cedar"


def test_the_hash_is_that_of_the_content(write):
    folder = write(LINES)
    before = load(folder).hash
    assert load(folder).hash == before
    for name in (".hidden", "a.yaml~", "#a.yaml#", "tools/__pycache__/t.pyc"):
        write({name: "x"})
    (folder / "a.yaml").touch()
    assert load(folder).hash == before


@pytest.mark.parametrize("name", [*LINES, "tools/unused.py"])
def test_every_file_counts_in_the_hash(write, name):
    before = load(write(LINES)).hash
    assert load(write({name: LINES.get(name, "") + "# more\n"})).hash != before


def test_the_hash_tells_a_moved_file_and_moved_bytes(write):
    first = load(write(LINES | {"x.txt": "ab", "y.txt": "c"})).hash
    assert load(write({"x.txt": "a", "y.txt": "bc"})).hash != first


def test_every_value_knows_where_it_was_written(write):
    files = LINES | {
        "_defaults.yaml": "model:\n  voice: cedar\n  speed: 1.1\n",
        "d.yaml": "agent: desk\nmodel:\n  speed: 1.2\n",
        "agents/desk.yaml": "instructions: D\ntools:\n  - hang_up\n",
    }
    directory = load(write(files))

    def origin(key: str) -> str | None:
        place = directory.origin("d", key)
        return str(place).removeprefix(f"{directory.folder}/") if place else None

    assert origin("model.speed") == "d.yaml:3"
    assert origin("model.voice") == "_defaults.yaml:2"
    assert origin("agents.desk.tools") == "agents/desk.yaml:2"
    assert origin("model.name") is None


def test_what_is_shown_holds_no_secret(write):
    files = {"a.yaml": 'instructions: A\nmodel: {url: "${URL}", headers: {api-key: "${KEY}"}}\n'}
    directory = load(write(files), {"URL": "wss://hunter2.example/", "KEY": "hunter2"})
    assert "hunter2" not in str(directory.settings)
    assert [setting.value for setting in directory.settings["a"] if setting.key == "model.headers.api-key"] == [
        "${KEY}"
    ]
    assert directory.environment["a"] == {"URL", "KEY"}
