"""What calls cost: ``_prices.yaml`` of the folder of lines, or the prices that this version was shipped with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.config.units import Checked, wrong

PRICES_FILE = "_prices.yaml"
_MILLION = 1_000_000


def _check_date(value: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise wrong(f"{value!r} is not a date", 'write it in quotes: "2026-11-24"')
    return value


class ModelPrices(Checked):
    """One model, in US dollars for a million tokens."""

    input_text: float = Field(ge=0, description="What goes in as text.")
    input_audio: float = Field(ge=0, description="What goes in as audio.")
    cached_text: float = Field(ge=0, description="Text that the server had in its cache.")
    cached_audio: float = Field(ge=0, description="Audio that the server had in its cache.")
    output_text: float = Field(ge=0, description="What comes out as text.")
    output_audio: float = Field(ge=0, description="What comes out as audio.")


class PricesFile(Checked):
    """A table of prices."""

    as_of: Annotated[str, AfterValidator(_check_date)] = Field(
        description="The day on which the prices were looked up."
    )
    carrier_per_minute: float = Field(
        default=0.0, ge=0, description="What a minute of a call costs at the carrier, in US dollars."
    )
    models: dict[str, ModelPrices] = Field(
        description="By the model's name, or how it begins; the longest that fits is taken."
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call cost, in US dollars: by kind of token, and for the carrier."""

    usage: dict[str, float]
    carrier: float
    as_of: str

    @property
    def total(self) -> float:
        return sum(self.usage.values()) + self.carrier


@dataclass(frozen=True, slots=True)
class Prices:
    """A table of prices, for asking."""

    table: PricesFile

    @property
    def shipped(self) -> bool:
        """Whether these are the prices of OpenAI's models that came with the program."""
        return self.table is SHIPPED

    def cost(self, model: str, usage: Mapping[str, int], seconds: float) -> Cost | None:
        """Return what a call cost; None where the table does not know the model.

        Args:
            model: its name.
            usage: tokens by kind, as in ``ResponseDone``.
            seconds: how long the call was.
        """
        name = max((name for name in self.table.models if model.startswith(name)), key=len, default=None)
        if name is None:
            return None
        prices = self.table.models[name]
        costs = {kind: tokens * _price(prices, kind) / _MILLION for kind, tokens in _kinds(usage).items() if tokens}
        return Cost(costs, seconds / 60 * self.table.carrier_per_minute, self.table.as_of)


def _kinds(usage: Mapping[str, int]) -> dict[str, int]:
    """Split tokens so that none is counted twice: the cached ones are among those that went in."""
    text, audio = usage.get("input_text_tokens", 0), usage.get("input_audio_tokens", 0)
    cached = min(usage.get("cached_tokens", 0), text + audio)
    cached_audio = usage.get("cached_audio_tokens", 0)
    if "cached_audio_tokens" not in usage and "cached_text_tokens" not in usage and text + audio:
        cached_audio = round(cached * audio / (text + audio))  # servers that don't say of which kind they were
    cached_audio = min(cached_audio, audio, cached)
    cached_text = min(cached - cached_audio, text)
    return {
        "input_text_tokens": text - cached_text,
        "input_audio_tokens": audio - cached_audio,
        "cached_text_tokens": cached_text,
        "cached_audio_tokens": cached_audio,
        "output_text_tokens": usage.get("output_text_tokens", 0),
        "output_audio_tokens": usage.get("output_audio_tokens", 0),
    }


def _price(prices: ModelPrices, kind: str) -> float:
    price: float = getattr(prices, kind.removesuffix("_tokens"))
    return price


def _of(values: tuple[float, float, float, float, float, float]) -> ModelPrices:
    return ModelPrices(**dict(zip(ModelPrices.model_fields, values, strict=True)))


_LARGE, _OLDER, _MINI = (4, 32, 0.40, 0.40, 24, 64), (4, 32, 0.40, 0.40, 16, 64), (0.60, 10, 0.06, 0.30, 2.40, 20)
SHIPPED = PricesFile(
    as_of="2026-11-25",  # the pages of the models at developers.openai.com
    models={
        "gpt-realtime-2": _of(_LARGE),
        "gpt-realtime-2.1-mini": _of(_MINI),
        "gpt-realtime-1.5": _of(_OLDER),
        "gpt-realtime": _of(_OLDER),
        "gpt-realtime-mini": _of(_MINI),
    },
)
"""What OpenAI's models cost when this version was made; the carrier's price depends on the country: it is left out."""
