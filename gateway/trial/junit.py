"""The outcome of trials as JUnit's XML, which CI servers show."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from gateway.trial.judge import Check


def junit(line: str, name: str, checks: Sequence[Check]) -> str:
    """Write one suite with a case for each expectation."""
    failures = sum(not check.passed for check in checks)
    seconds = f"{sum(check.seconds for check in checks):.3f}"
    suite = ET.Element("testsuite", name=name, tests=str(len(checks)), failures=str(failures), errors="0", time=seconds)
    for check in checks:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"{line}.{_text(name)}",
            name=_text(f"{check.step}: {check.expected}"),
            time=f"{check.seconds:.3f}",
        )
        if not check.passed:
            ET.SubElement(case, "failure", message=_text(f"expected: {check.expected}")).text = _text(check.instead)
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


def _text(text: str) -> str:
    """Leave out what XML can't hold."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")
