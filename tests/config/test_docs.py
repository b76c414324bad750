"""docs/lines.md lists every key; its tables are written from the schema: UPDATE_DOCS=1 pytest tests/config/test_docs.py."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.config import schema
from gateway.config.schema import AgentFile, GreetingClip, LineFile

DOCS = Path(__file__).parents[2] / "docs" / "lines.md"
TABLES = {
    "line": LineFile,
    "greeting": GreetingClip,
    "agent": AgentFile,
    "model": schema.ModelConfig,
    "transcription": schema.TranscriptionConfig,
    "turn_detection": schema.TurnDetectionConfig,
    "voice": schema.VoiceConfig,
    "reasoning": schema.ReasoningConfig,
    "prompt": schema.PromptConfig,
    "tracing": schema.TracingConfig,
    "transfer": schema.TransferConfig,
    "on_failure": schema.OnFailureConfig,
    "limits": schema.LimitsConfig,
    "barge_in": schema.BargeInConfig,
    "approvals": schema.ApprovalsConfig,
    "recording": schema.RecordingConfig,
}


def table(model: Any) -> str:
    """Return the keys of a model as a Markdown table."""
    described = model.model_json_schema(mode="validation")
    defaults = model.model_construct()
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in described["properties"].items():
        required = name in described.get("required", ())
        default = "required" if required else shown(defaults, name)
        rows.append(f"| `{name}` | {kind(field, described)} | {default} | {model.model_fields[name].description} |")
    return "\n".join(rows)


def shown(defaults: Any, name: str) -> str:
    value = defaults.model_dump(mode="json")[name]
    if value in (None, [], {}, "") or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`".replace("['audio']", "[audio]")


def kind(field: dict[str, Any], described: dict[str, Any]) -> str:
    if "anyOf" in field or "oneOf" in field:
        kinds = [
            kind(each, described) for each in field.get("anyOf", field.get("oneOf", ())) if each.get("type") != "null"
        ]
        return " or ".join(kinds)
    if "$ref" in field:
        return "keys"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("pattern", "").startswith(r"^(\d+"):
        return "duration"
    if field.get("pattern", "").startswith(r"^\+"):
        return "number"
    match field["type"]:
        case "array":
            return f"list of {kind(field['items'], described)}"
        case "object":
            return f"map of {kind(field['additionalProperties'], described)}"
        case "integer" | "number" if "minimum" in field and "maximum" in field:
            return f"{field['minimum']:g} to {field['maximum']:g}"
        case kind_of:
            return {"string": "text", "boolean": "`true`, `false`", "integer": "number", "number": "number"}[kind_of]


def written(text: str) -> str:
    """Return the page with its tables as the schema has them."""
    for name, model in TABLES.items():
        begin, end = f"<!-- table {name} -->\n", "<!-- end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table(model)}\n{end}{rest.partition(end)[2]}"
    return text


def test_the_page_lists_every_key_as_the_schema_has_it():
    text = DOCS.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_DOCS"):
        DOCS.write_text(written(text), encoding="utf-8")
    assert DOCS.read_text(encoding="utf-8") == written(text)


def test_every_model_of_the_schema_has_its_table():
    described = LineFile.model_json_schema()["$defs"]
    assert {model.__name__ for model in TABLES.values()} == {*described, "LineFile"}


@pytest.mark.parametrize(
    "number", range(len(re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)))
)
def test_the_examples_of_the_page_are_right(write, number):
    from gateway.config.loader import load  # noqa: PLC0415

    example = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[number]
    files: dict[str, str | bytes] = {}
    for part in re.split(r"^(?=# [\w/.]+\.yaml)", example, flags=re.MULTILINE):
        if name := re.match(r"# ([\w/.]+\.yaml)", part):
            files[name[1]] = part
    files |= {
        "prompts/receptionist.de-CH.md": "Hoi\n",
        "tools/acme_tools.py": "def find_order(): ...\ndef refund(): ...\n",
    }
    assert load(write(files)).lines
