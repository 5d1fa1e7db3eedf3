"""What a rule would have done agrees with what the evaluation does."""

import datetime as dt

import promql
from alerts.evaluation import backtest as past
from alerts.models import Rule
from tests.alerts.scripted_rules import gauge, milliseconds, minute

MINUTE_MS = 60_000


def run(values: dict[str, list[float | None]], expr: str, for_seconds: int = 0, keep: int = 0) -> past.Backtest:
    """A rule over `load`, one value a minute."""
    span = (milliseconds(minute(0)), milliseconds(minute(max(map(len, values.values())) - 1)))
    rule = Rule(expr=expr, for_seconds=for_seconds, keep_firing_seconds=keep)
    return past.backtest(rule, gauge(values), span_ms=span, step_ms=MINUTE_MS)


def episode_lines(test: past.Backtest) -> list[str]:
    """Episodes as `pending fired-ended host peak`, in minutes."""
    start = milliseconds(minute(0))

    def at(ms: int | None) -> str:
        return "" if ms is None else f"{(ms - start) / MINUTE_MS:g}"

    return [
        f"{at(one.pending_ms)} {at(one.fired_ms)}-{at(one.ended_ms)} {one.labels['host']} {one.peak:g}"
        for one in test.episodes
    ]


def test_an_episode_begins_after_for_and_ends_at_the_first_miss() -> None:
    test = run({"a": [1, 6, 7, 9, 8, 1, 1]}, "load > 5", for_seconds=120)
    assert episode_lines(test) == ["1 3-5 a 9"]
    assert (test.firing_seconds, test.firing_now, test.pending_now) == (120, 0, 0)


def test_a_short_excess_never_fires() -> None:
    assert episode_lines(run({"a": [1, 6, 7, 1, 6, 7, 1]}, "load > 5", for_seconds=120)) == []


def test_what_lasts_has_no_end_and_fires_now() -> None:
    test = run({"a": [1, 6, 7], "b": [1, 1, 9]}, "load > 5", for_seconds=60)
    assert episode_lines(test) == ["1 2- a 7"]
    assert (test.firing_now, test.pending_now) == (1, 1)


def test_the_peak_of_a_rule_about_too_little_is_its_lowest_value() -> None:
    assert episode_lines(run({"a": [9, 3, 1, 2, 9]}, "load < 5")) == ["1 1-4 a 1"]


def test_two_label_sets_firing_at_once_count_their_time_once() -> None:
    test = run({"a": [6, 6, 6, 1, 1], "b": [1, 6, 6, 6, 1]}, "load > 5")
    assert test.firing_seconds == 240
    assert episode_lines(test) == ["0 0-3 a 6", "1 1-4 b 6"]


def test_a_condition_against_another_series_draws_that_limit() -> None:
    test = run({"a": [1, 6]}, "load > 2 * avg_over_time(load[5m])")
    assert test.comparison is not None
    assert test.comparison.number is None
    assert test.limit is not None
    assert test.limit.values[0].tolist() == [2, 7]


def test_steps_are_the_groups_interval_until_there_are_too_many() -> None:
    day = 86_400_000
    assert [past.step_of(day, 60), past.step_of(7 * day, 60), past.step_of(day, 30)] == [60_000, 420_000, 60_000]


def test_a_result_without_series_has_no_episodes() -> None:
    empty = promql.MemorySource()
    span = (milliseconds(minute(0)), milliseconds(minute(9)))
    test = past.backtest(Rule(expr="load > 5"), empty, span_ms=span, step_ms=MINUTE_MS)
    assert (test.episodes, test.firing_now, test.firing_seconds) == ([], 0, 0)
    assert dt.timedelta(milliseconds=span[1] - span[0]) == dt.timedelta(minutes=9)


def test_alerts_of_one_version_only_are_those_that_none_of_the_same_labels_overlaps() -> None:
    values: dict[str, list[float | None]] = {"a": [1, 6, 9, 1, 6, 1], "b": [1, 6, 6, 1, 1, 1]}
    loose, strict = run(values, "load > 5"), run(values, "load > 8")
    assert (loose.only_here(strict), strict.only_here(loose)) == (2, 0)
    assert loose.only_here(loose) == 0
