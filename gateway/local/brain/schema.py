"""A session's tools as the rules see them, read from their JSON Schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gateway.local.brain.words import name_words, stems

_HANDOFF = "transfer_to_"
_BOILERPLATE = re.compile(r"^Handoff to the .*? agent to handle the request\.\s*")
_COUNTS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_DIGITS = re.compile(rf"\b(\d+|{'|'.join(_COUNTS)})[- ](?:digit|figure|number)s?\b", re.IGNORECASE)
_EXAMPLE = re.compile(r"(?:such as|like|e\.g\.|for example)[^.]*\b(?:\d+[A-Z]+|[A-Z]+-?\d+)\b")
_ELSE = re.compile(
    r"\b(?:some|any)(?:thing|body|one) else\b|\btakes? back\b|\bother (?:requests|things|needs)\b", re.IGNORECASE
)
_QUESTION = stems("question faq answer query information inquiry topic")
_GENERAL = stems("triage general route delegate reception receptionist front main greet appropriate")
_ENDING = re.compile(
    r"\b(?:end|hang|finish|terminate|close|disconnect)s?\b[\w\s]*\bcall\b|\bhang(?:s|ing)? up\b", re.IGNORECASE
)
_FREE = stems(
    "question query text message request content summary comment note topic search prompt details description reason"
)
_IDENTIFYING = stems(
    "number code id identifier confirmation reference account pin zip postal serial digits phone telephone"
)
_PHONE = stems("phone telephone mobile callback")
_SHORTEST_PHONE = 5
_READING = frozenset(
    ("get", "find", "look", "lookup", "search", "check", "fetch", "show", "list", "read", "query", "retrieve", "tell")
)
_CONNECTING = stems("transfer connect forward")
_NAME = stems("name")
_WHEN = stems("date day")
_CLOCK = stems("time hour")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a tool.

    Attributes:
        kind: JSON type: string, integer, number, boolean, array, object.
        required: the caller must say it; otherwise it is left out (or null, where the schema wants it named).
        nullable: null says that nothing was said.
        default: what stands in the schema, or None.
    """

    name: str
    kind: str
    description: str = ""
    required: bool = True
    nullable: bool = False
    enum: tuple[str, ...] = ()
    pattern: str = ""
    format: str = ""
    least: float | None = None
    most: float | None = None
    default: Any = None

    @property
    def words(self) -> str:
        """Its name as words."""
        return name_words(self.name)

    @property
    def stems(self) -> set[str]:
        """What its name and description are about."""
        return stems(f"{self.words} {self.description}")

    def hint_of(self, value: str) -> str:
        """Give what the description says in brackets after one of the values: ``red (crimson, scarlet)``."""
        match = re.search(rf"\b{re.escape(name_words(value))}\s*\(([^)]*)\)", self.description, re.IGNORECASE)
        return match.group(1) if match else ""

    def takes(self, value: str) -> bool:
        """Whether a spoken code looks as the pattern or the description wants it: ``six digits``, ``such as 12A``."""
        if self.pattern:
            return bool(re.search(self.pattern, value))
        digits = sum(letter.isdigit() for letter in value)
        if match := _DIGITS.search(self.description):
            wanted = match.group(1).lower()
            count = int(wanted) if wanted.isdigit() else _COUNTS.index(wanted)
            return digits == count
        if stems(self.words) & _PHONE and digits < _SHORTEST_PHONE:
            return False
        return not _EXAMPLE.search(self.description) or 0 < digits < len(value)

    @property
    def has_look(self) -> bool:
        """Whether the pattern or the description tells it from any other word: ``six digits``, ``such as 12A``."""
        return bool(self.pattern or _DIGITS.search(self.description) or _EXAMPLE.search(self.description))

    @property
    def is_free_text(self) -> bool:
        """Whether the caller's own words are what it wants."""
        return self.kind == "string" and not self.enum and not self.pattern and bool(stems(self.words) & _FREE)

    @property
    def is_identifier(self) -> bool:
        """Whether it is a number or code that names something."""
        return self.kind == "string" and bool(stems(self.words) & _IDENTIFYING)

    @property
    def names_caller(self) -> bool:
        """Whether it stays the same for a whole call: who the caller is, or what they call about."""
        return not self.enum and bool(stems(self.words) & (_IDENTIFYING | _NAME))

    @property
    def is_date(self) -> bool:
        """Whether it is a day."""
        return self.format == "date" or (self.kind == "string" and bool(stems(self.words) & _WHEN))

    @property
    def is_time(self) -> bool:
        """Whether it is a time of day."""
        return self.format == "time" or (self.kind == "string" and bool(stems(self.words) & _CLOCK))


