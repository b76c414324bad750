"""What a line file may say (``LineFile``, ``AgentFile``), and what a line is once it is resolved (``LineConfig``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.call.moving import MAX_ATTRIBUTES, task_attributes
from gateway.call.outcome import Outcome
from gateway.call.policy import BargeIn, Clip, EndRoute, OnFailure, Policy, Target
from gateway.config.addresses import Address
from gateway.config.after_call import Delivery, DeliveryConfig, OutcomeConfig, TranscriptConfig
from gateway.config.hours import Hours
from gateway.config.model_options import (
    ModelConfig,
    PromptConfig,
    ReasoningConfig,
    TracingConfig,
    TranscriptionConfig,
    TurnDetectionConfig,
    VoiceConfig,
)
from gateway.config.opening import ClosedRejectConfig, ClosedSayConfig, HoursConfig, check_then
from gateway.config.spoken import Spoken, SpokenClip
from gateway.config.twiml_file import as_markup
from gateway.config.units import (
    Checked,
    Days,
    Dialled,
    Language,
    Name,
    PhoneNumber,
    Seconds,
    Timezone,
    between,
    fill_in,
    lacking,
    whole_seconds,
    wrong,
)

__all__ = [
    "BUILT_IN_GUARDRAILS",
    "BUILT_IN_TOOLS",
    "AgentConfig",
    "AgentFile",
    "ApprovalsConfig",
    "BargeInConfig",
    "ClosedRejectConfig",
    "ClosedSayConfig",
    "Delivery",
    "DeliveryConfig",
    "HoursConfig",
    "LimitsConfig",
    "LineConfig",
    "LineFile",
    "ModelConfig",
    "OnFailureConfig",
    "OutcomeConfig",
    "PromptConfig",
    "ReasoningConfig",
    "Recording",
    "RecordingConfig",
    "SpokenClip",
    "TracingConfig",
    "TranscriptConfig",
    "TranscriptionConfig",
    "TransferConfig",
    "TurnDetectionConfig",
    "VoiceConfig",
]

BUILT_IN_TOOLS = ("hang_up", "transfer", "note", "take_message")
"""The tools that every agent may be given by their bare names."""
BUILT_IN_GUARDRAILS = ("no_card_numbers", "no_ibans", "no_links")
"""The guardrails that every line may name without a module."""


# ---- As written -----------------------------------------------------------------------------------------------------


class AgentFile(Checked):
    """One agent: what it knows, what it may do, and to whom it may hand the caller."""

    instructions: str = Field(
        min_length=1,
        description="What the agent is told, as text or as `file:prompts/name.md`; `{{name}}` is a variable.",
    )
    handoff_description: str = Field(
        default="", description="What other agents are told about when to hand over to this one."
    )
    handoffs: tuple[str, ...] = Field(default=(), description="The agents that it may hand the caller to.")
    tools: tuple[str, ...] = Field(
        default=(),
        description='What it may do: `hang_up`, `transfer`, `note`, or `"module:function"` in `tools/module.py`.',
    )
    needs_approval: tuple[str, ...] = Field(default=(), description="Those of its tools that wait for a yes.")
    guardrails: tuple[str, ...] = Field(default=(), description="Checks of what this agent says; as on the line.")


def _check_workflow(value: str) -> str:
    if not re.fullmatch(r"WW[0-9a-f]{32}", value):
        raise wrong(f"{value!r} is no workflow's sid", "write WW and 32 hexadecimal digits, as TaskRouter shows it")
    return value


class TransferConfig(Checked):
    """Somebody to whom agents may transfer the caller, by this name only."""

    to: Dialled | None = Field(
        default=None, description="A number in E.164, `sip:name@host`, `client:name` or `app:AP...`, a TwiML App."
    )
    workflow: Annotated[str, AfterValidator(_check_workflow)] | None = Field(
        default=None, description="Instead of `to`: the TaskRouter workflow (WW...) that finds a person, as in Flex."
    )
    attributes: dict[str, str] = Field(
        default_factory=dict,
        description="With `workflow`: what it routes by; `{{name}}` is a variable. Notes of the agent are added.",
    )
    priority: int | None = Field(default=None, ge=0, description="With `workflow`: the priority of the task.")
    timeout: Annotated[Seconds, AfterValidator(whole_seconds), AfterValidator(between("5s", "10m"))] = Field(
        default=20.0, description="How long it rings."
    )
    mode: Literal["cold", "refer"] = Field(
        default="cold",
        description="`cold`: the gateway leaves as soon as it rings. `refer`: calls over SIP are moved by the caller's "
        "own telephone system; others are dialled as with `cold`.",
    )
    caller_id: PhoneNumber | None = Field(default=None, description="The number shown; by default the caller's.")

    @model_validator(mode="after")
    def _one_of_two(self) -> TransferConfig:
        if self.to is None and self.workflow is None:
            raise lacking("to is missing", "write to: under it; or workflow:")
        if self.to is not None and self.workflow is not None:
            raise wrong("both to and workflow are given", "keep one of the two")
        if self.workflow is None and (self.attributes or self.priority is not None):
            raise wrong("attributes and priority belong to a workflow", "remove them, or write workflow:")
        if len(task_attributes(self.attributes, {})) > MAX_ATTRIBUTES:
            raise wrong(
                f"the attributes are longer than {MAX_ATTRIBUTES} characters of JSON", "the carrier takes no more"
            )
        if self.mode == "refer" and not (self.to or "").startswith(("sip:", "sips:")):
            raise wrong("mode: refer needs a SIP address", "write to: sip:name@host, or mode: cold")
        return self


def _check_url(value: str) -> str:
    if value and not re.fullmatch(r"https://[^\s/]+/\S+", value):
        raise wrong(f"{value!r} is no https address", "the carrier must be able to fetch it")
    return value


class OnFailureConfig(Checked):
    """What the caller hears when the agent can't speak."""

    say: Spoken = Field(default=OnFailure().say, description="A sentence in the carrier's voice, or a recording.")
    then: Annotated[str, AfterValidator(check_then)] = Field(
        default="hang_up", description="`hang_up`, or `transfer:<name>`."
    )


