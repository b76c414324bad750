"""What changes for callers between two snapshots, number by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.config.directory import Directory
from gateway.config.numbers import Claim
from gateway.config.python_names import candidates, split_reference
from gateway.config.resolved import LineConfig

EVERY_OTHER = "every other number"
_SHOWN = 8
"""Characters of a hash that people compare."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs; None is a value that is not there."""

    number: str
    """A number, block or address with its account; or a line's name, where it answers none."""
    key: str
    before: object
    after: object


def changes(before: Directory, after: Directory) -> list[Change]:
    """Return every difference that a caller could notice, in the order of numbers."""
    old, new = dict(_subjects(before)), dict(_subjects(after))
    found: list[Change] = []
    for number in [*new, *(number for number in old if number not in new)]:
        was, now = old.get(number, {}), new.get(number, {})
        keys = [*now, *(key for key in was if key not in now)]
        found += [Change(number, key, was.get(key), now.get(key)) for key in keys if was.get(key) != now.get(key)]
    return found


def _subjects(directory: Directory) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Go through all that can be called, each with what is in effect there."""
    answering: set[str] = set()
    for claim in directory.claims:
        values: dict[str, object] = {"line": claim.line.id, **_values(directory, claim.line)}
        answering.add(claim.line.id)
        if claim.canary:
            answering.add(claim.canary.id)
            values |= {"canary.line": claim.canary.id, "canary.percent": claim.percent}
            values |= {f"canary.{key}": value for key, value in _values(directory, claim.canary).items()}
        yield _named(claim), values
    if default := directory.default:
        answering.add(default.id)
        yield EVERY_OTHER, {"line": default.id, **_values(directory, default)}
    for line in directory.lines.values():
        if line.id not in answering:
            yield line.id, _values(directory, line)


def _named(claim: Claim) -> str:
    return f"{claim.pattern.text} ({claim.account})" if claim.account else claim.pattern.text


def _values(directory: Directory, line: LineConfig) -> dict[str, object]:
    """Return what is in effect on a line: its settings, and what is in the files that they name."""
    values = {setting.key: setting.value for setting in directory.settings.get(line.key, ())}
    for key in ("number", "numbers", "default", "extends"):
        values.pop(key, None)  # How it is written, not what it does.
    for name, agent in line.agents.items():
        key = "instructions" if "instructions" in values and name == line.id else f"agents.{name}.instructions"
        values[key] = agent.instructions
    for value in list(values.values()):
        for text in value if isinstance(value, list | tuple) else [value]:
            for file in _files(directory, str(text)):
                if file not in values:
                    values[file] = directory.files[file][:_SHOWN]
    return values


def _files(directory: Directory, text: str) -> Iterator[str]:
    """Go through the files whose content a value stands for: clips, TwiML, Python."""
    reference = split_reference(text)
    for name in candidates(reference[0]) if reference else (text,):
        if name in directory.files:
            yield name
            return
