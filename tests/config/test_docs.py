"""docs/lines.md and docs/numbers.md list every key; their tables are written from the schema: UPDATE_DOCS=1 pytest tests/config/test_docs.py."""

import os
import re
import wave
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from gateway.config import after_call, model_options, numbers, opening, schema
from gateway.config.loader import load
from gateway.config.schema import AgentFile, LineFile
from gateway.config.spoken import SpokenClip

DOCS = Path(__file__).parents[2] / "docs"
NUMBERS = {
    "numbers": numbers.NumbersFile,
    "account": numbers.AccountConfig,
    "row": numbers.NumberRow,
    "canary": numbers.CanaryConfig,
}
LINES = {
    "line": LineFile,
    "clip": SpokenClip,
    "agent": AgentFile,
    "model": model_options.ModelConfig,
    "transcription": model_options.TranscriptionConfig,
    "turn_detection": model_options.TurnDetectionConfig,
    "voice": model_options.VoiceConfig,
    "reasoning": model_options.ReasoningConfig,
    "prompt": model_options.PromptConfig,
    "tracing": model_options.TracingConfig,
    "transfer": schema.TransferConfig,
    "on_failure": schema.OnFailureConfig,
    "limits": schema.LimitsConfig,
    "barge_in": schema.BargeInConfig,
    "approvals": schema.ApprovalsConfig,
    "hours": opening.HoursConfig,
    "closed_say": opening.ClosedSayConfig,
    "closed_reject": opening.ClosedRejectConfig,
    "recording": schema.RecordingConfig,
    "transcript": after_call.TranscriptConfig,
    "outcome": after_call.OutcomeConfig,
    "deliver": after_call.DeliveryConfig,
}


def wav(audio: bytes) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(audio)
    return file.getvalue()


def table(model: Any) -> str:
    """Return the keys of a model as a Markdown table."""
    described = model.model_json_schema(mode="validation")
    defaults = model.model_construct()
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in described["properties"].items():
        required = name in described.get("required", ())
        default = "required" if required else shown(defaults, name)
        text = field["description"] if "description" in field else described_by(model, name)
        rows.append(f"| `{name}` | {kind(field, described)} | {default} | {text} |")
    return "\n".join(rows)


def described_by(model: Any, name: str) -> Any:
    return next(field.description for key, field in model.model_fields.items() if (field.alias or key) == name)


def shown(defaults: Any, name: str) -> str:
    value = defaults.model_dump(mode="json", by_alias=True).get(name)
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
            inner = field.get("additionalProperties") or next(iter(field["patternProperties"].values()))
            if inner is True:
                return "map"
            return f"map of {kind(inner, described)}"
        case "integer" | "number" if "minimum" in field and "maximum" in field:
            return f"{field['minimum']:g} to {field['maximum']:g}"
        case kind_of:
            return {"string": "text", "boolean": "`true`, `false`", "integer": "number", "number": "number"}[kind_of]


def written(text: str, tables: dict[str, Any]) -> str:
    """Return a page with its tables as the schema has them."""
    for name, model in tables.items():
        begin, end = f"<!-- table {name} -->\n", "<!-- end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{table(model)}\n{end}{rest.partition(end)[2]}"
    return text


@pytest.mark.parametrize(("page", "tables"), [("lines.md", LINES), ("numbers.md", NUMBERS)], ids=["lines", "numbers"])
def test_the_page_lists_every_key_as_the_schema_has_it(page, tables):
    path = DOCS / page
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(written(path.read_text(encoding="utf-8"), tables), encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    assert text == written(text, tables)


def test_every_model_of_the_schema_has_its_table():
    described = {*LineFile.model_json_schema()["$defs"], *numbers.NumbersFile.model_json_schema()["$defs"]}
    models = {model.__name__ for model in (*LINES.values(), *NUMBERS.values())}
    assert models == described | {"LineFile", "NumbersFile"}


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


CLINIC = """
timezone: Europe/Zurich
language: de-CH
instructions: Be brief in {{site}}.
vars: {site: Zürich}
transfer: {desk: {to: "+41445550111"}}
"""
AROUND: dict[str, str | bytes] = {
    "front_desk.yaml": "instructions: Be brief.\n",
    "clinic.yaml": CLINIC,
    "desk_uk.yaml": "instructions: Be brief.\n",
    "desk_uk_next.yaml": "instructions: Be brief, and kind.\n",
    "prompts/receptionist.de-CH.md": "Hoi\n",
    "tools/acme_tools.py": "def find_order(): ...\ndef refund(): ...\n",
    "clips/hello.wav": wav(b"\0" * 320),
}
"""What the examples take for granted."""


@pytest.mark.parametrize(
    "example", [pytest.param(text, id=page) for page in ("lines.md", "numbers.md") for text in examples(page)]
)
def test_the_examples_of_the_pages_are_right(write, example):
    files = dict(AROUND)
    for part in re.split(r"^(?=# [\w/.]+\.yaml)", example, flags=re.MULTILINE):
        if name := re.match(r"# ([\w/.]+\.yaml)", part):
            files[name[1]] = part
    environment = {"OPENAI_EU_URL": "wss://eu.example/v1", "TWILIO_AUTH_TOKEN": "a", "TWILIO_EU_TOKEN": "b"}
    assert load(write(files), environment).lines