class LimitsConfig(Checked):
    """What keeps a call, or a caller, within bounds."""

    max_duration: Annotated[Seconds, AfterValidator(between("10s", "24h"))] = Field(
        default=1800.0, description="The longest call."
    )
    silence: Annotated[Seconds, AfterValidator(between("5s", "1h"))] = Field(
        default=60.0, description="The call ends after this long without speech on either side."
    )
    calls_per_caller: int = Field(default=10, ge=1, description="Calls of one number to this line within an hour.")
    concurrent_calls: int | None = Field(
        default=None, ge=1, description="Calls at once; more hear busy. By default no limit."
    )


class BargeInConfig(Checked):
    """When the caller may cut the agent short."""

    allowed: bool = Field(default=True, description="Whether at all.")
    min_speech: Annotated[Seconds, AfterValidator(between("0s", "5s"))] = Field(
        default=0.0, description="How much speech it takes; coughs and a short yes don't cut then."
    )
    protect_greeting: bool = Field(default=False, description="Whether the greeting is always heard out.")


class ApprovalsConfig(Checked):
    """How a tool that needs approval gets its yes."""

    keypad: bool = Field(default=True, description="Whether the caller may say yes with 1 and no with 2.")
    timeout: Annotated[Seconds, AfterValidator(between("1s", "10m"))] = Field(
        default=30.0, description="No answer within this time is a no."
    )


NOT_NEEDED = "not-needed"
"""The consent of a line whose callers need not be asked; it then states the reason."""


class RecordingConfig(Checked):
    """Whether calls are recorded, and what callers are told before they are."""

    mode: Literal["off", "dual"] = Field(default="off", description="`dual`: caller and agent on a channel each.")
    consent: Spoken = Field(
        default="",
        description="What callers are told, in the carrier's voice, before anything is recorded; or `not-needed`. "
        "Without it nothing can be recorded.",
    )
    notice: Annotated[str, AfterValidator(_check_url)] = Field(
        default="",
        description="An https address of a sound file that says the `consent`; the carrier plays it instead.",
    )
    reason: str = Field(default="", description="With `consent: not-needed`: why callers need not be told.")
    keep: Days | None = Field(default=None, description="How long recordings are kept, as `90d` or `1y`.")

    @model_validator(mode="after")
    def _stated(self) -> RecordingConfig:
        if self.mode == "dual" and not self.consent:
            raise wrong("nothing says that callers consent to be recorded", "add consent: the sentence they hear first")
        if self.consent == NOT_NEEDED and not self.reason:
            raise wrong("consent: not-needed has no reason", "add reason: why callers need not be told")
        if self.consent in ("", NOT_NEEDED) and self.notice:
            raise wrong("notice is there without the words that it says", "add consent: those words")
        return self


