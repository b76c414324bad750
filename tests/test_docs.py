"""What the docs say is there, is there."""

import re
from pathlib import Path

import pytest

from gateway.cli import create_cli
from gateway.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def test_every_setting_is_explained_and_nothing_else():
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    explained = set(re.findall(r"`(\w+)`", rows))
    assert explained == {str(field.validation_alias) for field in Settings.model_fields.values()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_paths_commands_and_files_of_the_readme_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:tests|scripts|agents_config|docs)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path
    known = {
        command.name or command.callback.__name__ for command in create_cli().registered_commands if command.callback
    }
    known |= {group.name for group in create_cli().registered_groups if group.name}
    named = set(re.findall(r"\bgateway ([a-z]+)", re.sub(r"```yaml.*?```", "", text, flags=re.DOTALL)))
    assert {"serve", "doctor", "dev"} <= named
    assert named <= known, named - known
    for path in re.findall(r"^  (\w+(?:\.py)?)[/, ]", text[text.index("gateway/\n") :], flags=re.MULTILINE):
        assert (ROOT / "gateway" / path).exists(), path
