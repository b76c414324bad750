"""Whatever stands in a folder, it is taken or refused with faults; nothing else is raised."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.loader import load
from gateway.config.yaml import read_yaml
from gateway.errors import ConfigError

AIRLINE = (Path(__file__).parents[2] / "agents_config" / "airline.yaml").read_bytes()
PIECES = [b"\n", b"  ", b"\t", b": ", b"- ", b"{", b"}", b"[", b"]", b'"', b"'", b"|", b">", b"&a ", b"*a", b"!x ", b"? ",
          b"{{x}}", b"${X}", b"~", b"null", b"1e9999", b".inf", b".nan", b"0x", b"---\n", b"\xff", b"\x00", b"\r", b"yes", b"-1"]  # fmt: skip
EDITS = st.lists(
    st.tuples(st.integers(0, len(AIRLINE)), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab:${}\n", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["to", "type", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def check(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.yaml").write_bytes(content)
        faults = None
        try:
            load(Path(folder), {})
        except ConfigError as error:
            faults = error.faults
        assert faults is None or len(faults) > 0
        assert all(fault.line > 0 and fault.column > 0 and fault.message for fault in faults or ())


@settings(max_examples=60, deadline=None)
@given(EDITS)
def test_an_edited_line(edits):
    content = AIRLINE
    for at, removed, piece in edits:
        content = content[:at] + piece + content[at + removed :]
    check(content)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(
            ["number", "numbers", "default", "vars", "greeting", "instructions", "tools", "needs_approval", "agent", "agents", "model",
             "guardrails", "transfer", "on_failure", "limits", "barge_in", "approvals", "end_by", "timezone", "language"]
        ),
        VALUES,
        max_size=4,
    )
)  # fmt: skip
def test_any_values_for_the_keys(values):
    import json  # noqa: PLC0415

    check(json.dumps(values).encode())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_bytes(content):
    tree, faults = read_yaml(content, "a.yaml")
    assert tree is not None or faults


@pytest.mark.parametrize(
    "bomb",
    ["a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "a: &a [*a]\n", "? " * 500, "- " * 500, "a: " + "x" * 1_100_000],
)
def test_bombs_do_no_harm(bomb):
    check(bomb.encode())
