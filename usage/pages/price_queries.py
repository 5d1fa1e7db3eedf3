"""Reads of prices: the models seen, what they cost, and what is known of their price."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from usage.boards.queries import Rollups
from usage.catalog import OTHER
from usage.models import Price
from usage.records.pricing import CLIENT, Rate, rate_of

DAYS = 30

MEASURES = ("count", "unpriced", "prompt_tokens", "completion_tokens", "cost_usd")


@dataclass(frozen=True)
class PricedModel:
    """A model that was called in the last 30 days. Prices are USD per million tokens; None: not known."""

    provider: str
    model: str
    calls: float
    unpriced: float
    tokens: float
    cost_usd: float
    source: str
    input_usd: float | None
    cached_usd: float | None
    output_usd: float | None

    @property
    def source_text(self) -> str:
        """Where its price comes from."""
        name, _, rest = self.source.partition(":")
        return {
            "": "not known",
            CLIENT: "the client",
            "operator": "an operator",
            "genai-prices": f"genai-prices, {rest}",
        }.get(name, self.source)

    @property
    def price_id(self) -> int | None:
        """The operator's price that it takes, if it takes one."""
        name, _, number = self.source.partition(":")
        return int(number) if name == "operator" else None


def models_seen(workspaces: Collection[str] | None, now: datetime) -> list[PricedModel]:
    """Models called in the last 30 days in these workspaces (None: all), those with
    unpriced calls first, then the dearest."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    times = (int((at.timestamp()) * 1000) for at in (today - timedelta(days=DAYS), now))
    sums = Rollups("llm_call", None if workspaces is None else frozenset(workspaces), now).sums(
        MEASURES, ("provider", "model"), *times
    )
    rows = np.column_stack([sums.of(measure)[:, 0] for measure in MEASURES]).tolist()
    found = [
        _priced(provider, model, calls, unpriced, tokens_in + tokens_out, cost, now)
        for (provider, model), (calls, unpriced, tokens_in, tokens_out, cost) in zip(sums.groups, rows, strict=True)
        if calls and model != OTHER
    ]
    return sorted(found, key=lambda one: (-one.unpriced, -one.cost_usd, one.provider, one.model))


def _priced(
    provider: str, model: str, calls: float, unpriced: float, tokens: float, cost: float, now: datetime
) -> PricedModel:
    prices = _per_million(rate_of(provider, model, now.timestamp()))
    return PricedModel(provider, model, calls, unpriced, tokens, cost, *prices)


def _per_million(rate: Rate | None) -> tuple[str, float | None, float | None, float | None]:
    """(source, input, cached input, output) of a rate; for prices in tiers, those of a small call."""
    if rate is None:
        return "", None, None, None
    return (rate.source, *rate.bands[0][1:])


def operator_prices() -> list[Price]:
    """The operators' prices, newest of a model first."""
    return list(Price.objects.select_related("created_by"))
