"""The threshold that would have given about so many alerts a week."""

import numpy as np
import pytest

import promql
from alerts.evaluation.state_machine import Holding
from alerts.models import Rule
from alerts.trial.backtest import Backtest, backtest
from alerts.trial.suggestion import suggested_threshold

HOUR = 3_600_000
WEEK = 168


def past(values: list[float], expr: str = "load > 1e6") -> Backtest:
    """A backtest over hourly values from time 0."""
    source = promql.MemorySource()
    source.add({"__name__": "load"}, np.arange(len(values)) * HOUR, values)
    span = (0, (len(values) - 1) * HOUR)
    return backtest(Rule(expr=expr), source, span_ms=span, step_ms=HOUR)


def peaks(count: int, of: float = 9.0, else_: float = 1.0) -> list[float]:
    """A week of hours with so many peaks, each higher than the one before."""
    values = [else_] * WEEK
    for number in range(count):
        values[10 * (number + 1)] = of + number
    return values


def test_it_lets_the_highest_peak_alert_once_a_week() -> None:
    found = suggested_threshold(past(peaks(4)), Holding())
    assert found is not None
    assert sum(value > found for value in peaks(4)) <= 1


def test_more_alerts_a_week_lower_it() -> None:
    few, many = (suggested_threshold(past(peaks(8)), Holding(), count) for count in (1, 20))
    assert few is not None
    assert many is not None
    assert many < few


def test_below_it_is_counted_downwards() -> None:
    values = peaks(4, of=-9, else_=50.0)
    found = suggested_threshold(past(values, "load < -1000"), Holding())
    assert found is not None
    assert found < 50


def test_for_takes_short_peaks_out() -> None:
    held = suggested_threshold(past(peaks(4)), Holding(2 * HOUR))
    at_once = suggested_threshold(past(peaks(4)), Holding())
    assert held is not None
    assert at_once is not None
    assert held < at_once


@pytest.mark.parametrize("expr", ["load", "load > load", "absent(load) > 3"])
def test_where_there_is_no_number_or_nothing_measured_there_is_none(expr: str) -> None:
    assert suggested_threshold(past(peaks(1), expr), Holding()) is None


def test_it_has_two_digits() -> None:
    found = suggested_threshold(past([1.23456] * WEEK), Holding())
    assert found == 1.3


def test_what_would_fire_all_the_time_is_no_threshold() -> None:
    found = suggested_threshold(past([0.5, 0.6] * 80 + [9.0] * 3 + [0.5, 0.6] * 2), Holding())
    assert found is not None
    assert found >= 0.6
