"""Calendar functions, in UTC, of samples that are Unix times in seconds."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from promql.context import Evaluation
from promql.functions.special import Special
from promql.syntax import Call
from promql.values import Floats, Ints, Vector

Moments = NDArray[np.datetime64]

# Beyond this the calendar of numpy's datetime64 ends.
_FARTHEST_SECONDS = 2.0**55


def _year(moments: Moments) -> Ints:
    return np.asarray(moments.astype("datetime64[Y]").astype(np.int64) + 1970)


def _month(moments: Moments) -> Ints:
    return moments.astype("datetime64[M]").astype(np.int64) % 12 + 1


def _day_of_month(moments: Moments) -> Ints:
    return np.asarray((moments.astype("datetime64[D]") - moments.astype("datetime64[M]")).astype(np.int64) + 1)


def _day_of_week(moments: Moments) -> Ints:
    # 1 January 1970 was a Thursday; Sunday is 0.
    return np.asarray((moments.astype("datetime64[D]").astype(np.int64) + 4) % 7)


def _day_of_year(moments: Moments) -> Ints:
    return np.asarray((moments.astype("datetime64[D]") - moments.astype("datetime64[Y]")).astype(np.int64) + 1)


def _days_in_month(moments: Moments) -> Ints:
    month = moments.astype("datetime64[M]")
    return np.asarray(((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64))


def _hour(moments: Moments) -> Ints:
    return moments.astype(np.int64) // 3600 % 24


def _minute(moments: Moments) -> Ints:
    return moments.astype(np.int64) // 60 % 60


def _calendar(part: Callable[[Moments], Ints]) -> Special:
    def function(evaluation: Evaluation, call: Call, times: Ints) -> Vector:
        if not call.args:
            values = _apply(part, (times // 1000).astype(np.float64))
            return Vector([{}], values[None, :], np.ones((1, times.size), dtype=bool))
        given = evaluation.vector(call.args[0], times)
        return given.nameless(_apply(part, given.values))

    return function


def _apply(part: Callable[[Moments], Ints], seconds: Floats) -> Floats:
    known = np.abs(seconds) < _FARTHEST_SECONDS
    moments = np.where(known, seconds, 0).astype(np.int64).astype("datetime64[s]")
    return np.where(known, part(moments).astype(np.float64), np.nan)


DATES: dict[str, Special] = {
    "year": _calendar(_year),
    "month": _calendar(_month),
    "day_of_month": _calendar(_day_of_month),
    "day_of_week": _calendar(_day_of_week),
    "day_of_year": _calendar(_day_of_year),
    "days_in_month": _calendar(_days_in_month),
    "hour": _calendar(_hour),
    "minute": _calendar(_minute),
}
