"""Reads of prices: the models seen, what they cost, and what is known of their price."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from usage.catalog import KINDS, OTHER
from usage.catalog.grains import COARSE, FINE
from usage.models import Price
from usage.records.pricing import CLIENT, Rate, rate_of

DAYS = 30

# Days before today from the hours, today from the 15 s rows, which are complete at any time.
_CALLS = """
SELECT coalesce(d.labels->>'provider', ''), coalesce(d.labels->>'model', ''),
    sum({count})::float8, sum({unpriced})::float8, sum({tokens})::float8, sum({cost})::float8
FROM usage_dimension d JOIN (
    SELECT dimension_id, measures FROM {hours} WHERE bucket >= %(start)s AND bucket < %(today)s
    UNION ALL
    SELECT dimension_id, measures FROM {fine} WHERE bucket >= %(today)s AND bucket <= %(now)s
) AS r ON r.dimension_id = d.id
WHERE d.kind = 'llm_call' AND (%(all)s OR d.labels->>'workspace' = ANY(%(slugs)s))
GROUP BY 1, 2
"""


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


def _measure(*names: str) -> str:
    offsets = KINDS["llm_call"].offsets
    return " + ".join(f"coalesce(r.measures[{offsets[name] + 1}], 0)" for name in names)


def models_seen(workspaces: Collection[str] | None, now: datetime) -> list[PricedModel]:
    """Models called in the last 30 days in these workspaces (None: all), those with
    unpriced calls first, then the dearest."""
    query = _CALLS.format(
        hours=COARSE.table,
        fine=FINE.table,
        count=_measure("count"),
        unpriced=_measure("unpriced"),
        tokens=_measure("prompt_tokens", "completion_tokens"),
        cost=_measure("cost_usd"),
    )
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    values: dict[str, bool | list[str] | datetime] = {
        "start": today - timedelta(days=DAYS),
        "today": today,
        "now": now,
        "all": workspaces is None,
        "slugs": sorted(workspaces or ()),
    }
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        rows = cursor.fetchall()
    found = [
        _priced(provider, model, calls, unpriced, tokens, cost, now)
        for provider, model, calls, unpriced, tokens, cost in rows
        if model != OTHER
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
