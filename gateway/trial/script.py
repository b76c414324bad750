"""What a trial's caller does, and what has to come of it, as it is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.config.explain import check
from gateway.config.tree import Fields
from gateway.config.units import Checked, Seconds, between, wrong
from gateway.config.yaml import read_yaml
from gateway.errors import ConfigError, Fault

_ONE = "expect"


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _tools(value: object) -> object:
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, list | tuple):
        return {name: {} for name in value}
    return {name: given or {} for name, given in value.items()} if isinstance(value, dict) else value


Texts: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Expectation(Checked):
    """What has to happen after a step, in any order."""

    says: Texts = Field(default=(), description="Words that the caller hears, whatever their case; or a `/pattern/`.")
    never_says: Texts = Field(default=(), description="Words that the caller does not hear after this step.")
    calls_tool: Annotated[dict[str, dict[str, Any]], BeforeValidator(_tools)] = Field(
        default_factory=dict, description="A tool that is called, by its name; with the arguments that matter."
    )
    handed_to: str = Field(default="", description="The agent that takes over.")
    ends: str = Field(default="", description="The reason with which the call ends, such as `done`.")
    within: Annotated[Seconds, AfterValidator(between("1s", "5m"))] = Field(
        default=20.0, description="How long it may take, from the caller's last sound on."
    )


class Step(Checked):
    """One thing that the caller does, once the agent has finished; without anything, the caller only listens."""

    say: str = Field(default="", description="Words that are spoken.")
    play: str = Field(default="", description="A WAV file, beside the script, that is played.")
    keys: str = Field(default="", pattern=r"^[0-9*#]*$", description="Keys that are pressed.")
    expect: Expectation = Field(default=Expectation(), description="What has to come of it.")

    @model_validator(mode="after")
    def _one_thing(self) -> Step:
        if sum(map(bool, (self.say, self.play, self.keys))) > 1:
            raise wrong("say, play and keys are given together", "write a step for each")
        return self

    @property
    def shown(self) -> str:
        """The step, for people."""
        return self.say or self.play or (f"keys {self.keys}" if self.keys else "listening")


class Trial(Checked):
    """A whole call."""

    name: str = Field(default="", description="What it tries, for people.")
    caller: str = Field(default="+14155550123", description="The caller's number.")
    never_says: Texts = Field(default=(), description="Words that the caller does not hear in the whole call.")
    steps: tuple[Step, ...] = Field(min_length=1, description="What the caller does, in order.")


def read(path: Path) -> Trial:
    """Read a script.

    Raises:
        ConfigError: with everything that is wrong with it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([Fault(str(path), 1, 1, f"the script can't be read: {error.strerror}")]) from error
    tree, faults = read_yaml(content, str(path))
    trial, more = check(Trial, tree) if tree is not None else (None, [])
    if trial is None:
        raise ConfigError([*faults, *more])
    faults = [
        Fault(str(path), 1, 1, f"there is no file {step.play}", "put it beside the script")
        for step in trial.steps
        if step.play and not (path.parent / step.play).is_file()
    ]
    if faults:
        raise ConfigError(faults)
    return trial


def single(step: dict[str, str], expectations: list[str]) -> Trial:
    """Make the trial of a command line: one step, and ``key: value`` for each thing expected of it.

    Raises:
        ConfigError: an expectation can't be read.
    """
    values: dict[str, Any] = {}
    for text in expectations:
        tree, faults = read_yaml(text.encode(), "--expect")
        found, more = check(Expectation, tree) if tree is not None else (None, [])
        if found is None or not isinstance(tree, Fields):
            raise ConfigError([*faults, *more])
        for key in tree.values:
            value, before = getattr(found, key), values.get(key)
            both = isinstance(before, tuple | dict)
            values[key] = (before + value if isinstance(before, tuple) else before | value) if both else value
    expect = Expectation.model_construct(**{**Expectation().__dict__, **values})
    return Trial(steps=(Step(**step, expect=expect),) if step else (Step(expect=expect),))
