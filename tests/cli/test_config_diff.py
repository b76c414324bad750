import shutil

import pytest

FILES = {
    "_defaults.yaml": "model: {voice: cedar}\n",
    "a.yaml": 'number: "+14155550100"\ninstructions: file:prompts/a.md\ntools: ["t:f"]\n',
    "b.yaml": "instructions: B\nvars: {site: Bern}\n",
    "c.yaml": "default: true\ninstructions: C\n",
    "_numbers.yaml": 'numbers:\n  "+41445550100": {line: b}\n  "+41225550100": {line: b, vars: {site: Genf}}\n',
    "prompts/a.md": "You are the receptionist of Acme, and you are brief with everybody who calls. Be kind.\n",
    "tools/t.py": "def f(): ...\n",
}


@pytest.fixture
def folders(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    for name, text in FILES.items():
        (before / name).parent.mkdir(parents=True, exist_ok=True)
        (before / name).write_text(text)
    shutil.copytree(before, after)
    return before, after


@pytest.fixture
def changed(gateway, folders):
    def run(name, text):
        (folders[1] / name).write_text(text)
        ran = gateway("config", "diff", "before", "after", "--json")
        assert ran.status == 0
        return {(row["number"], row["key"]): (row["before"], row["after"]) for row in ran.objects}

    return run


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [
        ("b.yaml", FILES["b.yaml"] + "# a remark\n", {}),
        (
            "b.yaml",
            "instructions: B\nvars: {site: Biel}\n",
            {("+41445550100", "vars.site"): ("Bern", "Biel")},
        ),
        (
            "_numbers.yaml",
            FILES["_numbers.yaml"].replace("{line: b}", "{line: a}").replace("Genf", "Nyon"),
            {
                ("+41445550100", "line"): ("b", "a"),
                ("+41445550100", "vars.site"): ("Bern", None),
                ("+41445550100", "instructions"): ("B", FILES["prompts/a.md"].strip()),
                ("+41225550100", "vars.site"): ("Genf", "Nyon"),
            },
        ),
        (
            "prompts/a.md",
            "Be kind.\n",
            {("+14155550100", "instructions"): (FILES["prompts/a.md"].strip(), "Be kind.")},
        ),
        (
            "_numbers.yaml",
            FILES["_numbers.yaml"].partition('  "+4122')[0],
            {("+41225550100", "line"): ("b", None), ("+41225550100", "vars.site"): ("Genf", None)},
        ),
    ],
)
def test_what_changes_on_which_number(changed, name, text, changes):
    found = changed(name, text)
    assert {key: value for key, value in found.items() if key in changes} == changes
    assert {number for number, _ in found} == {number for number, _ in changes}


def test_a_shared_value_changes_every_number(changed):
    found = changed("_defaults.yaml", "model: {voice: marin}\n")
    numbers = ("+14155550100", "+41445550100", "+41225550100", "every other number")
    assert found == {(number, "model.voice"): ("cedar", "marin") for number in numbers}


def test_python_counts(changed):
    [((number, key), (before, after))] = changed("tools/t.py", "def f(): return 1\n").items()
    assert (number, key, before == after) == ("+14155550100", "tools/t.py", False)


def test_a_table_for_people(gateway, folders):
    (folders[1] / "_defaults.yaml").write_text("model: {voice: marin}\n")
    (folders[1] / "prompts" / "a.md").write_text(FILES["prompts/a.md"].replace("kind", "polite"))
    ran = gateway("config", "diff", "before", "after")
    assert "4 numbers change." in ran.out
    assert ran.out.count("cedar") == 2  # equal changes are told once, with all their numbers


def test_a_broken_folder_is_status_1(gateway, folders):
    (folders[1] / "a.yaml").write_text("")
    ran = gateway("config", "diff", "before", "after")
    assert (ran.status, ran.out.startswith("after/a.yaml:1:1: ")) == (1, True)
