"""The functions and aggregations of PromQL for readers: what they take, and what they give in words.

In `description`, {0} stands for the first argument in words, {1} for the second, and so on; {rest} for all from the
second on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A function: its arguments as a signature, and what it answers."""

    takes: str
    description: str


def _over(what: str) -> Function:
    return Function("range", f"{what} of {{0}}")


def _each(what: str) -> Function:
    return Function("v", f"{what} of {{0}}")


def _date(what: str) -> Function:
    return Function("v = vector(time())", f"the {what} (UTC) of {{0}}")


FUNCTIONS: Mapping[str, Function] = {
    "rate": _over("the rate per second"),
    "increase": _over("the increase"),
    "delta": _over("the difference between first and last value"),
    "irate": _over("the rate per second between the last two samples"),
    "idelta": _over("the difference between the last two samples"),
    "resets": _over("how often a counter began anew,"),
    "changes": _over("how often the value changed,"),
    "deriv": _over("the slope per second (linear regression)"),
    "predict_linear": Function("range, seconds", "{0}, continued as a straight line {1} seconds from now"),
    "double_exponential_smoothing": Function("range, smoothing, trend", "{0}, smoothed (smoothing {1}, trend {2})"),
    "holt_winters": Function("range, smoothing, trend", "{0}, smoothed (smoothing {1}, trend {2})"),
    "avg_over_time": _over("the average in time"),
    "count_over_time": _over("the number of samples"),
    "first_over_time": _over("the first sample"),
    "last_over_time": _over("the last sample"),
    "mad_over_time": _over("the median absolute deviation in time"),
    "max_over_time": _over("the largest value in time"),
    "min_over_time": _over("the smallest value in time"),
    "present_over_time": Function("range", "1 for each series of {0} that has a sample"),
    "quantile_over_time": Function("share, range", "the {0} quantile in time of {1}"),
    "stddev_over_time": _over("the standard deviation in time"),
    "stdvar_over_time": _over("the variance in time"),
    "sum_over_time": _over("the sum in time"),
    "ts_of_first_over_time": _over("the time of the first sample"),
    "ts_of_last_over_time": _over("the time of the last sample"),
    "ts_of_max_over_time": _over("the time of the largest sample"),
    "ts_of_min_over_time": _over("the time of the smallest sample"),
    "abs": _each("the absolute value"),
    "ceil": Function("v", "{0}, rounded up"),
    "floor": Function("v", "{0}, rounded down"),
    "exp": _each("e to the power"),
    "sqrt": _each("the square root"),
    "ln": _each("the natural logarithm"),
    "log2": _each("the binary logarithm"),
    "log10": _each("the decimal logarithm"),
    "sgn": _each("the sign (−1, 0 or 1)"),
    **{name: _each(f"the {name}") for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")},
    **{name: _each(f"the {name}") for name in ("asinh", "acosh", "atanh")},
    "deg": Function("v", "{0}, in degrees"),
    "rad": Function("v", "{0}, in radians"),
    "year": _date("year"),
    "month": _date("month"),
    "day_of_month": _date("day of the month"),
    "day_of_week": _date("day of the week, 0 for Sunday,"),
    "day_of_year": _date("day of the year"),
    "days_in_month": _date("number of days in the month"),
    "hour": _date("hour"),
    "minute": _date("minute"),
    "info": Function("v, {labels}", "{0}, with the labels of info series added"),
    "label_replace": Function(
        "v, target, replacement, source, regex", "{0}, with label {1} made as {2} from label {3} where it matches {4}"
    ),
    "label_join": Function("v, target, separator, source, …", "{0}, with labels joined into one ({rest})"),
    "sort": Function("v", "{0}, the smallest first"),
    "sort_desc": Function("v", "{0}, the largest first"),
    "sort_by_label": Function("v, label, …", "{0}, in the order of {rest}"),
    "sort_by_label_desc": Function("v, label, …", "{0}, in the reverse order of {rest}"),
    "time": Function("", "the time, in seconds since 1970"),
    "pi": Function("", "π"),
    "start": Function("", "the time at which the range starts"),
    "end": Function("", "the time at which the range ends"),
    "range": Function("", "the length of the range, in seconds"),
    "step": Function("", "the step, in seconds"),
    "max_of": Function("a, b", "the larger of {0} and {1}"),
    "min_of": Function("a, b", "the smaller of {0} and {1}"),
    "vector": Function("number", "{0}, as a series without labels"),
    "scalar": Function("v", "the number that is the only series of {0}"),
    "timestamp": _each("the times of the samples"),
    "round": Function("v, nearest = 1", "{0}, rounded to a multiple of {1}"),
    "clamp": Function("v, min, max", "{0}, held between {1} and {2}"),
    "clamp_min": Function("v, min", "{0}, but at least {1}"),
    "clamp_max": Function("v, max", "{0}, but at most {1}"),
    "absent": Function("v", "1 if {0} has no series"),
    "absent_over_time": Function("range", "1 if {0} has no sample"),
    "histogram_quantile": Function("share, buckets", "the {0} quantile, from the buckets of {1}"),
    "histogram_quantiles": Function("buckets, label, share, …", "quantiles, from the buckets of {0} ({rest})"),
    "histogram_fraction": Function("lower, upper, buckets", "the share between {0} and {1}, from the buckets of {2}"),
}

AGGREGATIONS: Mapping[str, Function] = {
    "sum": Function("v", "the sum{by} of {0}"),
    "avg": Function("v", "the average{by} of {0}"),
    "min": Function("v", "the smallest value{by} of {0}"),
    "max": Function("v", "the largest value{by} of {0}"),
    "count": Function("v", "the number of series{by} of {0}"),
    "group": Function("v", "1{by} where there is any series of {0}"),
    "stddev": Function("v", "the standard deviation{by} of {0}"),
    "stdvar": Function("v", "the variance{by} of {0}"),
    "topk": Function("k, v", "the {1} largest{by} of {0}"),
    "bottomk": Function("k, v", "the {1} smallest{by} of {0}"),
    "quantile": Function("share, v", "the {1} quantile{by} of {0}"),
    "count_values": Function("label, v", "the number of series{by} per value (as label {1}) of {0}"),
    "limitk": Function("k, v", "any {1} series{by} of {0}"),
    "limit_ratio": Function("share, v", "a share of {1} of the series{by} of {0}"),
}