class LineFile(Checked):
    """One line: a file of agents_config, laid over ``_defaults.yaml``."""

    number: Address | None = Field(
        default=None,
        description="The number that this line answers, in E.164 and in quotes; or a block (`+4144556*`), `sip:` or "
        "`client:`.",
    )
    numbers: tuple[Address, ...] = Field(default=(), description="Several of them; instead of `number`.")
    default: bool = Field(default=False, description="Whether this line answers every number that no line names.")
    extends: str | None = Field(
        default=None,
        description="A file beside the lines whose name begins with `_`, such as `_eu`, that this one is laid over.",
    )
    label: str = Field(default="", description="Its name for people; by default the file's name.")
    timezone: Timezone = Field(default="UTC", description="Where the line is: what tools call today and now.")
    language: Language = Field(
        default="en-US",
        description="What is spoken: of the carrier's voice, and of the transcription where it is written down.",
    )
    vars: dict[Name, str] = Field(
        default_factory=dict,
        description="Values for `{{name}}` in instructions, prompts, the greeting and `say`. `{{line}}`, `{{label}}`, "
        "`{{language}}` and `{{timezone}}` are always there.",
    )
    greeting: Spoken | None = Field(
        default=None, description="What callers hear first: text that the agent speaks, or `{clip, text}`, a recording."
    )
    instructions: str | None = Field(
        default=None,
        min_length=1,
        description="The short form for a line with one agent; instead of `agent` and `agents`.",
    )
    tools: tuple[str, ...] = Field(default=(), description="With `instructions`: what the agent may do.")
    needs_approval: tuple[str, ...] = Field(
        default=(), description="With `instructions`: those tools that wait for a yes."
    )
    hours: HoursConfig | None = Field(default=None, description="When the line is open; by default at any time.")
    agent: str | None = Field(
        default=None,
        description="Who picks up: a name in `agents` or in `agents/`, or `module:attribute`, a RealtimeAgent in your "
        "Python. Not needed where `agents` has one only.",
    )
    agents: dict[Name, AgentFile] = Field(
        default_factory=dict, description="The line's own agents; they win over files in `agents/`."
    )
    model: ModelConfig = Field(default=ModelConfig(), description="The realtime model.")
    guardrails: tuple[str, ...] = Field(
        default=(),
        description='Checks of what any agent says: `no_card_numbers`, `no_ibans`, `no_links`, or `"module:function"`.',
    )
    guardrail_debounce: int = Field(
        default=100, ge=1, le=10_000, description="How many characters the agent says between two checks."
    )
    transfer: dict[Name, TransferConfig] = Field(default_factory=dict, description="Whom agents may transfer to.")
    notes: dict[Name, str] = Field(
        default_factory=dict,
        description="What agents may write down with the tool `note` for whoever gets the call next: names, each with "
        "what belongs there.",
    )
    return_to: str = Field(
        default="",
        description="Where calls go in place of their end, an https address; a webhook with `return=` says so itself.",
    )
    return_hosts: tuple[str, ...] = Field(
        default=(), description="Hosts that calls may be given back to, beside Twilio Studio's."
    )
    twiml: str = Field(
        default="",
        description="A file in `twiml/`, such as `twiml/notice.xml`: what the carrier does before `{{connect}}`.",
    )
    on_failure: OnFailureConfig = Field(
        default=OnFailureConfig(), description="What happens when the agent can't speak."
    )
    limits: LimitsConfig = Field(default=LimitsConfig(), description="What keeps calls within bounds.")
    barge_in: BargeInConfig = Field(default=BargeInConfig(), description="When the caller may cut the agent short.")
    approvals: ApprovalsConfig = Field(
        default=ApprovalsConfig(), description="How a tool that needs approval gets its yes."
    )
    recording: RecordingConfig = Field(default=RecordingConfig(), description="Whether calls are recorded.")
    transcript: TranscriptConfig = Field(
        default=TranscriptConfig(), description="How long what was said on calls is kept."
    )
    outcome: OutcomeConfig | None = Field(default=None, description="What is to be found out from what was heard.")
    deliver: tuple[DeliveryConfig, ...] = Field(default=(), description="Who is told once a call is over.")
    end_by: Literal["stream", "rest"] = Field(
        default="stream",
        description="How the gateway ends or moves a call: by closing its stream, or by the carrier's REST API.",
    )

    @model_validator(mode="after")
    def _numbers_once(self) -> LineFile:
        if self.number and self.numbers:
            raise wrong("both number and numbers are given", "put all of them into numbers")
        return self


# ---- Resolved -------------------------------------------------------------------------------------------------------


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
