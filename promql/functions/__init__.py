"""The functions of PromQL, by the shape of what they take."""

from collections.abc import Callable
from dataclasses import dataclass

from promql.functions import counters, extended, over_time, trends
from promql.functions.dates import DATES
from promql.functions.extended import ExtendedFunction
from promql.functions.info import INFO
from promql.functions.instant import ELEMENTWISE, ElementFunction
from promql.functions.relabel import RELABEL
from promql.functions.scalars import SCALARS
from promql.functions.shaping import SHAPING
from promql.functions.special import Special
from promql.values import Bools, Floats
from promql.windows import Windows


@dataclass(frozen=True)
class RangeFunction:
    """A function of a range vector; `range_at` is the place of the range among its arguments, the rest are scalars.

    `extended` computes it over an anchored or smoothed range.
    """

    compute: Callable[[Windows, list[Floats]], tuple[Floats, Bools]]
    range_at: int = 0
    keeps_name: bool = False
    wants_counter: bool = False
    wants_quantile: bool = False
    extended: ExtendedFunction | None = None


RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    "rate": RangeFunction(counters.rate, wants_counter=True, extended=extended.rate),
    "increase": RangeFunction(counters.increase, wants_counter=True, extended=extended.increase),
    "delta": RangeFunction(counters.delta, extended=extended.delta),
    "irate": RangeFunction(counters.irate),
    "idelta": RangeFunction(counters.idelta),
    "resets": RangeFunction(counters.resets, extended=extended.resets),
    "changes": RangeFunction(counters.changes, extended=extended.changes),
    "deriv": RangeFunction(trends.deriv),
    "predict_linear": RangeFunction(trends.predict_linear),
    "double_exponential_smoothing": RangeFunction(trends.double_exponential_smoothing),
    "holt_winters": RangeFunction(trends.double_exponential_smoothing),
    "avg_over_time": RangeFunction(over_time.avg_over_time),
    "count_over_time": RangeFunction(over_time.count_over_time),
    "first_over_time": RangeFunction(over_time.first_over_time, keeps_name=True),
    "last_over_time": RangeFunction(over_time.last_over_time, keeps_name=True),
    "mad_over_time": RangeFunction(over_time.mad_over_time),
    "max_over_time": RangeFunction(over_time.max_over_time),
    "min_over_time": RangeFunction(over_time.min_over_time),
    "present_over_time": RangeFunction(over_time.present_over_time),
    "quantile_over_time": RangeFunction(over_time.quantile_over_time, range_at=1, wants_quantile=True),
    "stddev_over_time": RangeFunction(over_time.stddev_over_time),
    "stdvar_over_time": RangeFunction(over_time.stdvar_over_time),
    "sum_over_time": RangeFunction(over_time.sum_over_time),
    "ts_of_first_over_time": RangeFunction(over_time.ts_of_first_over_time),
    "ts_of_last_over_time": RangeFunction(over_time.ts_of_last_over_time),
    "ts_of_max_over_time": RangeFunction(over_time.ts_of_max_over_time),
    "ts_of_min_over_time": RangeFunction(over_time.ts_of_min_over_time),
}

SPECIAL_FUNCTIONS: dict[str, Special] = {**SHAPING, **SCALARS, **DATES, **RELABEL, **INFO}

__all__ = ["ELEMENTWISE", "RANGE_FUNCTIONS", "SPECIAL_FUNCTIONS", "ElementFunction", "RangeFunction", "Special"]
