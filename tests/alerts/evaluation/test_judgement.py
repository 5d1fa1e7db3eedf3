"""Recovery, least events, missing data, errors and flapping: the same in the evaluation, slot by slot or all at once,
and in the backtest."""

import random
from typing import Any

import pytest

import promql
from alerts.evaluation.evaluate import apply, evaluate_slots
from alerts.evaluation.state_machine import FIRING, INACTIVE, PENDING
from alerts.evaluation.states import RuleState
from alerts.models import Rule, RuleGroup, State
from alerts.rules.edits import RuleError, validate
from alerts.trial.backtest import backtest
from tests.alerts.scripted_rules import gauge, milliseconds, minute

CODES = {State.PENDING: PENDING, State.FIRING: FIRING}
LETTERS = "-pF"
Script = list[float | None]


def rule_of(expr: str = "load > $threshold", threshold: float | None = 5, **fields: Any) -> Rule:
    """A rule that is not stored."""
    return Rule(group=RuleGroup(name="g"), name="Load", expr=expr, threshold=threshold, **fields)


def evaluated(rule: Rule, source: promql.Source, minutes: int, at_once: int = 1) -> dict[str, str]:
    """The states of each alert, a letter a minute, as the evaluation goes through them; `at_once` slots in one go."""
    state = RuleState(rule, {})
    seen: dict[str, list[int]] = {}
    for first in range(0, minutes, at_once):
        slots = [minute(number) for number in range(first, min(first + at_once, minutes))]
        outcome = evaluate_slots(rule, slots, source)
        apply(state, outcome, slots, slots[-1])
    for flip in state.flips:
        labels = flip.alert.labels
        line = seen.setdefault(labels.get("host") or labels["rule_state"], [INACTIVE] * minutes)
        at = (milliseconds(flip.at) - milliseconds(minute(0))) // 60_000
        line[at:] = [CODES.get(State(flip.to_state), INACTIVE)] * (minutes - at)
    return {name: letters(codes) for name, codes in seen.items()}


def tried(rule: Rule, source: promql.Source, minutes: int) -> dict[str, str]:
    """The same as the backtest says it."""
    span = (milliseconds(minute(0)), milliseconds(minute(minutes - 1)))
    test = backtest(rule, source, span_ms=span, step_ms=60_000)
    lines = {
        own.get("host") or own["rule_state"]: letters(row) for own, row in zip(test.labels, test.states, strict=True)
    }
    return {name: line for name, line in lines.items() if line.strip("-")}


def letters(codes: Any) -> str:
    """States as text."""
    return "".join(LETTERS[code] for code in codes)


def both(rule: Rule, values: dict[str, Script]) -> dict[str, str]:
    """The states of each alert, on which the evaluation and the backtest agree."""
    minutes = max(map(len, values.values()))
    found = evaluated(rule, gauge(values), minutes)
    assert evaluated(rule, gauge(values), minutes, at_once=7) == found
    assert tried(rule, gauge(values), minutes) == found
    return found


def test_an_alert_that_fires_ends_only_beyond_the_recovery_threshold() -> None:
    rule = rule_of(recovery_threshold=3)
    assert both(rule, {"a": [4, 6, 4, 6, 3.5, 3, 4], "b": [4, 4, 4, 4, 4, 4, 4]}) == {"a": "-FFFF--"}


def test_a_pending_alert_needs_the_threshold_itself() -> None:
    assert both(rule_of(recovery_threshold=3, for_seconds=120), {"a": [6, 4, 6, 6, 6, 4, 2]}) == {"a": "p-ppFF-"}


def test_a_rule_about_too_little_recovers_above_its_threshold() -> None:
    assert both(rule_of("load < $threshold", recovery_threshold=8), {"a": [9, 4, 6, 7.5, 8, 9]}) == {"a": "-FFF--"}


def test_without_data_alerts_resolve_or_stay_as_they_are() -> None:
    values: dict[str, Script] = {"a": [6, 6, None, None, 6, 1], "b": [1, 1, None, None, 1, 1]}
    assert both(rule_of(), values) == {"a": "FF--F-"}
    assert both(rule_of(no_data="keep"), values) == {"a": "FFFFF-"}
    assert both(rule_of(no_data="keep", for_seconds=120), values) == {"a": "ppppF-"}


def test_one_series_that_vanishes_among_others_is_no_lack_of_data() -> None:
    assert both(rule_of(no_data="keep"), {"a": [6, None], "b": [1, 1]}) == {"a": "F-"}


def test_without_data_a_rule_may_raise_an_alert_that_says_so() -> None:
    rule = rule_of(no_data="alert", for_seconds=60, title="Load", annotations={"summary": "{{ $labels.host }} high"})
    values: dict[str, Script] = {"a": [6, 6, None, None, None, 1]}
    assert both(rule, values) == {"a": "pFFFF-", "no_data": "--pFF-"}
    state = RuleState(rule, {})
    slots = [minute(number) for number in range(4)]
    apply(state, evaluate_slots(rule, slots, gauge(values)), slots, slots[-1])
    [silent] = [alert for alert in state.open.values() if "rule_state" in alert.labels]
    assert silent.labels == {"alertname": "Load", "rule_state": "no_data", "severity": "warning"}
    assert silent.annotations["summary"] == "Load: the rule has no data"