@dataclass(frozen=True)
class Tool:
    """One function tool."""

    name: str
    description: str = ""
    parameters: tuple[Parameter, ...] = field(default=())

    @cached_property
    def is_handoff(self) -> bool:
        """Whether calling it makes another agent answer."""
        return self.name.startswith(_HANDOFF)

    @cached_property
    def label(self) -> str:
        """Its name as people would say it."""
        return name_words(self.name.removeprefix(_HANDOFF) if self.is_handoff else self.name)

    @cached_property
    def about(self) -> str:
        """Its description, without what every handoff says."""
        return _BOILERPLATE.sub("", self.description).strip()

    @cached_property
    def name_stems(self) -> set[str]:
        """What its name is about."""
        return stems(self.label) - stems("agent tool function")

    @cached_property
    def reads(self) -> bool:
        """Whether it finds something out, by the first word of its name."""
        return self.label.split(" ")[0] in _READING

    @cached_property
    def puts_through(self) -> bool:
        """Whether it connects the caller with a person."""
        return not self.is_handoff and bool(self.name_stems & _CONNECTING)

    @cached_property
    def answers_questions(self) -> bool:
        """Whether it is there for questions of any kind."""
        takes = any(parameter.is_free_text and stems(parameter.words) & _QUESTION for parameter in self.parameters)
        return takes or bool((stems(self.about) | self.name_stems) & _QUESTION)

    @cached_property
    def is_general(self) -> bool:
        """Whether it is a handoff to somebody who sends callers to the right place."""
        return self.is_handoff and (
            bool((stems(self.about) | self.name_stems) & _GENERAL) or bool(_ELSE.search(self.about))
        )

    @cached_property
    def ends_call(self) -> bool:
        """Whether it ends the call."""
        return not self.is_handoff and bool(_ENDING.search(f"{self.label}. {self.description.split('.')[0]}"))


def read_tool(tool: Mapping[str, Any]) -> Tool:
    """Read one tool as ``session.tools`` has it."""
    schema = tool.get("parameters") or {}
    needed = set(schema.get("required") or ())
    definitions = schema.get("$defs") or schema.get("definitions") or {}
    return Tool(
        name=str(tool.get("name", "")),
        description=" ".join(str(tool.get("description") or "").split()),
        parameters=tuple(
            _read_parameter(name, one, definitions, required=name in needed)
            for name, one in (schema.get("properties") or {}).items()
        ),
    )


def _read_parameter(name: str, raw: Mapping[str, Any], definitions: Mapping[str, Any], *, required: bool) -> Parameter:
    one, nullable = _resolve(raw, definitions)
    kind = one.get("type", "string")
    enum = one.get("enum") or ([one["const"]] if "const" in one else [])
    return Parameter(
        name=name,
        kind=kind if isinstance(kind, str) else "string",
        description=" ".join(str(raw.get("description") or one.get("description") or "").split()),
        required=required and not nullable and "default" not in raw,
        nullable=nullable and required,
        enum=tuple(str(value) for value in enum if value is not None),
        pattern=str(one.get("pattern") or ""),
        format=str(one.get("format") or ""),
        least=one.get("minimum"),
        most=one.get("maximum"),
        default=raw.get("default"),
    )


def _resolve(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Follow references and ``anyOf`` with null; tells too whether null is allowed."""
    if "$ref" in raw:
        return _resolve(definitions.get(str(raw["$ref"]).rpartition("/")[2], {}), definitions)
    for key in ("anyOf", "oneOf", "allOf"):
        if raw.get(key):
            variants = [one for one in raw[key] if one.get("type") != "null"]
            resolved, nullable = _resolve(variants[0], definitions) if variants else ({}, True)
            return resolved, nullable or len(variants) < len(raw[key])
    if isinstance(raw.get("type"), list):
        kinds = [kind for kind in raw["type"] if kind != "null"]
        return {**raw, "type": kinds[0] if kinds else "string"}, "null" in raw["type"]
    return raw, False
