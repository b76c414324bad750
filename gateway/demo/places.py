"""Where the lines and the recordings of the demo are: inside the package, or beside it in a working checkout."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import GatewayError

_PACKAGE = Path(__file__).parent / "shipped"
_CHECKOUT = Path(__file__).parents[2]


def lines() -> Path:
    """Return the folder of the shipped lines."""
    return _first(_PACKAGE / "agents_config", _CHECKOUT / "agents_config")


def recording(name: str) -> Path:
    """Return a recording of a person."""
    return _first(_PACKAGE / "speech" / name, _CHECKOUT / "tests" / "speech" / name)


def _first(*candidates: Path) -> Path:
    for path in candidates:
        if path.exists():
            return path
    raise GatewayError(f"{candidates[0]} is not there: install the package again")
