"""3 price: what a call cost in USD, and where its price comes from.

In this order: the client's own `cost_usd`; an operator's price; genai-prices. A call with tokens and no known price is
unpriced: its cost stays empty and is counted as such, never as 0.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import zip_longest
from math import inf
from typing import NamedTuple

import numpy as np
from genai_prices import data_snapshot
from genai_prices.types import ModelPrice, TieredPrices

from core.process_cache import forgets
from promql.values import Floats, Ints
from usage.models import Price

CLIENT = "client"
MILLION = 1_000_000
_REREAD_SECONDS = 15


class Band(NamedTuple):
    """Prices in USD per million tokens of input, cached input and output, for calls of more than `start` prompt
    tokens."""

    start: float
    input_usd: float
    cached_usd: float
    output_usd: float


NO_BAND = Band(inf, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Rate:
    """A model's price at a time: its source, and its bands, ascending; the first one holds from 0 on."""

    source: str
    bands: tuple[Band, ...]


def costs(rates: Sequence[Rate], rate_of_call: Ints, prompt: Floats, cached: Floats, completion: Floats) -> Floats:
    """USD of calls by their tokens [calls]; `rate_of_call` is the place of each one's rate. A band prices all tokens of
    a call.

    Cached tokens are part of the prompt's.
    """
    table = np.array([*zip_longest(*(rate.bands for rate in rates), fillvalue=NO_BAND)])  # [bands, rates, 4]
    band = (prompt > table[1:, rate_of_call, 0]).sum(axis=0)
    _, input_usd, cached_usd, output_usd = table[band, rate_of_call].T
    cached = np.minimum(cached, prompt)
    total: Floats = ((prompt - cached) * input_usd + cached * cached_usd + completion * output_usd) / MILLION
    return total


class Operator:
    """The operators' prices, read again every few seconds: a change is seen by every process without a signal between
    them."""

    def __init__(self) -> None:
        self._prices: list[Price] = []
        self._read_at = float("-inf")
        forgets(self.forget)

    def forget(self) -> None:
        """Read them again at the next call."""
        self._read_at = float("-inf")

    def prices(self) -> list[Price]:
        """All of them, the latest to begin first."""
        if time.monotonic() - self._read_at > _REREAD_SECONDS:
            self._prices = list(Price.objects.order_by("-valid_from"))
            self._read_at = time.monotonic()
        return self._prices

    def starts(self) -> Floats:
        """When they begin (epoch seconds), ascending."""
        return np.array([price.valid_from.timestamp() for price in reversed(self.prices())])

    def find(self, provider: str, model: str, at: datetime) -> Rate | None:
        """The newest operator's price that covers the model and was valid at `at`; an exact one before a pattern."""
        covering = [price for price in self.prices() if price.valid_from <= at and price.covers(provider, model)]
        if not covering:
            return None
        price = min(covering, key=lambda one: ("*" in one.model, "*" in one.provider, -one.valid_from.timestamp()))
        cached = price.input_usd if price.cached_usd is None else price.cached_usd
        return Rate(f"operator:{price.pk}", (Band(0, price.input_usd, cached, price.output_usd),))


operator = Operator()


def bands_of(price: ModelPrice) -> tuple[Band, ...]:
    """The library's prices in each band of prompt tokens."""
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

    return tuple(Band(start, *(at(one, start) for one in given)) for start in starts)


@lru_cache(maxsize=4096)
def library_rate(provider: str, model: str, hour: int) -> Rate | None:
    """The price of genai-prices in an hour since the Unix epoch (prices may depend on the time of day), or None.

    Without a provider the model alone decides; a provider that the library does not know has no price there: another's
    would be a guess.
    """
    try:
        found, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider or None, None)
    except LookupError:
        return None
    price = info.get_prices(datetime.fromtimestamp(hour * 3600, UTC))
    return Rate(f"genai-prices:{found.id}/{info.id}", bands_of(price))


forgets(library_rate.cache_clear)


def rate_of(provider: str, model: str, at: float) -> Rate | None:
    """The price of a model at an epoch second, or None where none is known."""
    own = operator.find(provider, model, datetime.fromtimestamp(at, UTC))
    return own or library_rate(provider, model, int(at // 3600))


def alike(model_of: Ints, at: Floats) -> tuple[Ints, Ints]:
    """Calls whose rate is one: the first of each such group, and the group of each call.

    They have one model and lie in one hour, and no operator's price begins between them.
    """
    starts = operator.starts()
    eras = np.searchsorted(starts, at, side="right")
    hours = (at // 3600).astype(np.int64)
    _, first, group = np.unique(
        ((model_of << 24) + hours) * (len(starts) + 1) + eras, return_index=True, return_inverse=True
    )
    return first, group


@dataclass
class Priced:
    """Costs of calls in USD (NaN: none), the distinct sources of their prices, and which of them each call has."""

    costs: Floats
    sources: list[str]
    source_of: Ints


class Pricer:
    """Prices the calls of one batch; looks each model and hour up once."""

    def price(
        self, models: Sequence[tuple[str, str]], model_of: Ints, at: Floats, numbers: dict[str, Floats]
    ) -> Priced:
        """Price calls [calls] of some distinct models (provider, model); `at` in epoch seconds, `numbers` their
        columns.

        A call that has no tokens to price, or whose price nobody knows, costs nothing that is known.
        """
        found = numbers["cost_usd"].copy()
        source_of = np.where(np.isnan(found), 0, 1)
        counted = ~(np.isnan(numbers["prompt_tokens"]) & np.isnan(numbers["completion_tokens"]))
        asked = np.flatnonzero(counted & np.isnan(found))
        first, which = alike(model_of[asked], at[asked])
        looked_up = [rate_of(*models[int(model_of[call])], at=float(at[call])) for call in asked[first].tolist()]
        rates = [rate for rate in looked_up if rate is not None]
        if rates:
            known = np.array([rate is not None for rate in looked_up])
            place = np.cumsum(known) - 1
            asked, which = asked[known[which]], place[which[known[which]]]
            given = (numbers[name][asked] for name in ("prompt_tokens", "cached_tokens", "completion_tokens"))
            prompt, cached, completion = (np.where(np.isnan(one), 0.0, one) for one in given)
            found[asked] = costs(rates, which, prompt, cached, completion)
            source_of[asked] = which + 2
        return Priced(found, ["", CLIENT, *(rate.source for rate in rates)], source_of)
