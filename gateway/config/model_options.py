"""What a line says of its realtime model. The names are those of OpenAI's Realtime API."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag, model_validator

from gateway.config.units import Checked, wrong

_MOST_TOKENS = 4096

Off: TypeAlias = Literal["off"]


def _which(value: object) -> str:
    return "<off>" if isinstance(value, str) else "<options>"


class TranscriptionConfig(Checked):
    """How the caller's speech becomes text, for the transcript; the model itself hears the audio."""

    model: str = Field(default="gpt-4o-mini-transcribe", description="The recogniser.")
    language: str | None = Field(
        default=None,
        description="The language spoken, such as `en`; by default that of the line's `language:`, if it has one.",
    )
    languages: tuple[str, ...] = Field(
        default=(), description="Several expected languages, for recognisers that take a list."
    )
    prompt: str | None = Field(default=None, description="Words that guide the recogniser.")
    keywords: tuple[str, ...] = Field(default=(), description="Names and terms that callers say.")
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        default=None, description="What streaming recognisers trade for accuracy."
    )

    @model_validator(mode="after")
    def _one_way_to_name_languages(self) -> TranscriptionConfig:
        if self.language and self.languages:
            raise wrong("both language and languages are given", "keep one of them")
        return self


_OF_SERVER_VAD = ("threshold", "silence_duration_ms", "prefix_padding_ms", "idle_timeout_ms")
_OF_SEMANTIC_VAD = ("eagerness",)


class TurnDetectionConfig(Checked):
    """How the model notices that the caller begins and ends to speak. What is not set is the model's own default."""

    type: Literal["server_vad", "semantic_vad"] = Field(
        default="semantic_vad", description="By silence (`server_vad`), or by what was said as well (`semantic_vad`)."
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="`server_vad`: how loud speech must be, 0 to 1; higher for noisy callers."
    )
    silence_duration_ms: int | None = Field(
        default=None, ge=0, le=10_000, description="`server_vad`: the silence that ends a turn, in milliseconds."
    )
    prefix_padding_ms: int | None = Field(
        default=None, ge=0, le=10_000, description="`server_vad`: audio kept from before the speech, in milliseconds."
    )
    eagerness: Literal["auto", "low", "medium", "high"] | None = Field(
        default=None, description="`semantic_vad`: how soon to take a pause for the end."
    )
    create_response: bool | None = Field(
        default=None, description="Whether the end of a turn starts the answer by itself."
    )
    interrupt_response: bool | None = Field(default=None, description="Whether speech stops the answer by itself.")
    idle_timeout_ms: int | None = Field(
        default=None,
        ge=5_000,
        le=30_000,
        description="`server_vad`: after this silence the model speaks up, in milliseconds.",
    )

    @model_validator(mode="after")
    def _only_what_the_type_takes(self) -> TurnDetectionConfig:
        others = _OF_SEMANTIC_VAD if self.type == "server_vad" else _OF_SERVER_VAD
        for name in others:
            if getattr(self, name) is not None:
                takes = "semantic_vad" if self.type == "server_vad" else "server_vad"
                raise wrong(f"{name} has no effect with type {self.type}", f"write type: {takes}, or remove {name}")
        return self


class ReasoningConfig(Checked):
    """How much the model thinks before it speaks."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] = Field(
        description="More thinks longer; the caller waits."
    )


class PromptConfig(Checked):
    """A prompt that is stored at OpenAI."""

    id: str = Field(description="The prompt's id, `pmpt_...`.")
    version: str | None = Field(default=None, description="One version of it; by default the current one.")
    variables: dict[str, str] = Field(default_factory=dict, description="Values for the prompt's variables.")


class TracingConfig(Checked):
    """How OpenAI's dashboard files the session's trace."""

    workflow_name: str | None = Field(default=None, description="The name of the workflow.")
    group_id: str | None = Field(default=None, description="What links traces to each other; by default the call's id.")
    metadata: dict[str, str] = Field(default_factory=dict, description="Anything more to file with it.")


class VoiceConfig(Checked):
    """A voice of your own."""

    id: str = Field(description="The voice's id at OpenAI, `voice_...`.")


def _as_voice(value: object) -> str:
    return "<name>" if isinstance(value, str) else "<own>"


def _unique(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise wrong("the list is empty", "remove the key, or put something into it")
    if len(set(value)) != len(value):
        raise wrong("the list holds something twice", "write each once")
    return value


def _as_tokens(value: object) -> object:
    if value == "inf" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_TOKENS):
        return value
    raise wrong(f"{value!r} is not a number of tokens", f"write 1 to {_MOST_TOKENS}, or inf")


class ModelConfig(Checked):
    """The realtime model that speaks, and how. What is not set is the model's own default."""

    name: str = Field(default="gpt-realtime-2.1", min_length=1, description="The model.")
    url: str | None = Field(
        default=None,
        description="WebSocket of another server that speaks the Realtime protocol; `${NAME}` is taken from the "
        "environment. By default `OPENAI_REALTIME_URL`, or OpenAI.",
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Headers of the connection, such as `api-key`; secrets as `${NAME}` from the environment.",
    )
    voice: Annotated[Annotated[str, Tag("<name>")] | Annotated[VoiceConfig, Tag("<own>")], Discriminator(_as_voice)] = (
        Field(default="marin", description="The voice, by name or as `{id: ...}`.")
    )
    speed: float | None = Field(default=None, ge=0.25, le=1.5, description="How fast it speaks; 1.0 is normal.")
    modalities: Annotated[tuple[Literal["audio", "text"], ...], AfterValidator(_unique)] = Field(
        default=("audio",), description="What the model answers with. Callers hear audio."
    )
    transcription: Annotated[
        Annotated[Off, Tag("<off>")] | Annotated[TranscriptionConfig, Tag("<options>")], Discriminator(_which)
    ] = Field(default=TranscriptionConfig(), description="How the caller's words are written down, or `off`.")
    noise_reduction: Literal["near_field", "far_field", "off"] | None = Field(
        default=None, description="For a handset at the ear, or for a speakerphone, or `off`."
    )
    turn_detection: Annotated[
        Annotated[Off, Tag("<off>")] | Annotated[TurnDetectionConfig, Tag("<options>")], Discriminator(_which)
    ] = Field(default=TurnDetectionConfig(), description="How turns are noticed; `off` leaves it to the server.")
    max_output_tokens: Annotated[int | Literal["inf"], BeforeValidator(_as_tokens)] | None = Field(
        default=None, description="The longest answer in tokens, 1 to 4096, or `inf`."
    )
    tool_choice: str | None = Field(default=None, description="`auto`, `none`, `required`, or the name of a tool.")
    parallel_tool_calls: bool | None = Field(
        default=None, description="Whether the model may call several tools at once."
    )
    reasoning: ReasoningConfig | None = Field(default=None, description="For models that think.")
    prompt: PromptConfig | None = Field(default=None, description="A prompt stored at OpenAI, beside the instructions.")
    tracing: Annotated[
        Annotated[Off, Tag("<off>")] | Annotated[TracingConfig, Tag("<options>")], Discriminator(_which)
    ] = Field(default="off", description="Traces in OpenAI's dashboard; off unless asked for.")
