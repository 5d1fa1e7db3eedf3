"""Would it have caught this? What would have fired in a window, and what would have to be otherwise."""

import pytest

from alerts.evaluation.schedule import milliseconds
from alerts.models import Rule
from alerts.trial.caught import Catch, Window, would_catch
from tests.alerts.scripted_rules import gauge, minute

QUIET: list[float | None] = [1.0] * 60


def caught(values: dict[str, list[float | None]], first: float, last: float, **fields: object) -> Catch:
    """A rule over `load`, one value a minute, asked about the minutes from `first` to `last`."""
    rule = Rule(**{"expr": "load > $threshold", "threshold": 5, **fields})
    window = Window(milliseconds(minute(first)), milliseconds(minute(last)))
    return would_catch(rule, gauge(values), window, 60)


def test_which_label_sets_would_have_fired_and_how_long_after_it_began() -> None:
    found = caught(
        {"a": [*QUIET, 1, 1, 9, 9, 9, 1], "b": [*QUIET, 1, 7, 7, 7, 7, 7], "c": QUIET}, 60, 66, for_seconds=120
    )
    assert [(one.labels["host"], one.peak) for one in found.episodes] == [("b", 7), ("a", 9)]
    assert (found.count, found.after_seconds, found.threshold, found.for_seconds) == (2, 180, None, None)


def test_what_fired_before_the_window_and_still_does_is_caught_at_once() -> None:
    found = caught({"a": [*QUIET, *[9.0] * 10]}, 65, 68)
    assert (found.count, found.after_seconds) == (1, 0)


def test_what_fired_outside_of_the_window_is_not_caught() -> None:
    found = caught({"a": [*QUIET, 9, 1, 1, 1, 1, 1, 1, 9]}, 62, 65)
    assert (found.count, found.after_seconds) == (0, None)


def test_the_threshold_that_would_have_caught_it_is_the_highest_that_holds_for_long_enough() -> None:
    found = caught({"a": [*QUIET, 4.9, 1, 3.27, 3.31, 3.4, 1]}, 60, 65, for_seconds=120)
    assert (found.threshold, found.for_seconds) == (3.2, None)
    assert caught({"a": [*QUIET, 3, 3, 3, 1]}, 60, 63, for_seconds=120).threshold == 2.9


def test_below_is_counted_upwards() -> None:
    busy: list[float | None] = [50.0] * 60
    found = caught({"a": [*busy, 50, 12.4, 12.6, 12.5, 50]}, 60, 64, expr="load < $threshold", for_seconds=120)
    assert found.threshold == 13


def test_no_threshold_is_proposed_at_which_it_would_have_fired_before() -> None:
    assert caught({"a": [*QUIET, 9, 9, 9, 1]}, 60, 63, for_seconds=600).threshold is None


def test_the_for_that_would_have_caught_it_is_as_long_as_the_condition_held() -> None:
    values: dict[str, list[float | None]] = {"a": [*QUIET, 9, 9, 9, 1, 9, 1]}
    found = caught(values, 60, 65, for_seconds=600)
    assert (found.for_seconds, found.for_text, found.threshold) == (120, "2m", None)
    assert caught(values, 64, 65, for_seconds=600).for_seconds == 0
    assert caught(values, 64, 65, for_seconds=600).for_text == "0"


def test_gaps_are_no_values_and_nothing_is_proposed_of_nothing() -> None:
    found = caught({"a": [*QUIET, None, None, None, None]}, 61, 63)
    assert (found.count, found.threshold, found.for_seconds) == (0, None, None)


def test_a_proposal_is_one_that_the_engine_confirms() -> None:
    """With a recovery threshold above it, the lower threshold would be refused."""
    found = caught({"a": [*QUIET, 3, 3, 3, 1]}, 60, 63, recovery_threshold=4)
    assert found.threshold is None


@pytest.mark.parametrize(("first", "last"), [(5, 5), (5, 4), (0, 60 * 24 * 31)])
def test_a_window_is_between_a_minute_and_thirty_days(first: int, last: int) -> None:
    window = Window(milliseconds(minute(first)), milliseconds(minute(last)))
    assert window.problem == "A window is between a minute and 30 days long."
    assert not Window(milliseconds(minute(0)), milliseconds(minute(1))).problem
