"""3: what a call costs, and where its price comes from."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from genai_prices import Usage, data_snapshot

from tests.records import NOW, Sender, call, measures
from usage.models import Price, Record
from usage.records import pricing
from usage.records.pricing import costs, rate_of

pytestmark = pytest.mark.usefixtures("fixed_time")


def priced(sender: Sender, **fields: Any) -> tuple[float | None, str]:
    """Cost and source of one call that was sent."""
    pricing.operator.forget()
    sender.post([call(**fields)])
    record = Record.objects.order_by("-id")[0]
    return record.cost_usd, record.price_source


def test_the_client_knows_best(sender: Sender) -> None:
    assert priced(sender, cost_usd=0.125) == (0.125, "client")
    assert priced(sender, cost_usd=0) == (0.0, "client")


def test_the_library_prices_with_its_source(sender: Sender) -> None:
    cost, source = priced(sender, prompt_tokens=1_000_000, completion_tokens=500_000, cached_tokens=200_000)
    assert source == "genai-prices:openai/gpt-4o"
    assert cost == pytest.approx(0.8 * 2.5 + 0.2 * 1.25 + 0.5 * 10)


def test_a_call_without_a_known_price_is_unpriced_and_never_free(sender: Sender) -> None:
    assert priced(sender, provider="own-gpu", model="llama") == (None, "")
    assert priced(sender, provider="anthropic", model="gpt-4o") == (None, ""), (
        "another provider's price would be a guess"
    )
    found = measures()
    assert (found["unpriced"], found["cost_usd"]) == (2, 0)


def test_missing_usage_is_not_unpriced(sender: Sender) -> None:
    assert priced(sender, prompt_tokens=None, completion_tokens=None) == (None, "")
    assert measures()["unpriced"] == 0


def test_an_operator_s_price_goes_before_the_library_s(sender: Sender) -> None:
    general = Price.objects.create(
        provider="*", model="*", input_usd=1, output_usd=1, valid_from=NOW - timedelta(days=2)
    )
    exact = Price.objects.create(
        provider="openai", model="gpt-4o", input_usd=10, output_usd=20, cached_usd=5, valid_from=NOW - timedelta(days=1)
    )
    newer = Price.objects.create(
        provider="openai", model="gpt-4o", input_usd=100, output_usd=0, valid_from=NOW + timedelta(days=1)
    )
    million = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}
    assert priced(sender, **million, cached_tokens=500_000) == (27.5, f"operator:{exact.pk}")
    assert priced(sender, **million, at=NOW - timedelta(days=1, hours=1)) == (2.0, f"operator:{general.pk}")
    assert priced(sender, **million, at=NOW + timedelta(days=2), cached_tokens=500_000) == (
        100.0,
        f"operator:{newer.pk}",
    )
    assert priced(sender, **million, model="gpt-4o-mini")[1] == f"operator:{general.pk}"


def test_without_a_provider_the_model_decides() -> None:
    found = pricing.library_rate("", "claude-sonnet-4-5", int(NOW.timestamp() // 3600))
    assert found is not None
    assert found.source == "genai-prices:anthropic/claude-sonnet-4-5"


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("google", "gemini-2.5-pro"),
        ("anthropic", "claude-sonnet-4-5"),
        ("deepseek", "deepseek-chat"),
    ],
)
@pytest.mark.parametrize(
    "tokens", [(0, 0, 0), (1000, 0, 10), (200_000, 0, 1), (200_001, 5, 1), (300_000, 100_000, 5000)]
)
def test_our_sum_is_the_library_s(provider: str, model: str, tokens: tuple[int, int, int], tables: None) -> None:
    from_library = pricing.library_rate(provider, model, int(NOW.timestamp() // 3600))
    assert from_library is not None
    prompt, cached, completion = tokens
    usage = Usage(input_tokens=prompt, cache_read_tokens=cached, output_tokens=completion)
    found, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    expected = float(info.calc_price(usage, found, genai_request_timestamp=NOW).total_price)
    columns = (np.array([number], dtype=float) for number in (prompt, cached, completion))
    assert costs([from_library], np.array([0]), *columns) == pytest.approx([expected])


def test_a_batch_looks_each_model_up_once(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counting(provider: str, model: str, at: float) -> pricing.Rate | None:
        asked.append(model)
        return rate_of(provider, model, at)

    monkeypatch.setattr(pricing, "rate_of", counting)
    models = [("openai", "gpt-0"), ("openai", "gpt-1"), ("openai", "gpt-4o")]
    ones, absent = np.ones(99), np.full(99, np.nan)
    numbers = {"cost_usd": absent, "prompt_tokens": ones, "completion_tokens": ones, "cached_tokens": absent}
    priced = pricing.Pricer().price(models, np.arange(99) % 3, np.full(99, NOW.timestamp()), numbers)
    assert sorted(asked) == ["gpt-0", "gpt-1", "gpt-4o"]
    assert np.flatnonzero(~np.isnan(priced.costs)).tolist() == [*range(2, 99, 3)]
    assert {priced.sources[place] for place in priced.source_of[2::3].tolist()} == {"genai-prices:openai/gpt-4o"}


@pytest.mark.usefixtures("tables")
def test_an_operator_s_price_holds_from_its_second_on() -> None:
    Price.objects.create(provider="openai", model="gpt-4o", input_usd=1, output_usd=0, valid_from=NOW)
    pricing.operator.forget()
    ones, absent = np.ones(2), np.full(2, np.nan)
    numbers = {"cost_usd": absent, "prompt_tokens": ones, "completion_tokens": ones, "cached_tokens": absent}
    at = NOW.timestamp() + np.array([-1, 0])
    priced = pricing.Pricer().price([("openai", "gpt-4o")], np.zeros(2, dtype=np.int64), at, numbers)
    sources = [priced.sources[place].partition(":")[0] for place in priced.source_of.tolist()]
    assert sources == ["genai-prices", "operator"]
