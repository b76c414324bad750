from typing import Any, Protocol


class Ran(Protocol):
    objects: list[dict[str, Any]]


def shown(ran: Ran, key: str) -> dict[str, Any]:
    return next(row for row in ran.objects if row["key"] == key)


def test_every_value_of_a_line_has_its_origin(gateway, lines):
    ran = gateway("config", "show", "--line", "desk", "--json")
    assert ran.status == 0
    assert shown(ran, "model.voice") == {
        "key": "model.voice", "value": "cedar", "file": "agents_config/_defaults.yaml", "line": 2, "column": 3,
    }  # fmt: skip
    assert shown(ran, "agents.host.tools")["file"] == "agents_config/agents/host.yaml"
    assert shown(ran, "limits.silence") == {"key": "limits.silence", "value": "1m", "file": None}


def test_a_table_for_people(gateway, lines):
    ran = gateway("config", "show", "--line", "desk")
    assert ran.status == 0
    row = next(row for row in ran.out.splitlines() if "model.voice" in row)
    assert row.split() == ["model.voice", "cedar", "_defaults.yaml:2"]


def test_secrets_are_shown_as_they_are_written(gateway, lines, monkeypatch):
    monkeypatch.setenv("KEY", "hunter2")
    ran = gateway("config", "show", "--line", "desk", "--json")
    assert shown(ran, "model.headers.api-key")["value"] == "${KEY}"
    assert "hunter2" not in ran.out


def test_by_number_as_a_call_would_be_answered(gateway, lines):
    assert "The line desk" in gateway("config", "show", "--number", "+14155550100").out
    assert "The line other" in gateway("config", "show", "--number", "+14155550199").out


def test_wrong_use_is_status_2(gateway, lines):
    assert gateway("config", "show").status == 2
    assert gateway("config", "show", "--line", "desk", "--number", "+1").status == 2
    ran = gateway("config", "show", "--line", "dexk")
    assert ran.status == 2
    assert "did you mean desk?" in ran.err


def test_a_number_that_nobody_answers(gateway, lines):
    (lines / "other.yaml").unlink()
    ran = gateway("config", "show", "--number", "+14155550199")
    assert ran.status == 2
    assert "no line answers" in ran.err


def test_a_broken_folder_is_status_1(gateway, lines):
    (lines / "desk.yaml").write_text("")
    ran = gateway("config", "show", "--line", "other")
    assert ran.status == 1
    assert ran.out.startswith("agents_config/desk.yaml:1:1: the file is empty")
