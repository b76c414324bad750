import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_good_lines_are_a_table(gateway, lines):
    ran = gateway("check")
    assert ran.status == 0
    for piece in ("desk", "+14155550100", "every other number", "host", "hang_up", "KEY", "agents_config is right"):
        assert piece in ran.out


def test_good_lines_as_json(gateway, lines):
    ran = gateway("check", "--json")
    assert ran.status == 0
    desk, other = ran.objects
    assert (desk["line"], desk["numbers"], desk["agents"]) == ("desk", ["+14155550100"], ["host"])
    assert (desk["tools"], desk["environment"], desk["default"]) == (["hang_up"], ["KEY"], False)
    assert (other["line"], other["default"]) == ("other", True)


def test_faults_are_one_a_line_and_the_status_is_1(gateway, lines):
    (lines / "other.yaml").write_text("default: true\ninstructions: Ho\nlabl: X\nspeed: 2\n")
    ran = gateway("check")
    assert ran.status == 1
    assert ran.out.splitlines() == [
        "agents_config/other.yaml:3:1: unknown key labl (did you mean label?)",
        "agents_config/other.yaml:4:1: unknown key speed (speed: belongs under model:)",
    ]
    assert ran.err == "2 faults.\n"


def test_faults_as_json(gateway, lines):
    (lines / "other.yaml").write_text("default: true\ninstructions: Ho\nlabl: X\n")
    ran = gateway("check", "--json")
    assert ran.status == 1
    assert ran.objects == [
        {
            "file": "agents_config/other.yaml",
            "line": 3,
            "column": 1,
            "message": "unknown key labl",
            "remedy": "did you mean label?",
        }
    ]


def test_another_folder(gateway, lines, monkeypatch):
    lines.rename(lines.parent / "elsewhere")
    assert gateway("check").status == 1
    assert gateway("check", "elsewhere").status == 0
    monkeypatch.setenv("GATEWAY_CONFIG_DIR", "elsewhere")
    assert gateway("check").status == 0


def test_an_environment_that_can_not_be_read_is_status_78(gateway, lines, monkeypatch):
    monkeypatch.setenv("PORT", "eighty")
    ran = gateway("check")
    assert (ran.status, ran.err.partition(":")[0]) == (78, "PORT")


def test_a_wrong_option_is_status_2(gateway):
    assert gateway("check", "--jason").status == 2
    assert gateway("chek").status == 2


@pytest.mark.parametrize("kind", ["line", "agent"])
def test_the_schema_is_json_schema(gateway, kind):
    ran = gateway("schema", kind)
    described = json.loads(ran.out)
    assert ran.status == 0
    assert described["$schema"].startswith("https://json-schema.org/")
    assert described["additionalProperties"] is False
    assert "instructions" in described["properties"]


def test_the_version(gateway):
    from gateway import __version__  # noqa: PLC0415

    assert gateway("version").out == f"gateway {__version__}\n"
    assert gateway("version", "--json").objects == [{"version": __version__}]


def test_help_is_light():
    code = (
        "import sys\nfrom gateway.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.partition(".")[0] for name in ast_list(ran.stderr)}
    assert "check" in ran.stdout
    assert not loaded & {
        "agents",
        "openai",
        "twilio",
        "sqlalchemy",
        "starlette",
        "uvicorn",
        "pydantic",
        "ruamel",
        "numpy",
    }


def ast_list(text: str) -> list[str]:
    return [name.strip(" '") for name in text.strip().strip("[]").split(",")]


def test_python_m_gateway_is_the_same_program():
    ran = subprocess.run(
        [sys.executable, "-m", "gateway", "version"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout.startswith("gateway ")
