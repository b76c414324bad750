"""What a line file may say: :class:`LineFile`, :class:`AgentFile`. Resolved it is in :mod:`gateway.config.resolved`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.call.moving import MAX_ATTRIBUTES, as_json
from gateway.call.policy import OnFailure
from gateway.config.addresses import Address
from gateway.config.after_call import DeliveryConfig, OutcomeConfig, TranscriptConfig
from gateway.config.model_options import (
    ModelConfig,
)
from gateway.config.opening import HoursConfig, check_then
from gateway.config.spoken import Spoken
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
    lacking,
    whole_seconds,
    wrong,
)

BUILT_IN_TOOLS = ("hang_up", "transfer", "note", "take_message")
"""The tools that every agent may be given by their bare names."""
BUILT_IN_GUARDRAILS = ("no_card_numbers", "no_ibans", "no_links")
"""The guardrails that every line may name without a module."""


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
        if len(as_json(self.attributes)) > MAX_ATTRIBUTES:
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
