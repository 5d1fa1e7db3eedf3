"""The rule against the same hours of the last weeks: it knows the seasons of a day, is not misled by an outage of last
week, tells of too few and too many calls, and its chart shows the band."""

import numpy as np
import pytest

import promql
from alerts.evidence.alert_figures import rule_figure
from alerts.models import Rule
from alerts.rules.expression import distance
from alerts.rules.rule_templates import TEMPLATES
from alerts.trial.backtest import Backtest, backtest

MINUTE, DAY, WEEK = 60_000, 86_400_000, 7 * 86_400_000
NOW = 5 * WEEK
TEMPLATE = TEMPLATES["baseline-band"]


def calls(now: float = 1.0, last_week: float = 1.0) -> promql.MemorySource:
    """Five weeks of calls a minute, ten times as many by day as by night, some more or fewer each week; the last six
    hours of this week and of last week are scaled."""
    times = np.arange(0, NOW + MINUTE, MINUTE)
    by_day = np.where((times % DAY) // 3_600_000 >= 12, 600.0, 60.0)
    weeks = np.array([1.0, 0.96, 1.03, 0.98, 1.02, 1.0])[times // WEEK]
    scale = np.ones(len(times))
    scale[(times > NOW - 6 * 3_600_000)] = now
    scale[(times > NOW - WEEK - 6 * 3_600_000) & (times <= NOW - WEEK)] = last_week
    source = promql.MemorySource()
    labels = {"__name__": "llm_provider_request_seconds_count", "provider": "p", "outcome": "success"}
    source.add(labels, times, np.cumsum(by_day * weeks * scale))
    return source


def tried(source: promql.Source) -> Backtest:
    """The rule over the last day."""
    rule = Rule(expr=TEMPLATE.fill(TEMPLATE.defaults()), threshold=TEMPLATE.threshold, for_seconds=900)
    return backtest(rule, source, span_ms=(NOW - DAY, NOW), step_ms=5 * MINUTE)


@pytest.mark.parametrize(("now", "fires"), [(1.0, 0), (1.2, 0), (0.4, 1), (0.0, 1), (1.8, 1)])
@pytest.mark.parametrize("last_week", [1.0, 0.0, 3.0])
def test_it_tells_of_too_few_and_too_many_calls_whatever_last_week_was(
    now: float, fires: int, last_week: float
) -> None:
    assert len(tried(calls(now, last_week)).episodes) == fires


def test_the_ends_of_day_and_night_are_no_surprise() -> None:
    assert len(tried(calls()).episodes) == 0


def test_its_chart_shows_the_band_around_what_is_usual() -> None:
    test = tried(calls(0.4))
    assert test.around is not None
    figure = rule_figure(test, Rule(expr="x", unit="calls/s"), (NOW - DAY, NOW), {})
    low, high, now = figure["data"][:3]
    assert (low["name"], high["name"], high["fill"]) == ("usual p: from", "usual p: to", "tonexty")
    middle = len(low["y"]) * 3 // 4 - 10
    assert low["y"][middle] < now["y"][middle] < high["y"][middle]
    assert now["y"][-1] < low["y"][-1]


def test_only_a_distance_has_a_band() -> None:
    assert distance("abs(a - on (x) b)") is None
    assert distance("abs(a - b)") == ("a", "b")
    assert distance("(abs((a) - 2))") == ("(a)", "2")
    assert distance("a - b") is None
    assert distance("abs(a / b)") is None
