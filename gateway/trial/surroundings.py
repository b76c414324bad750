"""What the gateway of a trial is told of its surroundings: of the user's own environment only what a trial may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.config.directory import Directory
from gateway.config.environment import names_in_text
from gateway.config.tree import Place
from gateway.config.units import ENVIRONMENT
from gateway.errors import ConfigError

_OURS: Final = ("TWILIO_", "GATEWAY_", "PORT", "HOST", "DATABASE_URL", "LOG_", "WEB_CONCURRENCY", "OPENAI_REALTIME_URL")
"""What the user's environment says of their own server, and must not reach the one that is tried."""
NOWHERE: Final = "https://nowhere.invalid/" + "0" * 32
"""Stands for keys, tokens and addresses where the model of this machine answers: nothing of a trial leaves it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The variables that the files of a folder refer to: as a model's address, and as anything else."""

    models: frozenset[str]
    others: frozenset[str]


def needs_of(directory: Directory, line: str) -> Needs:
    """Return what a folder needs that was read without an environment.

    Raises:
        ConfigError: the line names a model's address in plain text, which nothing can stand in for.
    """
    models = {name for each in directory.every() for name in names_in_text(each.model.url or "")}
    url = directory.lines[line].model.url
    if url and not ENVIRONMENT.fullmatch(url):
        place = directory.origin(line, "model.url") or Place(line, 1, 1)
        remedy = "give --real; or write it as ${NAME}, for which the model of this machine can stand in"
        raise ConfigError([place.fault(f"the line has a model of its own, at {url}", remedy)])
    named = {name for names in directory.environment.values() for name in names}
    return Needs(frozenset(models), frozenset(named - models))


def surroundings(environment: Mapping[str, str], needs: Needs | None, model_url: str) -> dict[str, str]:
    """Return the environment of the gateway that is tried.

    Args:
        environment: the user's.
        needs: what the model of this machine, and nobody, stand in for; None with a real model, which gets all keys.
        model_url: where the model is.
    """
    told = {name: value for name, value in environment.items() if not name.startswith(_OURS)}
    if needs is not None:
        told |= dict.fromkeys(needs.models, model_url) | dict.fromkeys(needs.others, NOWHERE)
    return told | {"OPENAI_API_KEY": told.get("OPENAI_API_KEY") or "none"}
