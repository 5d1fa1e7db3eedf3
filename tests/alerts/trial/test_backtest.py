"""What a rule would have done agrees with what the evaluation does."""

import datetime as dt
import random
from collections.abc import Sequence

import numpy as np
import pytest

import promql
from alerts.evaluation.schedule import milliseconds
from alerts.models import Rule
from alerts.trial import backtest as past
from alerts.trial import episodes
from tests.alerts.scripted_rules import gauge, minute

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


def test_a_month_is_evaluated_at_the_groups_interval_and_at_a_multiple_where_that_is_a_few_seconds() -> None:
    month = 30 * 86_400_000
    assert [past.step_of(month, 60), past.step_of(month, 15), past.step_of(month, 5)] == [60_000, 15_000, 15_000]


def flapping(seed: int, minutes: int = 600, hosts: int = 4) -> dict[str, list[float | None]]:
    """Values around 5, with gaps."""
    chance = random.Random(seed)
    choices = [1.0, 4.5, 6.0, 7.0, None]
    return {f"h{host}": [chance.choice(choices) for _ in range(minutes)] for host in range(hosts)}


@pytest.mark.parametrize("seed", range(6))
def test_it_does_not_matter_how_the_past_is_taken_to_pieces(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    fields = {
        "for_seconds": chance.choice([0, 120]),
        "keep_firing_seconds": chance.choice([0, 180]),
        "flap_limit": chance.choice([0, 3]),
        "recovery_threshold": chance.choice([None, 2]),
        "no_data": chance.choice(["keep", "alert"]),
    }
    rule = Rule(expr="load > $threshold", threshold=5, **fields)
    source, span = gauge(flapping(seed)), (milliseconds(minute(0)), milliseconds(minute(599)))
    whole = past.backtest(rule, source, span_ms=span, step_ms=MINUTE_MS)
    monkeypatch.setattr(past, "FINE_MS", 7 * MINUTE_MS)
    pieces = past.backtest(rule, source, span_ms=span, step_ms=MINUTE_MS)
    assert [*map(repr, pieces.episodes)] == [*map(repr, whole.episodes)]
    assert len(whole.episodes) > 20
    assert (pieces.firing_now, pieces.pending_now) == (whole.firing_now, whole.pending_now)
    by_labels = [dict(zip(map(str, test.labels), test.states.tolist(), strict=True)) for test in (whole, pieces)]
    assert by_labels[0] == by_labels[1]


def test_a_chart_of_many_evaluations_shows_the_gravest_state_of_each_column() -> None:
    values = [1.0] * 4000
    values[2000] = 9.0
    test = run({"a": [*values]}, "load > 5")
    assert (len(test.times), test.states.shape) == (1334, (1, 1334))
    assert np.flatnonzero(test.states[0]).tolist() == [2000 // 3]
    assert episode_lines(test) == ["2000 2000-2001 a 9"]
    assert test.firing_seconds == 60


def test_what_takes_too_much_memory_at_once_is_asked_in_smaller_pieces() -> None:
    source = Bounded(gauge({"a": [1.0, 9.0] * 100}))
    span = (milliseconds(minute(0)), milliseconds(minute(199)))
    test = past.backtest(Rule(expr="load > 5"), source, span_ms=span, step_ms=MINUTE_MS)
    assert len(test.episodes) == 100
    assert source.refused == 2


def test_alerts_without_number_are_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episodes, "MAX_SPELLS", 50)
    with pytest.raises(promql.LimitError, match="look at a shorter time"):
        run({"a": [1.0, 9.0] * 100}, "load > 5")


class Bounded:
    """A source that refuses its first reads of more than an hour."""

    def __init__(self, inner: promql.Source) -> None:
        self.inner, self.refused = inner, 0

    def select(
        self, matchers: Sequence[promql.Matcher], start_ms: int, end_ms: int, hints: promql.Hints
    ) -> list[promql.Block]:
        if end_ms - start_ms > 60 * MINUTE_MS and self.refused < 2:
            self.refused += 1
            raise promql.LimitError("max_samples", "too much")
        return self.inner.select(matchers, start_ms, end_ms, hints)


def test_a_result_without_series_has_no_episodes() -> None:
    empty = promql.MemorySource()
    span = (milliseconds(minute(0)), milliseconds(minute(9)))
    test = past.backtest(Rule(expr="load > 5"), empty, span_ms=span, step_ms=MINUTE_MS)
    assert (list(test.episodes), test.firing_now, test.firing_seconds) == ([], 0, 0)
    assert dt.timedelta(milliseconds=span[1] - span[0]) == dt.timedelta(minutes=9)


def test_alerts_of_one_version_only_are_those_that_none_of_the_same_labels_overlaps() -> None:
    values: dict[str, list[float | None]] = {"a": [1, 6, 9, 1, 6, 1], "b": [1, 6, 6, 1, 1, 1]}
    loose, strict = run(values, "load > 5"), run(values, "load > 8")
    assert (loose.only_here(strict), strict.only_here(loose)) == (2, 0)
    assert loose.only_here(loose) == 0
