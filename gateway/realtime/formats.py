"""Whether a realtime server agreed to speak the telephone's audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MU_LAW = "g711_ulaw"
"""G.711 mu-law as the SDK's settings name it; on the wire it is ``audio/pcmu``."""

_NAMES = frozenset({"g711_ulaw", "audio/pcmu", "pcmu"})


def speaks_mu_law(session: object) -> bool:
    """Tell whether a ``session`` of a server event names G.711 mu-law for both its input and its output."""
    return all(name in _NAMES for name in audio_formats(session))


def audio_formats(session: object) -> tuple[str, str]:
    """The input's and the output's format as a server states them; empty where it does not say.

    Reads the nested shape of the current protocol and the flat one of its beta, which some servers still answer with.
    """
    known = _mapping(session)
    audio = _mapping(known.get("audio"))
    return (
        _name(_mapping(audio.get("input")).get("format") or known.get("input_audio_format")),
        _name(_mapping(audio.get("output")).get("format") or known.get("output_audio_format")),
    )


def _name(value: object) -> str:
    name = _mapping(value).get("type") if isinstance(value, Mapping) else value
    return name.lower() if isinstance(name, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
