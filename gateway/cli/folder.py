"""Which folder of lines a command means."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.records import read_loosely


def config_folder(given: Path | None) -> Path:
    """Return the folder given, or that of the settings; the rest of the settings needs not be right.

    Raises:
        SettingsError: a setting can't be read at all.
    """
    return given if given is not None else read_loosely().config_dir


def environment_name() -> str:
    """Return the environment whose table of numbers is meant, as the settings say."""
    return read_loosely().env
