"""Which folder of lines a command means."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from gateway.errors import SettingsError
from gateway.settings import Settings


def config_folder(given: Path | None) -> Path:
    """Return the folder given, or that of the settings; the rest of the settings needs not be right.

    Raises:
        SettingsError: a setting can't be read at all.
    """
    if given is not None:
        return given
    try:
        return Settings().config_dir  # type: ignore[call-arg]  # every field has a default
    except ValidationError as error:
        faults = [f"{fault['loc'][0] if fault['loc'] else 'environment'}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("\n".join(faults)) from None