@pytest.mark.parametrize(("then", "states"), [("keep", {"a": "FFFF"}), ("ok", {"a": "F---"})])
def test_a_query_that_fails_leaves_alerts_or_resolves_them(then: str, states: dict[str, str]) -> None:
    rule = rule_of(on_error=then)
    assert failing(rule) == states


def test_a_query_that_fails_may_raise_an_alert_with_the_reason() -> None:
    assert failing(rule_of(on_error="alert")) == {"a": "FFFF", "error": "-FFF"}


def failing(rule: Rule) -> dict[str, str]:
    """The states of a rule whose query fails from the second minute on."""
    source = gauge({"a": [6, 6, 6, 6]})
    source.add({"__name__": "more", "host": "a", "n": "1"}, [milliseconds(minute(n)) for n in (1, 2, 3)], [1, 1, 1])
    source.add({"__name__": "more", "host": "a", "n": "2"}, [milliseconds(minute(n)) for n in (1, 2, 3)], [1, 1, 1])
    rule.expr = "load > $threshold unless (load + on (host) more > 1e9)"
    return evaluated(rule, source, 4)


def test_an_alert_that_flaps_goes_on_firing_until_its_hour_is_quieter() -> None:
    # It begins to fire at 0, 2 and 4; the third is past the limit and lasts until the first is an hour ago.
    rule = rule_of(flap_limit=2)
    values: Script = [6, 1, 6, 1, 6, *[1.0] * 60]
    assert both(rule, {"a": values}) == {"a": "F-F-F" + "F" * 55 + "-" * 5}
    assert both(rule_of(), {"a": values}) == {"a": "F-F-F" + "-" * 60}


def test_a_ratio_of_few_events_says_too_little() -> None:
    source = promql.MemorySource()
    times = [milliseconds(minute(number)) for number in range(30)]
    for host, every in (("busy", 100), ("quiet", 2)):
        source.add({"__name__": "errors_total", "host": host}, times, [n * every / 2 for n in range(30)])
        source.add({"__name__": "calls_total", "host": host}, times, [n * every for n in range(30)])
    ratio = (
        "100 * sum by (host) (rate(errors_total[10m])) / sum by (host) (rate(calls_total[10m])) > $threshold # share"
    )
    rule = rule_of(ratio, threshold=10)
    assert tried(rule, source, 30).keys() == {"busy", "quiet"}
    rule.min_events = 50
    found = tried(rule, source, 30)
    assert found.keys() == {"busy"}
    assert evaluated(rule, source, 30) == found


@pytest.mark.parametrize("seed", range(8))
def test_the_backtest_agrees_with_the_evaluation_whatever_the_rule_says(seed: int) -> None:
    chance = random.Random(seed)
    minutes = 90
    silent = {number for number in range(minutes) if chance.random() < 0.15}
    rule = rule_of(
        for_seconds=chance.choice([0, 60, 120]),
        keep_firing_seconds=chance.choice([0, 60, 180]),
        recovery_threshold=chance.choice([None, 2, 4]),
        no_data=chance.choice(["ok", "keep", "alert"]),
        flap_limit=chance.choice([0, 2, 4]),
    )
    values: dict[str, Script] = {
        host: [None if number in silent else chance.choice([1.0, 3.0, 4.5, 6.0, None]) for number in range(minutes)]
        for host in "abc"
    }
    assert both(rule, values)


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"recovery_threshold": 5}, {"recovery_threshold": "must be below the threshold"}),
        (
            {"recovery_threshold": 4, "expr": "load < $threshold"},
            {"recovery_threshold": "must be above the threshold"},
        ),
        (
            {"recovery_threshold": 4, "expr": "load > $threshold or load > 9"},
            {"recovery_threshold": "needs a query of the form … > $threshold (or >=, <, <=)"},
        ),
        ({"min_events": 5}, {"min_events": "needs a ratio whose divisor is a rate() or an increase()"}),
        ({"min_events": -1}, {"min_events": "must not be negative"}),
        (
            {"no_data": "keep", "expr": "absent(load)", "threshold": None},
            {"no_data": "needs a query that compares what it measures with something"},
        ),
        ({"no_data": "?"}, {"no_data": "must be one of ok, keep, alert"}),
        ({"flap_limit": 1001}, {"flap_limit": "must be between 0 and 1000"}),
        (
            {"record": "a:b", "no_data": "keep"},
            {"no_data": "belongs to an alerting rule, not to one that records"},
        ),
    ],
)
def test_what_does_not_fit_the_query_is_refused(fields: dict[str, Any], refused: dict[str, str]) -> None:
    with pytest.raises(RuleError) as caught:
        validate(rule_of(**fields))
    assert caught.value.errors == refused
