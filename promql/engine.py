"""Sources that evaluate queries themselves, such as a Prometheus-compatible server."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, runtime_checkable

from promql.labels import Labels, Matcher
from promql.limits import Limits
from promql.parse import Query
from promql.result import Result
from promql.source import Source


class Listing(Source, Protocol):
    """A source that can also say which series it has."""

    def series(self, matchers: Sequence[Matcher], end_ms: int | None = None) -> list[Labels]:
        """The labels of the series that match and began by `end_ms`."""
        ...


@runtime_checkable
class Engine(Listing, Protocol):
    """`promql.instant` and `promql.range` hand a query on to it instead of selecting series. Its methods raise
    PromQLError."""

    def instant(self, query: Query, at_ms: int, lookback_ms: int, limits: Limits) -> Result:
        """The value at one time."""
        ...

    def range(self, query: Query, start_ms: int, end_ms: int, step_ms: int, lookback_ms: int, limits: Limits) -> Result:
        """The values at start, start + step, … up to end."""
        ...


def engine_of(source: Source) -> Engine | None:
    """The source, if it is an engine. Called for every query of every rule, so the check is cached per class."""
    return source if _is_engine(type(source)) else None  # type: ignore[return-value]  # the class has been looked at


@lru_cache(maxsize=64)
def _is_engine(kind: type) -> bool:
    return issubclass(kind, Engine)
