"""What calls cost."""

import pytest

from gateway.config.loader import load
from gateway.config.prices import SHIPPED, Prices

LINE = "instructions: Be brief.\n"
TABLE = """as_of: "2026-11-01"
carrier_per_minute: 0.6
models:
  my-model: {input_text: 1, input_audio: 10, cached_text: 0.1, cached_audio: 0.5, output_text: 4, output_audio: 20}
"""


def test_the_shipped_prices_know_the_models_by_how_they_begin():
    prices = Prices(SHIPPED)
    usage = {"output_audio_tokens": 1_000_000}
    for model, dollars in (("gpt-realtime-2.1", 64), ("gpt-realtime-2.1-mini", 20), ("gpt-realtime-mini-2025", 20)):
        cost = prices.cost(model, usage, 60)
        assert cost is not None
        assert cost.total == pytest.approx(dollars)
    assert prices.cost("other", usage, 60) is None


def test_a_folder_has_its_own(write):
    directory = load(write({"a.yaml": LINE, "_prices.yaml": TABLE}))
    million = 1_000_000
    usage = {
        "input_tokens": 3 * million,
        "input_text_tokens": million,
        "input_audio_tokens": 2 * million,
        "cached_tokens": million,
        "cached_audio_tokens": million,
        "cached_text_tokens": 0,
        "output_text_tokens": million,
        "output_audio_tokens": million,
    }
    cost = directory.prices.cost("my-model", usage, 30)
    assert cost is not None
    assert cost.usage == {
        "input_text_tokens": 1,
        "input_audio_tokens": 10,
        "cached_audio_tokens": 0.5,
        "output_text_tokens": 4,
        "output_audio_tokens": 20,
    }
    assert cost.total == pytest.approx(35.5 + 0.3)
    assert not directory.prices.shipped


def test_a_cache_that_does_not_say_of_what_is_shared_out(write):
    prices = load(write({"a.yaml": LINE, "_prices.yaml": TABLE})).prices
    cost = prices.cost("my-model", {"input_text_tokens": 100, "input_audio_tokens": 300, "cached_tokens": 200}, 0)
    assert cost is not None
    assert cost.usage == pytest.approx(
        {
            "input_text_tokens": 50 * 1e-6,
            "input_audio_tokens": 150 * 10e-6,
            "cached_text_tokens": 50 * 0.1e-6,
            "cached_audio_tokens": 150 * 0.5e-6,
        }
    )


def test_without_a_table_the_shipped_one_is_in_effect(write):
    assert load(write({"a.yaml": LINE})).prices.shipped


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("models: {}\n", "_prices.yaml:1:1: as_of is missing (write as_of: under it)"),
        ('as_of: "now"\nmodels: {}\n', "_prices.yaml:1:8: 'now' is not a date (write it in quotes: \"2026-11-24\")"),
        ('as_of: "2026-01-01"\nmodels: {x: {input: 3}}\n', None),
    ],
)
def test_what_is_wrong_has_its_place(faults_of, table, fault):
    faults = faults_of({"a.yaml": LINE, "_prices.yaml": table})
    assert faults
    assert fault is None or fault in faults
