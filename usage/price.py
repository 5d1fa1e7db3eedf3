"""3 price: what a call cost in USD, and where its price comes from.

In this order: the client's own `cost_usd`; an operator's price; genai-prices. A call with tokens and no known price is unpriced:
its cost stays empty and is counted as such, never as 0.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from genai_prices import data_snapshot
from genai_prices.types import ModelPrice, TieredPrices

from usage.models import Price
from usage.records import LlmCall

CLIENT = "client"
MILLION = 1_000_000
_REREAD_SECONDS = 15


@dataclass(frozen=True)
class Rate:
    """A model's price at a time: its source, and the function from (prompt, cached, completion) tokens to USD."""

    source: str
    cost: Callable[[int, int, int], float]


def linear(input_usd: float, cached_usd: float, output_usd: float) -> Callable[[int, int, int], float]:
    """The cost function of prices per million tokens; cached tokens are part of the prompt's."""

    def cost(prompt: int, cached: int, completion: int) -> float:
        cached = min(cached, prompt)
        return ((prompt - cached) * input_usd + cached * cached_usd + completion * output_usd) / MILLION

    return cost


class Operator:
    """The operators' prices, read again every few seconds: a change is seen by every process without a signal between them."""

    def __init__(self) -> None:
        self._prices: list[Price] = []
        self._read_at = float("-inf")

    def forget(self) -> None:
        """Read them again at the next call."""
        self._read_at = float("-inf")

    def find(self, provider: str, model: str, at: datetime) -> Rate | None:
        """The newest operator's price that covers the model and was valid at `at`; an exact one before a pattern."""
        if time.monotonic() - self._read_at > _REREAD_SECONDS:
            self._prices = list(Price.objects.order_by("-valid_from"))
            self._read_at = time.monotonic()
        covering = [price for price in self._prices if price.valid_from <= at and price.covers(provider, model)]
        if not covering:
            return None
        price = min(covering, key=lambda one: ("*" in one.model, "*" in one.provider, -one.valid_from.timestamp()))
        cached = price.input_usd if price.cached_usd is None else price.cached_usd
        return Rate(f"operator:{price.pk}", linear(price.input_usd, cached, price.output_usd))


operator = Operator()


def tiered(bands: Sequence[tuple[int, float, float, float]]) -> Callable[[int, int, int], float]:
    """The cost function of prices in tiers: each band begins above a number of prompt tokens and prices all tokens of the call."""
    costs = [linear(*prices) for _, *prices in bands]
    if len(bands) == 1:
        return costs[0]
    starts = [start for start, *_ in bands]

    def cost(prompt: int, cached: int, completion: int) -> float:
        return costs[max(bisect_left(starts, prompt) - 1, 0)](prompt, cached, completion)

    return cost


def bands_of(price: ModelPrice) -> list[tuple[int, float, float, float]]:
    """The library's prices of input, cached input and output (USD per million tokens) in each band of prompt tokens."""
    given = [
        price.input_mtok,
        price.cache_read_mtok if price.cache_read_mtok is not None else price.input_mtok,
        price.output_mtok,
    ]
    starts = sorted({0, *(tier.start for one in given if isinstance(one, TieredPrices) for tier in one.tiers)})

    def at(one: Decimal | TieredPrices | None, start: int) -> float:
        if isinstance(one, TieredPrices):
            return float(next((tier.price for tier in reversed(one.tiers) if start >= tier.start), one.base))
        return float(one or 0)

    return [(start, at(given[0], start), at(given[1], start), at(given[2], start)) for start in starts]


@lru_cache(maxsize=4096)
def library_rate(provider: str, model: str, hour: int) -> Rate | None:
    """The price of genai-prices in an hour since the epoch (prices may depend on the time of day), or None.

    Without a provider the model alone decides; a provider that the library does not know has no price there: another's would be a guess.
    """
    try:
        found, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider or None, None)
    except LookupError:
        return None
    price = info.get_prices(datetime.fromtimestamp(hour * 3600, UTC))
    return Rate(f"genai-prices:{found.id}/{info.id}", tiered(bands_of(price)))


def rate_of(provider: str, model: str, at: float) -> Rate | None:
    """The price of a model at an epoch second, or None where none is known."""
    own = operator.find(provider, model, datetime.fromtimestamp(at, UTC))
    return own or library_rate(provider, model, int(at // 3600))


class Pricer:
    """Prices the calls of one batch; looks each model and hour up once."""

    def __init__(self) -> None:
        self._rates: dict[tuple[str, str, int], Rate | None] = {}

    def price(self, call: LlmCall, at: float) -> tuple[float | None, str]:
        """Cost in USD and its source; (None, "") where the call has no tokens to price or no price is known."""
        if call.cost_usd is not None:
            return call.cost_usd, CLIENT
        if call.prompt_tokens is None and call.completion_tokens is None:
            return None, ""
        place = (call.provider, call.model, int(at // 3600))
        if place not in self._rates:
            self._rates[place] = rate_of(call.provider, call.model, at)
        rate = self._rates[place]
        if rate is None:
            return None, ""
        return rate.cost(call.prompt_tokens or 0, call.cached_tokens or 0, call.completion_tokens or 0), rate.source
