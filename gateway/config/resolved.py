"""What a line is once its file is resolved: everything that a call on it needs, checked and immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from gateway.call.outcome import Outcome
from gateway.call.policy import BargeIn, Clip, EndRoute, OnFailure, Policy, Target
from gateway.config.after_call import Delivery
from gateway.config.hours import Hours
from gateway.config.model_options import ModelConfig
from gateway.config.schema import ApprovalsConfig, LimitsConfig
from gateway.config.twiml_file import as_markup
from gateway.config.units import fill_in


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """An agent of a line: prompts read, variables filled in, every name checked."""

    name: str
    instructions: str
    handoff_description: str = ""
    handoffs: tuple[str, ...] = ()
    """Names of agents, all of them keys of the line's ``agents``."""
    tools: tuple[str, ...] = ()
    """Built-in names, or ``module:function`` (see :func:`gateway.config.python_names.module_file`)."""
    needs_approval: tuple[str, ...] = ()
    """Some of ``tools``, written the same way."""
    guardrails: tuple[str, ...] = ()
    template: str = ""
    """The instructions with their variables still in them."""

    def told(self, variables: Mapping[str, str]) -> str:
        """Return the instructions for a call with these variables."""
        return fill_in(self.template, variables) if self.template else self.instructions


@dataclass(frozen=True, slots=True)
class Recording:
    """Whether a line's calls are recorded, and what its callers are told, in their language."""

    mode: Literal["off", "dual"] = "off"
    consent: str = ""
    """The sentence that they hear, or ``NOT_NEEDED``."""
    notice: str = ""
    """Where the carrier finds a recording of that sentence: a URL, or a path of ours."""
    reason: str = ""
    keep: int | None = None
    """Days."""


@dataclass(frozen=True, slots=True)
class ClosedLine:
    """What callers get outside the hours of a line."""

    hours: Hours
    outcome: Outcome
    line: LineConfig | None = None
    """Where an agent answers: the same line with another agent picking up."""


@dataclass(frozen=True, slots=True)
class LineConfig:
    """A line: everything that a call on it needs, from one snapshot of the folder.

    A row of the table of numbers that overrides something makes another LineConfig, with the same ``id``.
    """

    id: str
    agent: str
    """A key of ``agents``; or ``module:attribute``, a RealtimeAgent in the user's Python (then ``agents`` is empty)."""
    agents: Mapping[str, AgentConfig] = field(default_factory=lambda: MappingProxyType({}))
    """Those that can be reached from ``agent``, by name."""
    folder: Path = Path("agents_config")
    """Where the user's Python is found: in it and in its ``tools/``."""
    numbers: tuple[str, ...] = ()
    default: bool = False
    after_hours: bool = False
    """Whether this is the line as it answers outside its hours."""
    label: str = ""
    timezone: str = "UTC"
    language: str = "en-US"
    vars: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    declared: frozenset[str] = frozenset()
    """Those of ``vars`` that the line wrote itself: the carrier's requests may say others for one call."""
    greeting: str = ""
    greeting_clip: Clip | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    """``url`` and ``headers`` are filled in from the environment that the folder was read with."""
    guardrails: tuple[str, ...] = ()
    guardrail_debounce: int = 100
    """Characters."""
    transfer: Mapping[str, Target] = field(default_factory=lambda: MappingProxyType({}))
    """Attributes with their variables still in them."""
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    return_to: str = ""
    return_hosts: tuple[str, ...] = ()
    markup: str = ""
    """What the operator's own TwiML has before our ``<Connect>``, with variables still in it."""
    spoken: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """``greeting`` and ``say`` (of on_failure) with their variables still in them."""
    on_failure: OnFailure = field(default_factory=OnFailure)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    barge_in: BargeIn = field(default_factory=BargeIn)
    approvals: ApprovalsConfig = field(default_factory=ApprovalsConfig)
    recording: Recording = field(default_factory=Recording)
    keep_transcript: int | None = None
    """Days."""
    outcome: Mapping[str, Any] | None = None
    """The JSON Schema of what a call came to."""
    deliver: tuple[Delivery, ...] = ()
    closed: ClosedLine | None = None
    """None where the line is open at any time."""
    end_by: EndRoute = "stream"
    row: str = ""
    """The number (or block) whose row of the table made this one; empty for the line as its file has it."""

    @property
    def key(self) -> str:
        """What tells this configuration from every other one of its snapshot, and holds no number."""
        made = f"{self.row}\0{self.agent}"
        return f"{self.id}#{sha256(made.encode()).hexdigest()[:8]}" if self.row or self.after_hours else self.id

    def variables(self, said: Mapping[str, str]) -> Mapping[str, str]:
        """Return the variables of one call; of what the carrier's request said, only what the line declares counts."""
        return {**self.vars, **{name: value for name, value in said.items() if name in self.declared}}

    def before_connect(self, variables: Mapping[str, str]) -> str:
        """Return what the operator's own TwiML has before our ``<Connect>``, for a call with these variables."""
        return fill_in(self.markup, {name: as_markup(value) for name, value in variables.items()})

    def policy(self, variables: Mapping[str, str] | None = None) -> Policy:
        """Return what the decisions of a call depend on; ``variables`` are the call's, by default the line's."""
        policy = self._policy()
        variables = self.vars if variables is None else variables
        said = {name: fill_in(text, variables) for name, text in self.spoken.items()}
        targets = {
            name: replace(target, attributes={key: fill_in(text, variables) for key, text in target.attributes.items()})
            for name, target in self.transfer.items()
        }
        return replace(
            policy,
            greeting=said.get("greeting", policy.greeting),
            on_failure=replace(policy.on_failure, say=said.get("say", policy.on_failure.say)),
            transfers=targets,
        )

    def _policy(self) -> Policy:
        policy = Policy(
            line=self.id,
            language=self.language,
            greeting=self.greeting,
            greeting_clip=self.greeting_clip,
            barge_in=self.barge_in,
            transfers=self.transfer,
            on_failure=self.on_failure,
            end_by=self.end_by,
            return_to=self.return_to,
            max_duration=self.limits.max_duration,
            silence=self.limits.silence,
            approval=self.approvals.timeout,
            approve_by_keypad=self.approvals.keypad,
        )
        turns = self.model.turn_detection
        if turns == "off" or turns.silence_duration_ms is None:
            return policy
        return replace(policy, end_of_speech=turns.silence_duration_ms / 1000)
