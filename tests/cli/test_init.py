import re
from pathlib import Path

from gateway.settings import Settings


def test_the_first_lines_are_right(gateway, tmp_path):
    ran = gateway("init")
    assert ran.status == 0
    assert (tmp_path / "agents_config" / "tools" / "hello_tools.py").is_file()
    assert gateway("check", "--json").objects[0]["tools"] == ["hang_up", "hello_tools:opening_hours"]
    compile((tmp_path / "agents_config" / "tools" / "hello_tools.py").read_text(), "hello_tools.py", "exec")


def test_another_folder(gateway, tmp_path):
    assert gateway("init", "deep/new").status == 0
    assert gateway("check", "deep/new/agents_config").status == 0


def test_nothing_is_overwritten(gateway, tmp_path):
    (tmp_path / ".env.example").write_text("mine")
    ran = gateway("init")
    assert ran.status == 1
    assert ".env.example is there already" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == [".env.example"]
    (tmp_path / ".env.example").unlink()
    assert gateway("init").status == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert gateway("init").status == 1
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_what_can_not_be_written_is_said(gateway, tmp_path):
    (tmp_path / "file").write_text("")
    ran = gateway("init", "file")
    assert ran.status == 1
    assert "can't write" in ran.err


def test_the_example_environment_has_names_that_are_read(gateway, tmp_path):
    gateway("init")
    text = Path(tmp_path / ".env.example").read_text()
    names = set(re.findall(r"^(?:# )?([A-Z_]+)=", text, re.MULTILINE))
    assert names <= {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert {"OPENAI_API_KEY", "TWILIO_AUTH_TOKEN", "GATEWAY_PUBLIC_URL", "GATEWAY_SECRET_KEY"} <= names
